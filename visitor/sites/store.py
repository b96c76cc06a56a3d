"""SQL of the sites slice."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from visitor import db
from visitor.sites.models import Door, PrinterRow, Site, SiteState, State, Station, Zone

_q = db.queries(__file__)


async def everything(conn: db.Connection) -> tuple[list[Site], list[Zone], list[Door], list[Station], list[PrinterRow], list[SiteState]]:
    """The whole configuration: small (hundreds of rows), read at start and whenever a part of it changes."""
    return (
        await db.each(_q.sites(conn), Site),
        await db.each(_q.zones(conn), Zone),
        await db.each(_q.doors(conn), Door),
        await db.each(_q.stations(conn), Station),
        await db.each(_q.printers(conn), PrinterRow),
        await db.each(_q.site_states(conn), SiteState),
    )


async def set_state(
    conn: db.Connection, site_id: UUID, state: State, *, exercise: bool, incident_id: UUID | None, since: datetime
) -> None:
    await _q.set_state(conn, site_id=site_id, state=state, exercise=exercise, incident_id=incident_id, since=since)


async def add(conn: db.Connection, row: Site | Zone | Door | Station | PrinterRow) -> None:
    """Insert a configuration row of any of these kinds."""
    insert: Any = {
        Site: _q.add_site, Zone: _q.add_zone, Door: _q.add_door, Station: _q.add_station, PrinterRow: _q.add_printer,
    }[type(row)]
    await insert(conn, **msgspec.structs.asdict(row))


async def set_printer_address(conn: db.Connection, printer_id: UUID, address: str) -> None:
    await _q.set_printer_address(conn, id=printer_id, address=address)


async def district(conn: db.Connection, new: UUID) -> UUID:
    """The oldest site of kind hub, or `new` made one. The lock is for two processes that both find none."""
    found: UUID | None = await _q.district(conn)
    if found is None:
        await _q.lock_district(conn)
        found = await _q.district(conn)
    if found is None:
        await _q.add_site(conn, id=new, kind="hub", name="District", address="", time_zone="UTC", facts={})
        found = new
    return found


async def set_reader(conn: db.Connection, door_id: UUID, reader: str, reader_key: bytes | None, kid: str | None) -> None:
    await _q.set_reader(conn, id=door_id, reader=reader, reader_key=reader_key, kid=kid)

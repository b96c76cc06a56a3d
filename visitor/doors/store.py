"""SQL of the doors slice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from visitor import audit, db
from visitor.doors.models import DoorEvent, EmergencyCredential, LastTap, StandingCredential, VisitCredential

_q = db.queries(__file__)


async def credentials(conn: db.Connection, site_id: UUID, since: datetime) -> list[VisitCredential | EmergencyCredential]:
    """The site's visit and emergency credentials that end after `since`."""
    visits = await db.each(_q.visit_credentials(conn, site_id=site_id, since=since, every=True, ids=[]), VisitCredential)
    emergency = await db.each(_q.emergency_credentials(conn, site_id=site_id, since=since), EmergencyCredential)
    return [*visits, *emergency]


async def visit_credentials(conn: db.Connection, site_id: UUID, since: datetime, ids: Sequence[UUID]) -> list[VisitCredential]:
    """Those of these ids."""
    return await db.each(_q.visit_credentials(conn, site_id=site_id, since=since, every=False, ids=list(ids)), VisitCredential)


async def emergency_credentials(conn: db.Connection, site_id: UUID, ids: Sequence[UUID]) -> list[EmergencyCredential]:
    return await db.each(_q.emergency_credentials_of(conn, site_id=site_id, ids=list(ids)), EmergencyCredential)


async def standing(conn: db.Connection) -> list[StandingCredential]:
    return await db.each(_q.standing_credentials(conn), StandingCredential)


async def add_events(tx: db.Tx, events: Sequence[DoorEvent]) -> int:
    """Insert the events that are not there yet, each with its audit entry; returns how many were new."""
    new = 0
    for event in events:
        fields = msgspec.structs.asdict(event)
        source = fields.pop("source")
        if await _q.add_event(tx.conn, **fields) is None:
            continue
        new += 1
        await audit.record(
            tx, event.site_id, source if ":" in source else "system", f"door.{event.verdict}", event.door_id,
            event_id=str(event.id), reason=event.reason, holder=event.holder, tapped_at=event.at.isoformat(),
            **{k: str(v) for k in ("visit_id", "credential_id", "standing_id") if (v := fields[k]) is not None},
        )
        tx.notify("doors", event.site_id, event.door_id)
    return new


async def last_taps(conn: db.Connection) -> dict[UUID, LastTap]:
    found = {}
    async for row in _q.last_taps(conn):
        fields = dict(row)
        found[fields.pop("door_id")] = msgspec.convert(fields, LastTap)
    return found


async def recent_events(conn: db.Connection, site_id: UUID, door_id: UUID | None, limit: int) -> list[DoorEvent]:
    return await db.each(_q.recent_events(conn, site_id=site_id, door_id=door_id, limit=limit), DoorEvent)


async def staff_taps(conn: db.Connection, site_id: UUID, door_id: UUID, since: datetime) -> list[tuple[UUID, datetime]]:
    """Which staff opened a door since then, and when last."""
    rows = _q.staff_taps(conn, site_id=site_id, door_id=door_id, since=since)
    return [(row["staff_id"], row["at"]) async for row in rows]

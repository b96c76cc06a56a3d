"""SQL of the credentials slice."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from visitor import db
from visitor.credentials.models import Card, Credential, Standing

_q = db.queries(__file__)


async def add(conn: db.Connection, row: Credential, *, issued_by: str, reason: str) -> None:
    await _q.add(conn, **msgspec.structs.asdict(row), issued_by=issued_by, reason=reason)


async def one_standing(conn: db.Connection, standing_id: UUID) -> Standing | None:
    found = await db.each(_q.standing(conn, id=standing_id), Standing)
    return found[0] if found else None


async def of_visit(conn: db.Connection, site_id: UUID, visit_id: UUID) -> Credential | None:
    return db.one(await _q.of_visit(conn, site_id=site_id, visit_id=visit_id), Credential)


async def activate(conn: db.Connection, site_id: UUID, visit_id: UUID, now: datetime) -> list[UUID]:
    return await _ids(_q.activate(conn, site_id=site_id, visit_id=visit_id, now=now))


async def change(
    conn: db.Connection, site_id: UUID, visit_id: UUID, *, zones: list[UUID] | None, valid_until: datetime | None, badge_id: UUID | None
) -> list[UUID]:
    return await _ids(_q.change(conn, site_id=site_id, visit_id=visit_id, zones=zones, valid_until=valid_until, badge_id=badge_id))


async def end_visit(conn: db.Connection, site_id: UUID, visit_id: UUID, reason: str, now: datetime) -> list[UUID]:
    return await _ids(_q.end_visit(conn, site_id=site_id, visit_id=visit_id, reason=reason, now=now))


async def end_incident(conn: db.Connection, site_id: UUID, incident_id: UUID, reason: str, now: datetime) -> list[UUID]:
    return await _ids(_q.end_incident(conn, site_id=site_id, incident_id=incident_id, reason=reason, now=now))


async def end_one(conn: db.Connection, site_id: UUID, credential_id: UUID, reason: str, now: datetime) -> bool:
    return await _q.end_one(conn, site_id=site_id, id=credential_id, reason=reason, now=now) is not None


async def add_standing(conn: db.Connection, row: Standing) -> bool:
    """False when a card of this number is given to somebody already."""
    fields = msgspec.structs.asdict(row)
    del fields["site_id"]
    return await _q.add_standing(conn, **fields) is not None


async def cards(conn: db.Connection, sites: frozenset[UUID] | None) -> list[Card]:
    """Of these schools' staff; with None of everybody, officers too."""
    rows = _q.cards(conn, sites=list(sites or ()), everywhere=sites is None, officers=sites is None)
    return await db.each(rows, Card)


async def revoke_standing(conn: db.Connection, standing_id: UUID, now: datetime) -> bool:
    return await _q.revoke_standing(conn, id=standing_id, now=now) is not None


async def _ids(rows: Any) -> list[UUID]:
    return [row["id"] async for row in rows]

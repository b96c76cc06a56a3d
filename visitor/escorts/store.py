"""SQL of the escorts slice."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from visitor import db
from visitor.escorts.models import EscortRow, EscortState

_q = db.queries(__file__)


async def add(conn: db.Connection, row: EscortRow) -> None:
    fields = msgspec.structs.asdict(row)
    del fields["ended_at"]
    await _q.add(conn, **fields)


async def current(conn: db.Connection, site_id: UUID, visit_id: UUID) -> EscortRow | None:
    """The row in force, locked until the transaction ends: of two who accept at once, one is first."""
    while True:
        row = db.one(await _q.current(conn, site_id=site_id, visit_id=visit_id), EscortRow)
        # None also where the row waited for was handed over meanwhile: its successor is seen by a new statement only.
        if row is not None or not await _q.any_current(conn, site_id=site_id, visit_id=visit_id):
            return row


async def accept(conn: db.Connection, row: EscortRow, staff_id: UUID, now: datetime) -> None:
    await _q.accept(conn, site_id=row.site_id, id=row.id, staff_id=staff_id, now=now)


async def end(conn: db.Connection, row: EscortRow, state: EscortState, now: datetime) -> None:
    await _q.end(conn, site_id=row.site_id, id=row.id, state=state, now=now)


async def open_at(conn: db.Connection, site_id: UUID | None) -> list[EscortRow]:
    return await db.each(_q.open(conn, site_id=site_id), EscortRow)


async def of_visit(conn: db.Connection, site_id: UUID, visit_id: UUID) -> list[EscortRow]:
    return await db.each(_q.of_visit(conn, site_id=site_id, visit_id=visit_id), EscortRow)


async def site_of_visit(conn: db.Connection, visit_id: UUID) -> UUID | None:
    found: UUID | None = await _q.site_of_visit(conn, visit_id=visit_id)
    return found

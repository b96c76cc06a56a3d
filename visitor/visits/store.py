"""SQL of the visits slice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from visitor import db
from visitor.visits.models import OnSite, Status, Visit

queries = db.queries(__file__)


async def add(conn: db.Connection, visit: Visit) -> None:
    fields = msgspec.structs.asdict(visit)
    del fields["ended_at"], fields["ended_by"]
    await queries.add(conn, **fields)


async def visit(conn: db.Connection, visit_id: UUID, *, lock: bool = False) -> Visit | None:
    query = queries.visit_for_update if lock else queries.visit
    return db.one(await query(conn, id=visit_id), Visit)


async def listed(
    conn: db.Connection, sites: Iterable[UUID] | None, statuses: Sequence[Status] | None, before: datetime | None, limit: int
) -> list[Visit]:
    rows = queries.listed(
        conn, sites=None if sites is None else list(sites), statuses=statuses, before=before, limit=limit
    )
    return await db.each(rows, Visit)


async def on_site(conn: db.Connection, site_id: UUID, statuses: Iterable[Status]) -> list[OnSite]:
    found = []
    async for row in queries.on_site(conn, site_id=site_id, statuses=list(statuses)):
        fields: dict[str, Any] = dict(row)
        fields["name"] = f"{fields.pop('given_name')} {fields.pop('family_name')}".strip()
        found.append(msgspec.convert(fields, OnSite))
    return found

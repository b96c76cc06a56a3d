"""The audit: one row in the deciding transaction, insert-only for the application's role, no personal data.

`actor` is `account:<id>`, `token:<id>`, `station:<id>`, `officer:<id>` or `system`; `action` is `<subject>.<past tense>`
("visit.checked_in", "screening.decided", "credential.issued"). `detail` holds ids, codes, counts and a decider's stated
reason code, never a name, a birth date or a document number.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from visitor import db
from visitor.ids import new_id


class Entry(msgspec.Struct, frozen=True):
    site_id: UUID
    id: UUID
    at: datetime
    actor: str
    action: str
    subject_kind: str
    subject_id: UUID
    detail: dict[str, Any]


_INSERT = (
    "insert into audit (site_id, id, at, actor, action, subject_kind, subject_id, detail) "
    "select * from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::jsonb[])"
)


async def record(tx: db.Tx, site_id: UUID, actor: str, action: str, subject_id: UUID, /, **detail: Any) -> None:
    """Write what was decided, in the transaction that decides it: with its other audit rows, just before the commit."""
    row = (site_id, new_id(), datetime.now(UTC), actor, action, action.partition(".")[0], subject_id, detail)
    tx.rows.setdefault(_INSERT, []).append(row)


async def read(
    database: db.Database, site_id: UUID | None = None, subject_id: UUID | None = None, before: datetime | None = None, limit: int = 100,
    *, kind: str | None = None,
) -> list[Entry]:
    """The newest entries first, of one site or subject or of all; `kind` is the action's first word ("visit", "incident")."""
    async with database.connection() as conn:
        rows = await conn.fetch(
            "select * from audit where ($1::uuid is null or site_id = $1) and ($2::uuid is null or subject_id = $2)"
            " and ($3::timestamptz is null or at < $3) and ($5::text is null or subject_kind = $5) order by at desc, id desc limit $4",
            site_id, subject_id, before, limit, kind,
        )
    return [msgspec.convert(dict(r), Entry) for r in rows]

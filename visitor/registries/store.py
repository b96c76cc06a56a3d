"""SQL of the registries slice."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from visitor import db
from visitor.registries.models import Counts, ListRow, SharedRow, Table
from watchlists import Entry

_q = db.queries(__file__)
HOLD_CHANGES: str = _q.hold_changes.sql
_STAGED = ("id", "entry_id", "digest", "entry")


async def lists(conn: db.Connection) -> list[ListRow]:
    return await db.each(_q.lists(conn), ListRow)


async def in_force(conn: db.Connection) -> dict[str, int]:
    """The revision of every list by name; a name that is both imported and kept by hand has the sum, which only grows."""
    found: dict[str, int] = {}
    async for row in _q.in_force(conn):
        if row["revision"]:
            found[row["name"]] = found.get(row["name"], 0) + row["revision"]
    return found


async def change(conn: db.Connection) -> None:
    await _q.change(conn)


async def try_import(conn: db.Connection, name: str) -> bool:
    return bool(await _q.try_import(conn, name=name))


async def end_import(conn: db.Connection, name: str) -> None:
    await _q.end_import(conn, name=name)


async def add_list(
    conn: db.Connection, *, id: UUID, name: str, title: str, category: str, required: bool, max_age_hours: float | None,
    amber_bits: float | None, red_bits: float | None,
) -> None:
    await _q.add_list(
        conn, id=id, name=name, title=title, category=category, required=required, max_age_hours=max_age_hours, amber_bits=amber_bits,
        red_bits=red_bits,
    )


async def set_list(conn: db.Connection, **row: Any) -> UUID:
    """Make a list or change how it is kept; a retired one comes back."""
    found: UUID = await _q.set_list(conn, **row)
    return found


async def retire_list(conn: db.Connection, name: str, now: datetime) -> UUID | None:
    found: UUID | None = await _q.retire_list(conn, name=name, now=now)
    return found


async def list_for_update(conn: db.Connection, name: str) -> tuple[UUID, bool] | None:
    """Its id and whether it is retired; other imports of it wait."""
    row = await _q.list_for_update(conn, name=name)
    return None if row is None else (row["id"], row["retired_at"] is not None)


async def last_counts(conn: db.Connection, watchlist_id: UUID) -> tuple[int, Counts | None]:
    row = await _q.last_counts(conn, watchlist_id=watchlist_id)
    return (0, None) if row is None else (row["revision"], Counts(row["entries"], row["names"], row["birth_dates"]))


async def stage(conn: db.Connection, file: Path) -> None:
    """Stream a file in COPY's text format into a table of this transaction's own."""
    await _q.stage(conn)
    await conn.copy_to_table("staged", source=file, columns=_STAGED, format="text")
    await _q.analyze_staged(conn)


async def diff(conn: db.Connection, watchlist_id: UUID) -> tuple[int, int, int]:
    """How many staged entries are added, removed and changed."""
    row = await _q.diff(conn, watchlist_id=watchlist_id)
    return row["added"], row["removed"], row["changed"]


async def apply(conn: db.Connection, watchlist_id: UUID, revision: int) -> None:
    """Put the staged entries in force from `revision` on; what did not change keeps its row."""
    await _q.end_entries(conn, watchlist_id=watchlist_id, revision=revision)
    await _q.begin_entries(conn, watchlist_id=watchlist_id, revision=revision)


async def add_revision(conn: db.Connection, **row: Any) -> None:
    await _q.add_revision(conn, **row)


async def copy_entries(conn: db.Connection, watchlist_id: UUID, revision: int, file: Path) -> None:
    """Stream the entries of a revision into a file, one JSON object a line in COPY's text format."""
    await conn.copy_from_query(
        "select entry from watchlist_entries where watchlist_id = $1 and valid_from <= $2 and (valid_to is null or valid_to > $2)",
        uuid.UUID(str(watchlist_id)), revision, output=file, format="text",
    )


async def changes(
    conn: db.Connection, watchlist_id: UUID, since: int, until: int, most: int
) -> tuple[list[Entry], list[str]] | None:
    """What a later revision added or changed, and the ids it no longer has; None when that is more than `most` rows."""
    standing: dict[str, Entry] = {}
    touched: set[str] = set()
    count = 0
    async for row in _q.changes(conn, watchlist_id=watchlist_id, since=since, until=until, most=most + 1):
        count += 1
        touched.add(row["entry_id"])
        if row["stands"]:
            standing[row["entry_id"]] = msgspec.convert(row["entry"], Entry)
    return None if count > most else (list(standing.values()), sorted(touched - standing.keys()))


async def entry(conn: db.Connection, name: str, entry_id: str, revision: int | None) -> Entry | None:
    row = await _q.entry(conn, name=name, entry_id=entry_id, revision=revision)
    return None if row is None else msgspec.convert(row["entry"], Entry)


async def shared(conn: db.Connection, table: Table) -> list[SharedRow]:
    """The rows that nobody ended."""
    return await db.each(getattr(_q, table)(conn), SharedRow)


async def add_shared(
    conn: db.Connection, table: Table, *, site_id: UUID, id: UUID, entry: Entry, reason: str, valid_until: date | None, now: datetime,
    actor: str,
) -> None:
    add = getattr(_q, f"add_{table}")
    await add(
        conn, site_id=site_id, id=id, entry=msgspec.to_builtins(entry), reason=reason, valid_until=valid_until, now=now, actor=actor
    )


async def site_of(conn: db.Connection, table: Table, row_id: UUID) -> UUID | None:
    found: UUID | None = await getattr(_q, f"site_of_{table}")(conn, id=row_id)
    return found


async def ended(conn: db.Connection, table: Table, row_id: UUID) -> bool:
    return bool(await _q.ended(conn, table=table, id=row_id))


async def add_ending(
    conn: db.Connection, table: Table, *, id: UUID, site_id: UUID, row_id: UUID, reason: str, now: datetime, actor: str
) -> None:
    await _q.add_ending(
        conn, site_id=site_id, id=id, table=table, ends_site_id=site_id, ends_id=row_id, reason=reason, now=now, actor=actor
    )


async def shared_entry(conn: db.Connection, table: Table, entry_id: str) -> Entry | None:
    """An entry kept by hand, whether it still stands or not."""
    found = await getattr(_q, f"entry_of_{table}")(conn, entry_id=entry_id)
    return None if found is None else msgspec.convert(found, Entry)

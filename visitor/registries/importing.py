"""An import in five visible steps: lock, stage, check, swap, audit.

1. lock: one import of a list at a time, whichever process runs it;
2. stage: a process aside reads the file into rows for COPY and builds the index (build.py);
3. check: the rows are compared with those in force by one set-based diff, and the shrink guard judges it;
4. swap: ended and new rows, and the revision, in one transaction; before its commit nobody sees any of it;
5. audit: in the same transaction.

Until the commit the last good revision is in force, and it stays so when anything fails or the process dies.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from visitor import audit, db
from visitor.ids import new_id
from visitor.keys import KeyRing
from visitor.registries import store
from visitor.registries.build import Job
from visitor.registries.indexes import IndexFiles
from visitor.registries.models import (
    Counts,
    ImportFailed,
    ImportResult,
    ImportRunning,
    ListShrank,
    ListTooLarge,
    ListUnreadable,
    Staged,
    UnknownFormat,
    UnknownList,
    shrunk,
)
from visitor.sites.service import Sites
from watchlists.sources import FORMATS
from watchlists.sources.snapshot import Limits

_LIMITS: Final = Limits()


class Asked(msgspec.Struct, frozen=True):
    """What to import: `file_name` is what errors call the file."""

    name: str
    format: str
    path: Path
    file_name: str
    title: str
    category: str
    allow_shrink: bool = False
    mapping: str = ""


class Importing:
    def __init__(self, database: db.Database, files: IndexFiles, keys: KeyRing, sites: Sites) -> None:
        self._db = database
        self._files = files
        self._keys = keys
        self._sites = sites

    async def run(self, actor: str, asked: Asked) -> ImportResult:
        """See `Registries.import_list`."""
        if asked.format not in FORMATS:
            raise UnknownFormat(f"There is no format called that. There are {', '.join(FORMATS)}.")
        revision_id = new_id()
        rows, part = self._files.part("rows"), self._files.part("index")
        async with self._db.connection() as lock:
            if not await store.try_import(lock, asked.name):
                raise ImportRunning("This list is being imported at this moment. Wait for that import to end.")
            try:
                staged = await self._stage(asked, rows, part)
                return await self._swap(actor, asked, staged, revision_id, rows, part)
            except OSError as e:
                raise ImportFailed(f"The import could not be written to disk ({e.strerror}). Is there room?") from e
            except asyncpg.PostgresError as e:  # its message may quote an entry
                raise ImportFailed(f"PostgreSQL did not take the entries ({type(e).__name__}). Is there room on its disk?") from None
            finally:
                rows.unlink(missing_ok=True)
                part.unlink(missing_ok=True)
                await store.end_import(lock, asked.name)

    async def preview(self, asked: Asked) -> tuple[ImportResult, str]:
        """What importing this file would change, and why the shrink guard would refuse it ("" when it would not). Changes nothing."""
        if asked.format not in FORMATS:
            raise UnknownFormat(f"There is no format called that. There are {', '.join(FORMATS)}.")
        revision_id = new_id()
        rows, part = self._files.part("rows"), self._files.part("index")
        try:
            staged = await self._stage(asked, rows, part)
            async with self._db.transaction() as tx:
                found = await store.list_for_update(tx.conn, asked.name)
                if found is None:
                    result = ImportResult(
                        revision_id, 1, staged.entries, staged.entries, 0, 0, staged.refused, staged.problems
                    )
                    return result, ""
                await store.stage(tx.conn, rows)
                added, removed, changed = await store.diff(tx.conn, found[0])
                last, before = await store.last_counts(tx.conn, found[0])
        except OSError as e:
            raise ImportFailed(f"The file could not be read through ({e.strerror}). Is there room on the disk?") from e
        finally:
            rows.unlink(missing_ok=True)
            part.unlink(missing_ok=True)
        loss = shrunk(before, Counts(staged.entries, staged.names, staged.birth_dates), removed, _LIMITS)
        result = ImportResult(revision_id, last + 1, staged.entries, added, removed, changed, staged.refused, staged.problems)
        return result, loss.sentence if loss is not None else ""

    async def _stage(self, asked: Asked, rows: Path, part: Path) -> Staged:
        job = Job(
            "import", str(asked.path), str(part), asked.format, asked.file_name, str(rows), asked.mapping,
            self._keys.registry_key(),
        )
        staged = await self._files.build(job)
        if staged.error == "import-failed":
            raise ImportFailed(staged.detail)
        if staged.error == "list-too-large":
            raise ListTooLarge(f"{staged.detail[:1].upper()}{staged.detail[1:]}.")
        if staged.error:
            where = [asked.file_name, f"line {staged.line}" * bool(staged.line), f"column {staged.column}" * bool(staged.column)]
            raise ListUnreadable(
                f"{', '.join(filter(None, where))}: {staged.detail}", file=asked.file_name, line=staged.line, column=staged.column
            )
        if not staged.entries and not asked.allow_shrink:
            words = "there is nobody in this list. Check the file; if it is right, import it again with allow_shrink."
            raise ListUnreadable(f"{asked.file_name}: {words}", file=asked.file_name, line=0, column=0)
        return staged

    async def _swap(self, actor: str, asked: Asked, staged: Staged, revision_id: UUID, rows: Path, part: Path) -> ImportResult:
        in_place = self._files.path(revision_id)
        try:
            async with self._db.transaction() as tx:
                # A list is made with its first revision: a first import that failed must not leave a required list without one,
                # for which every visitor would be held.
                await store.add_list(
                    tx.conn, id=new_id(), name=asked.name, title=asked.title, category=asked.category, required=True, max_age_hours=None,
                    amber_bits=None, red_bits=None,
                )
                found = await store.list_for_update(tx.conn, asked.name)
                if found is None or found[1]:
                    raise UnknownList("This list was retired. Set it up again (PUT) before importing it.")
                list_id = found[0]
                await store.stage(tx.conn, rows)
                added, removed, changed = await store.diff(tx.conn, list_id)
                last, before = await store.last_counts(tx.conn, list_id)
                loss = shrunk(before, Counts(staged.entries, staged.names, staged.birth_dates), removed, _LIMITS)
                if loss is not None and not asked.allow_shrink:
                    raise ListShrank(loss.sentence, **loss.extra())
                revision = last + 1
                await store.apply(tx.conn, list_id, revision)
                part.replace(in_place)  # noqa: ASYNC240  a rename
                await store.change(tx.conn)
                await store.add_revision(
                    tx.conn, id=revision_id, watchlist_id=list_id, revision=revision, format=asked.format, checksum=staged.checksum,
                    entries=staged.entries, names=staged.names, birth_dates=staged.birth_dates, added=added, removed=removed,
                    changed=changed, refused=staged.refused, now=datetime.now(UTC), actor=actor,
                )
                district = await self._sites.district(tx)
                await audit.record(
                    tx, district, actor, "watchlist.imported", revision_id, list=asked.name, revision=revision, entries=staged.entries,
                    added=added, removed=removed, changed=changed, refused=staged.refused, shrank=loss is not None,
                )
                tx.notify("watchlists", district, revision_id)
        except BaseException:
            in_place.unlink(missing_ok=True)
            raise
        return ImportResult(revision_id, revision, staged.entries, added, removed, changed, staged.refused, staged.problems)

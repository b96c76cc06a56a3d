"""The lists in service: which revision of each is in force, the matcher that searches them, and how they change.

Two rules make a screening honest while lists change:

- the matcher is always exchanged *before* the revision that names it, so a screening may carry too old a number for what it
  searched (and is repeated), never too new a one;
- whoever acts on a screening compares its revisions in the acting transaction, under a shared lock that a change takes
  alone (`in_force`): between the comparison and the commit no list moves.

A process that finds itself behind the database (another one imported) holds visitors until its own index is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import msgspec

from visitor import audit, db, metrics
from visitor.errors import VisitorError
from visitor.events import EventBus
from visitor.ids import new_id
from visitor.keys import KeyRing
from visitor.registries import importing, store
from visitor.registries.build import Job
from visitor.registries.indexes import IndexFiles
from visitor.registries.models import (
    CANNOT_SCREEN,
    NAME,
    SHARED,
    CannotScreen,
    EntryProblem,
    Found,
    ImportResult,
    ListName,
    ListRow,
    ListStatus,
    NoSuchEntry,
    Screened,
    SharedRow,
    Table,
    UnknownFormat,
    UnknownList,
    trouble,
)
from visitor.registries.shared import SharedLists, public_name
from visitor.security import Principal
from visitor.settings import Settings
from visitor.sites.service import Sites
from watchlists import Entry, EntryError, Index, IndexFileError, Matcher, Subject
from watchlists.sources.mapping import SHIPPED

log = logging.getLogger(__name__)
_WORKERS = 4  # searches at once; a search that hangs keeps one of them, and the others time out behind it


class _State(msgspec.Struct, frozen=True):
    """What is in service, exchanged whole. `searched`: imported list → revision in the matcher; `shared`: its counts."""

    lists: tuple[ListRow, ...] = ()
    searched: dict[str, int] = {}
    shared: dict[str, int] = {}

    def revisions(self) -> dict[str, int]:
        found = dict(self.searched)
        for name, count in self.shared.items():
            if count:
                found[name] = found.get(name, 0) + count
        return found


class Registries:
    def __init__(self, database: db.Database, bus: EventBus, keys: KeyRing, sites: Sites, settings: Settings) -> None:
        self._db = database
        self._keys = keys
        self._sites = sites
        self._settings = settings.screening
        self._files = IndexFiles(settings.data)
        self._importing = importing.Importing(database, self._files, keys, sites)
        self.matcher = Matcher({})
        self._shared = SharedLists(self.matcher, self._settings)
        self._state = _State()
        self._shared_seen: dict[str, tuple[int, date]] = {}
        self._changing = asyncio.Lock()
        self._look_again = False
        self._builds: dict[str, asyncio.Task[None]] = {}
        self._problems: dict[str, str] = {}
        self._pool = ThreadPoolExecutor(_WORKERS, "screen")
        self._ready = False
        bus.on(self._on_event)

    async def start(self) -> None:
        """Open the saved indexes; what has none is built in the background, and visitors are held until it is there."""
        await asyncio.to_thread(self._files.prepare)
        self._ready = True
        await self.refresh()
        keep = {one.revision_id for one in self._state.lists if one.revision_id is not None}
        await asyncio.to_thread(self._files.sweep, keep)

    async def stop(self) -> None:
        for task in list(self._builds.values()):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._pool.shutdown(wait=False, cancel_futures=True)

    # ── searching ────────────────────────────────────────────────────────────────────────────────────────

    async def screen(self, subject: Subject) -> Screened:
        """Every possible match in words, with the revisions searched. Raises CannotScreen."""
        if self._look_again:
            await self._catch_up()
        state = self._state
        revisions = state.revisions()
        if why := trouble(state.lists, state.searched, datetime.now(UTC), self._settings.max_age_hours):
            raise CannotScreen(*why, revisions)
        loop = asyncio.get_running_loop()
        try:
            found = await asyncio.wait_for(loop.run_in_executor(self._pool, self._search, subject), self._settings.timeout_seconds)
        except TimeoutError:
            raise CannotScreen("matcher-failed", f"It was given {self._settings.timeout_seconds:g} seconds.", revisions) from None
        except Exception as e:  # whatever the matcher raises, nobody is cleared by it; a message may quote a name, so it is not logged
            log.error("the matcher failed: %s", type(e).__qualname__)
            raise CannotScreen("matcher-failed", "", revisions) from None
        return Screened(found, revisions)

    def _search(self, subject: Subject) -> tuple[Found, ...]:
        matcher = self.matcher
        return tuple(Found(public_name(m.list), m, matcher.explain(m)) for m in matcher.screen(subject))

    async def in_force(self, tx: db.Tx, revisions: dict[str, int]) -> bool:
        """Whether these are the revisions in force; if so they stay it until the transaction ends."""
        await store.hold_changes(tx.conn)
        if await store.in_force(tx.conn) == revisions:
            return True
        self._look_again = True
        return False

    def revisions(self) -> dict[str, int]:
        """What is being searched now."""
        return self._state.revisions()

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────

    def lists(self) -> list[ListStatus]:
        """Every list with its revision and age, those kept entry by entry after the imported ones."""
        now, state = datetime.now(UTC), self._state
        found = [
            ListStatus(
                one.name, one.title, one.category, one.revision, one.entries, one.imported_at,
                None if one.imported_at is None else round((now - one.imported_at).total_seconds() / 3600, 2),
                one.stale(now, self._settings.max_age_hours), one.required, state.searched.get(one.name, 0) == one.revision,
            )
            for one in state.lists
        ]
        for name, title in (("barred", "Barred from school grounds"), ("custody", "Custody orders")):
            if name not in {one.name for one in state.lists}:
                entries = self._shared.entries(name)
                found.append(ListStatus(name, title, name, state.shared.get(name, 0), entries, None, None, False, False, True))
        return found

    def trouble(self) -> str:
        """For /health: why visitors are held, or what will soon be a reason; "" when all is well."""
        now, state = datetime.now(UTC), self._state
        if why := trouble(state.lists, state.searched, now, self._settings.max_age_hours):
            return " ".join(("Visitors are held for staff.", CANNOT_SCREEN[why[0]], why[1], *self._problems.values()))
        old = [one.title for one in state.lists if one.stale(now, self._settings.max_age_hours)]
        words = [*self._problems.values()]
        if old:
            words.append(f"Too old, though not required: {', '.join(old)}.")
        return " ".join(words)

    async def entry(self, list_name: str, entry_id: str, revision: int | None = None) -> Entry:
        """An entry as it was at a revision, or as it last was. Raises NoSuchEntry."""
        if (kept := self._shared.entry(list_name, entry_id)) is not None:
            return kept
        async with self._db.connection() as conn:
            found = await store.entry(conn, list_name, entry_id, revision)
            if found is None and list_name in SHARED:
                found = await store.shared_entry(conn, SHARED[list_name], entry_id)
        if found is None:
            raise NoSuchEntry(f"The list {list_name} has no such entry.")
        return found

    # ── importing ────────────────────────────────────────────────────────────────────────────────────────

    async def add_list(
        self, tx: db.Tx, name: str, *, title: str = "", category: str = "offenders", required: bool = True,
        max_age_hours: float | None = None, amber_bits: float | None = None, red_bits: float | None = None,
    ) -> None:
        """Make a list known, if it is not. Raises ListName."""
        if not NAME.fullmatch(name):
            raise ListName("A list's name has 1 to 63 lower-case letters, digits and hyphens, and does not begin with a hyphen.")
        await store.add_list(
            tx.conn, id=new_id(), name=name, title=(title or name.replace("-", " ").capitalize())[:200], category=category[:60],
            required=required, max_age_hours=max_age_hours, amber_bits=amber_bits, red_bits=red_bits,
        )
        tx.notify("watchlists", await self._sites.district(tx), new_id())

    async def import_list(
        self, actor: str, name: str, format: str, path: Path, *, allow_shrink: bool = False, file_name: str = "", title: str = "",
        category: str = "", mapping: str = "",
    ) -> ImportResult:
        """Import a file as the next revision of a list, made if it is new; in force when this returns.

        Raises UnknownFormat, ListUnreadable, ListShrank, ListTooLarge, ImportRunning, ImportFailed; after each of them the
        last good revision is in force as before.
        """
        if mapping and not (SHIPPED / f"{mapping}.toml").is_file():
            raise UnknownFormat(f"There is no mapping of that name. There are {', '.join(sorted(f.stem for f in SHIPPED.glob('*.toml')))}.")
        async with self._db.transaction() as tx:
            await self.add_list(tx, name, title=title, category=category or "offenders")
        asked = importing.Asked(name, format, path, file_name or path.name, allow_shrink, mapping)
        return await self._importing.run(actor, asked)

    async def preview(
        self, name: str, format: str, path: Path, *, file_name: str = "", mapping: str = ""
    ) -> tuple[ImportResult, str]:
        """What `import_list` would change, and the shrink guard's sentence if it would refuse. Raises as that does."""
        if mapping and not (SHIPPED / f"{mapping}.toml").is_file():
            raise UnknownFormat(f"There is no mapping of that name. There are {', '.join(sorted(f.stem for f in SHIPPED.glob('*.toml')))}.")
        return await self._importing.preview(importing.Asked(name, format, path, file_name or path.name, mapping=mapping))

    # ── entries kept by hand ─────────────────────────────────────────────────────────────────────────────

    async def bar(
        self, tx: db.Tx, site_id: UUID, entry: Entry, reason: str, actor: str, *, valid_until: date | None = None
    ) -> SharedRow:
        """Bar a person from every school of the district; in force when the transaction has committed. Raises EntryProblem."""
        return await self._add_shared(tx, "barred_entries", site_id, entry, reason, actor, valid_until)

    async def add_order(
        self, tx: db.Tx, site_id: UUID, entry: Entry, note: str, actor: str, *, valid_until: date | None = None
    ) -> SharedRow:
        """Keep a custody order's restricted adult. Raises EntryProblem."""
        return await self._add_shared(tx, "custody_orders", site_id, entry, note, actor, valid_until)

    async def _add_shared(
        self, tx: db.Tx, table: Table, site_id: UUID, entry: Entry, reason: str, actor: str, valid_until: date | None
    ) -> SharedRow:
        reason = " ".join(reason.split())
        if not reason or len(reason) > 500:
            raise EntryProblem("Give a reason of up to 500 characters.")
        now, row_id = datetime.now(UTC), new_id()
        entry = msgspec.structs.replace(entry, id=str(row_id))
        try:
            await asyncio.to_thread(Index.build, [entry])
        except EntryError as e:
            raise EntryProblem(f"The entry cannot be searched for: {e.reason}.", field=e.field) from None
        await store.change(tx.conn)
        await store.add_shared(
            tx.conn, table, site_id=site_id, id=row_id, entry=entry, reason=reason, valid_until=valid_until, now=now, actor=actor
        )
        await audit.record(tx, site_id, actor, f"{_SUBJECT[table]}.added", row_id)
        tx.notify("watchlists", site_id, row_id)
        return SharedRow(site_id, row_id, entry, valid_until, now, reason)

    async def lift(self, tx: db.Tx, principal: Principal, table: Table, row_id: UUID, reason: str) -> None:
        """End a barring or an order by a row of its own; lifting twice is lifting once. Raises NoSuchEntry."""
        reason = " ".join(reason.split())
        if not reason or len(reason) > 500:
            raise EntryProblem("Give a reason of up to 500 characters.")
        site_id = await store.site_of(tx.conn, table, row_id)
        if site_id is None or not principal.may(site_id):
            raise NoSuchEntry("There is no such entry at a school of yours.")
        principal.require(site_id, "desk", "admin")
        await store.change(tx.conn)
        if await store.ended(tx.conn, table, row_id):
            return
        await store.add_ending(
            tx.conn, table, id=new_id(), site_id=site_id, row_id=row_id, reason=reason, now=datetime.now(UTC), actor=principal.actor
        )
        await audit.record(tx, site_id, principal.actor, f"{_SUBJECT[table]}.lifted", row_id)
        tx.notify("watchlists", site_id, row_id)

    async def keep(
        self, principal: Principal, table: Table, site_id: UUID, entry: Entry, reason: str, valid_until: date | None = None
    ) -> SharedRow:
        """`bar` or `add_order` on behalf of somebody; in force when this returns."""
        self._sites.site(site_id)
        principal.require(site_id, "desk", "admin")
        async with self._db.transaction() as tx:
            return await self._add_shared(tx, table, site_id, entry, reason, principal.actor, valid_until)

    async def end(self, principal: Principal, table: Table, row_id: UUID, reason: str) -> None:
        """`lift` on behalf of somebody; in force when this returns."""
        async with self._db.transaction() as tx:
            await self.lift(tx, principal, table, row_id, reason)

    async def shared_rows(self, table: Table) -> list[SharedRow]:
        """What stands of a list kept by hand, for the desk."""
        async with self._db.connection() as conn:
            return await store.shared(conn, table)

    # ── following the database ───────────────────────────────────────────────────────────────────────────

    async def _on_event(self, event: db.Event) -> None:
        if self._ready and event.topic in ("watchlists", "sync"):
            await self.refresh()

    async def _catch_up(self) -> None:
        """Somebody saw a newer revision in the database than is searched here: look now rather than at the next notice."""
        with contextlib.suppress(TimeoutError, VisitorError):
            await asyncio.wait_for(self.refresh(), self._settings.timeout_seconds)

    async def refresh(self) -> None:
        """Bring the matcher to what is in force: open what is saved, begin to build what is not."""
        async with self._changing:
            self._look_again = False
            try:
                await self._refresh()
            except BaseException:
                self._look_again = True
                raise

    async def _refresh(self) -> None:
        async with self._db.connection() as conn:
            # Counted before the rows are read: a row that comes between is searched under too old a number, never missed.
            heads = await store.in_force(conn)
            lists = await store.lists(conn)
            imported = {one.name: one for one in lists}
            counts = {name: heads.get(name, 0) - (imported[name].revision if name in imported else 0) for name in SHARED}
            today = datetime.now(UTC).date()
            moved = [name for name in SHARED if (counts[name], today) != self._shared_seen.get(name)]
            shared = {name: await store.shared(conn, SHARED[name]) for name in moved}
        searched = {name: revision for name, revision in self._state.searched.items() if name in imported}
        for one in lists:
            if one.revision and searched.get(one.name) != one.revision and await self._open(one):
                searched[one.name] = one.revision
        if shared:
            await asyncio.to_thread(self._shared.exchange, shared, today)
            self._shared_seen.update({name: (counts[name], today) for name in shared})
        self._state = _State(tuple(lists), searched, counts)
        for name in set(self.matcher.lists) - set(searched) - self._shared.names():
            self.matcher.drop(name)
        self._measure()

    async def _open(self, one: ListRow) -> bool:
        """Put a saved index in service; without a sound one begin to build it, and leave the old one where it is."""
        assert one.revision_id is not None
        try:
            index = await self._files.open(one.revision_id)
        except IndexFileError as e:
            if one.name not in self._builds:
                log.info("building the index of %s revision %d: %s", one.name, one.revision, e.reason)
                task = asyncio.create_task(self._build(one), name=f"index {one.name}")
                self._builds[one.name] = task
            return False
        self.matcher.swap(index, one.name, one.thresholds(self._settings.amber_bits, self._settings.red_bits))
        self._problems.pop(one.name, None)
        return True

    async def _build(self, one: ListRow) -> None:
        """Make the index of a revision from its rows, then look again."""
        assert one.revision_id is not None
        rows, part = self._files.part(one.revision_id, "rows"), self._files.part(one.revision_id, "index")
        try:
            async with self._db.connection() as conn:
                await store.copy_entries(conn, one.id, one.revision, rows)
            made = await self._files.build(Job("rebuild", str(rows), str(part)))
            if made.error:
                raise CannotScreen(made.error, made.detail)
            part.replace(self._files.path(one.revision_id))
        except Exception as e:
            log.error("the index of %s revision %d could not be built: %s", one.name, one.revision, type(e).__qualname__)
            self._problems[one.name] = f"The index of {one.title} could not be built; it is tried again every half minute."
            return
        finally:
            self._builds.pop(one.name, None)
            rows.unlink(missing_ok=True)
            part.unlink(missing_ok=True)
        with contextlib.suppress(VisitorError):
            await self.refresh()

    def _measure(self) -> None:
        now = datetime.now(UTC)
        for one in self._state.lists:
            if one.imported_at is not None:
                metrics.LIST_AGE.labels(one.name).set((now - one.imported_at).total_seconds())


_SUBJECT: dict[Table, str] = {"barred_entries": "barred_entry", "custody_orders": "custody_order"}


def known_list(lists: list[ListStatus], name: str) -> ListStatus:
    """Raises UnknownList."""
    for one in lists:
        if one.name == name:
            return one
    raise UnknownList(f"There is no list called {name}." if NAME.fullmatch(name) else "There is no such list.")

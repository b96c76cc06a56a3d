"""The lists in service: which revision of each is in force, the matcher that searches them, and how they change.

Whoever acts on a screening compares its revisions in the acting transaction, under a shared lock that a change takes alone
(`in_force`): between the comparison and the commit no list moves. A process that finds itself behind the database (another one
imported) holds visitors until its own index is there; how it gets there is told in following.py.
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

from visitor import audit, db
from visitor.errors import Forbidden
from visitor.events import EventBus
from visitor.ids import new_id
from visitor.keys import KeyRing
from visitor.registries import importing, store
from visitor.registries.following import Following
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
    ListSettings,
    ListStatus,
    NoSuchEntry,
    Screened,
    SharedRow,
    Table,
    UnknownFormat,
    UnknownList,
    in_term,
    trouble,
)
from visitor.registries.shared import public_name
from visitor.security import Principal
from visitor.settings import Settings
from visitor.sites.service import Sites
from watchlists import Entry, EntryError, Index, IndexFileError, Matcher, Subject
from watchlists.sources.mapping import SHIPPED

log = logging.getLogger(__name__)
_WORKERS = 4  # searches at once; a search that hangs keeps one of them, and the others time out behind it


class Registries:
    def __init__(self, database: db.Database, bus: EventBus, keys: KeyRing, sites: Sites, settings: Settings) -> None:
        self._db = database
        self._keys = keys
        self._sites = sites
        self._settings = settings.screening
        self._files = IndexFiles(settings.data)
        self._importing = importing.Importing(database, self._files, keys, sites)
        back = db.Event("watchlists", UUID(int=0), UUID(int=0))
        self._following = Following(database, self._files, self._settings, lambda: bus.tell(back))
        self._pool = ThreadPoolExecutor(_WORKERS, "screen")
        self._ready = False
        bus.on(self._on_event)

    async def start(self) -> None:
        """Open the saved indexes; what has none is built in the background, and visitors are held until it is there."""
        await asyncio.to_thread(self._files.prepare)
        self._ready = True
        await self.refresh()

    async def stop(self) -> None:
        self._ready = False
        await self._following.stop()
        await asyncio.to_thread(self._files.close)
        self._pool.shutdown(wait=False, cancel_futures=True)

    # ── searching ────────────────────────────────────────────────────────────────────────────────────────

    async def screen(self, subject: Subject) -> Screened:
        """Every possible match in words, with the revisions searched. Raises CannotScreen."""
        late = self._following.behind and not await self._following.catch_up()
        state = self._following.state
        revisions = state.revisions()
        if why := self._trouble(datetime.now(UTC)):
            raise CannotScreen(*why, revisions)
        if late:
            raise CannotScreen("list-behind", "", revisions)
        mapped = self._following.mapped
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                found = await loop.run_in_executor(self._pool, self._search, subject)
        except TimeoutError:
            raise CannotScreen("matcher-failed", f"It was given {self._settings.timeout_seconds:g} seconds.", revisions) from None
        except IndexFileError as e:
            self._following.damage(e.file, mapped)
            raise CannotScreen(*(self._trouble(datetime.now(UTC)) or ("list-damaged", "")), revisions) from None
        except Exception as e:  # whatever the matcher raises, nobody is cleared by it; a message may quote a name, so it is not logged
            log.error("the matcher failed: %s", type(e).__qualname__)
            raise CannotScreen("matcher-failed", "", revisions) from None
        return Screened(await self._in_term(found), revisions)

    async def _in_term(self, found: tuple[Found, ...]) -> tuple[Found, ...]:
        """Without matches whose order has run out or not begun. The index does not know of terms; matches are few."""
        now, kept = datetime.now(UTC), []
        for one in found:
            with contextlib.suppress(NoSuchEntry):
                if not in_term(await self.entry(one.list, one.match.entry_id), now):
                    continue
            kept.append(one)
        return tuple(kept)

    def _search(self, subject: Subject) -> tuple[Found, ...]:
        matcher = self.matcher
        return tuple(Found(public_name(m.list), m, matcher.explain(m)) for m in matcher.screen(subject))

    def holding(self) -> contextlib.AbstractAsyncContextManager[db.Tx]:
        """A transaction in which no list changes: a change waits for its end, and it waits for a change under way."""
        return self._db.transaction(store.HOLD_CHANGES)

    async def in_force(self, tx: db.Tx, revisions: dict[str, int]) -> bool:
        """Whether these are the revisions in force, in a transaction of `holding`: if so they stay it until it ends."""
        assert tx.first == store.HOLD_CHANGES, "the lists must be held before they are compared"
        if await store.in_force(tx.conn) == revisions:
            return True
        self._following.fall_behind()
        return False

    @property
    def matcher(self) -> Matcher:
        return self._following.matcher

    def revisions(self) -> dict[str, int]:
        """What is being searched now."""
        return self._following.state.revisions()

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────

    def lists(self) -> list[ListStatus]:
        """Every list with its revision and age, those kept entry by entry after the imported ones."""
        now, following, state = datetime.now(UTC), self._following, self._following.state
        found = [
            ListStatus(
                one.name, one.title, one.category, one.revision, one.entries, one.imported_at,
                None if one.imported_at is None else round((now - one.imported_at).total_seconds() / 3600, 2),
                one.stale(now, self._settings.max_age_hours), one.required,
                state.searched.get(one.name, 0) == one.revision and one.name not in following.damaged,
                following.problems.get(one.name, ""),
            )
            for one in state.lists
        ]
        for name, title in (("barred", "Barred from school grounds"), ("custody", "Custody orders")):
            if name not in {one.name for one in state.lists}:
                entries = self._following.shared.entries(name)
                found.append(ListStatus(name, title, name, state.shared.get(name, 0), entries, None, None, False, False, True))
        return found

    def trouble(self) -> str:
        """For /health: why visitors are held, or what will soon be a reason; "" when all is well."""
        now, state, problems = datetime.now(UTC), self._following.state, self._following.problems
        if why := self._trouble(now):
            return " ".join(("Visitors are held for staff.", CANNOT_SCREEN[why[0]], why[1], *problems.values()))
        old = [one.title for one in state.lists if one.stale(now, self._settings.max_age_hours)]
        words = [*problems.values()]
        if old:
            words.append(f"Too old, though not required: {', '.join(old)}.")
        return " ".join(words)

    def _trouble(self, now: datetime) -> tuple[str, str] | None:
        following, state = self._following, self._following.state
        return trouble(state.lists, state.searched, now, self._settings.max_age_hours, following.damaged)

    async def entry(self, list_name: str, entry_id: str, revision: int | None = None) -> Entry:
        """An entry as it was at a revision, or as it last was. Raises NoSuchEntry."""
        if (kept := self._following.shared.entry(list_name, entry_id)) is not None:
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
        check_name(name)
        await store.add_list(
            tx.conn, id=new_id(), name=name, title=_title(name, title), category=category[:60],
            required=required, max_age_hours=max_age_hours, amber_bits=amber_bits, red_bits=red_bits,
        )
        tx.notify("watchlists", await self._sites.district(tx), new_id())

    async def set_list(self, principal: Principal, name: str, asked: ListSettings) -> None:
        """Make a list known, or change how it is kept, from the next screening on. Raises ListName, BadInput, Forbidden."""
        require_district(principal)
        check_name(name)
        asked.check()
        async with self._db.transaction() as tx:
            district = await self._sites.district(tx)
            list_id = await store.set_list(tx.conn, id=new_id(), name=name, **msgspec.structs.asdict(asked))
            await audit.record(
                tx, district, principal.actor, "watchlist.set", list_id, list=name, required=asked.required,
                max_age_hours=asked.max_age_hours, amber_bits=asked.amber_bits, red_bits=asked.red_bits,
            )
            tx.notify("watchlists", district, list_id)

    async def retire_list(self, principal: Principal, name: str) -> None:
        """Search a list no longer; its revisions stay to be looked at. Raises UnknownList, Forbidden."""
        require_district(principal)
        async with self._db.transaction() as tx:
            await store.change(tx.conn)
            list_id = await store.retire_list(tx.conn, name, datetime.now(UTC))
            if list_id is None:
                raise UnknownList("There is no list of that name.")
            district = await self._sites.district(tx)
            await audit.record(tx, district, principal.actor, "watchlist.retired", list_id, list=name)
            tx.notify("watchlists", district, list_id)

    def new_file(self) -> Path:
        """A private name for an upload on its way to `import_list`."""
        return self._files.part("upload")

    async def import_list(
        self, actor: str, name: str, format: str, path: Path, *, allow_shrink: bool = False, file_name: str = "", title: str = "",
        category: str = "", mapping: str = "",
    ) -> ImportResult:
        """Import a file as the next revision of a list, made if it is new; in force when this returns.

        Raises UnknownFormat, ListUnreadable, ListShrank, ListTooLarge, ImportRunning, ImportFailed; after each of them the
        last good revision is in force as before.
        """
        asked = _asked(name, format, path, file_name, title, category, allow_shrink, mapping)
        return await self._importing.run(actor, asked)

    async def preview(
        self, name: str, format: str, path: Path, *, file_name: str = "", mapping: str = ""
    ) -> tuple[ImportResult, str]:
        """What `import_list` would change, and the shrink guard's sentence if it would refuse. Raises as that does."""
        return await self._importing.preview(_asked(name, format, path, file_name, mapping=mapping))

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
        tx.notify("watchlists", site_id, site_id)  # once a transaction, however many rows
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
        tx.notify("watchlists", site_id, site_id)  # once a transaction, however many rows

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
            try:
                await self.refresh()
            except Exception as e:  # screenings look again before they trust anything; a message may quote an entry
                log.error("the lists could not be brought up to date: %s", type(e).__qualname__)

    async def refresh(self) -> None:
        """Bring what is searched to what is in force."""
        await self._following.refresh()


_SUBJECT: dict[Table, str] = {"barred_entries": "barred_entry", "custody_orders": "custody_order"}


def check_name(name: str) -> None:
    """Raises ListName."""
    if not NAME.fullmatch(name):
        raise ListName("A list's name has 1 to 63 lower-case letters, digits and hyphens, and does not begin with a hyphen.")


def require_district(principal: Principal) -> None:
    """Lists are the whole district's: raises Forbidden for an administrator of some schools only."""
    if principal.sites("admin") is not None:
        raise Forbidden("Lists hold for the whole district: ask an administrator of every school.")


def _asked(
    name: str, format: str, path: Path, file_name: str, title: str = "", category: str = "", allow_shrink: bool = False, mapping: str = ""
) -> importing.Asked:
    """Raises ListName, and UnknownFormat for a mapping that does not come with the program: the name must not become any path."""
    check_name(name)
    shipped = {file.stem for file in SHIPPED.glob("*.toml")}
    if mapping and mapping not in shipped:
        raise UnknownFormat(f"There is no mapping of that name. There are {', '.join(sorted(shipped))}.")
    title, category = _title(name, title), (category or "offenders")[:60]
    return importing.Asked(name, format, path, file_name or path.name, title, category, allow_shrink, mapping)


def _title(name: str, title: str) -> str:
    return (title.strip() or name.replace("-", " ").capitalize())[:200]

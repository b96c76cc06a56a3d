"""What is in service here, and how it follows the database: open what is saved, patch what changed little, build the rest.

The matcher is always exchanged *before* the revision that names it. A screening therefore carries at worst too old a number
for what it searched, and is repeated; never too new a one.

An index file that somebody writes into while it is mapped (`Following.damage`) is opened again, and made again from the
database where it is no longer the index it was. Until then it stays in the matcher, which answers nobody from it: a list
taken out of the search would clear whoever is being screened at that moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime
from typing import Final

import msgspec

from visitor import db, metrics, tasks
from visitor.errors import VisitorError
from visitor.registries import store
from visitor.registries.build import Job
from visitor.registries.indexes import IndexFiles
from visitor.registries.models import SHARED, ImportFailed, ListRow, first_day
from visitor.registries.pace import Pace
from visitor.registries.shared import SharedLists
from visitor.settings import Screening
from watchlists import IndexFileError, Matcher, Thresholds

log = logging.getLogger(__name__)
_PATCH_AT_MOST: Final = 5_000  # changed entries; about half a second to make searchable, where a large index takes minutes


class State(msgspec.Struct, frozen=True):
    """What is in service, exchanged whole. `searched`: imported list → revision in the matcher; `shared`: rows and endings."""

    lists: tuple[ListRow, ...] = ()
    searched: dict[str, int] = {}
    shared: dict[str, int] = {}

    def revisions(self) -> dict[str, int]:
        """By list, as `store.in_force` counts them."""
        found = dict(self.searched)
        for name, count in self.shared.items():
            if count:
                found[name] = found.get(name, 0) + count
        return found


class Mapped(msgspec.Struct, frozen=True, eq=False):
    """An index file in service: its path, and the revision of the index that it held when it was opened ("": any is right)."""

    file: str
    revision: str


class Following:
    def __init__(self, database: db.Database, files: IndexFiles, settings: Screening, back: Callable[[], Awaitable[None]]) -> None:
        """`back` is awaited when a list that was away is in service: who was held meanwhile can be screened."""
        self._db = database
        self._back = back
        self._files = files
        self._settings = settings
        self.matcher = Matcher({})
        self.shared = SharedLists(self.matcher, settings)
        self.state = State()
        self.problems: dict[str, str] = {}
        self.mapped: Mapping[str, Mapped] = {}  # exchanged whole; by list
        self.damaged: set[str] = set()  # lists whose file was written into while mapped
        self._noticed = self._followed = 0  # how often something newer was seen in the database; how much of it is searched here
        self._changing = asyncio.Lock()
        self._seen: dict[str, tuple[int, date]] = {}
        self._patched: set[str] = set()
        self._limits: dict[str, Thresholds] = {}
        self._builds: dict[str, asyncio.Task[None]] = {}
        self._resting: set[str] = set()  # damaged lists whose file is not opened again yet
        self._mends: set[asyncio.Task[None]] = set()
        self._mending, self._building = Pace(), Pace()

    async def stop(self) -> None:
        await tasks.end(*self._builds.values(), *self._mends)

    @property
    def behind(self) -> bool:
        """Whether something newer was seen in the database and not been looked at since."""
        return self._followed < self._noticed

    def fall_behind(self) -> None:
        """Somebody saw in the database what is not searched here; a look that has already begun may have missed it."""
        self._noticed += 1

    async def catch_up(self) -> bool:
        """Look now rather than at the next notice, for as long as a screening may take; whether that was long enough."""
        with contextlib.suppress(TimeoutError, VisitorError):
            async with asyncio.timeout(self._settings.timeout_seconds), self._changing:
                if self.behind:  # or whoever was looking just now has caught up for us
                    await self._look()
        return not self.behind

    def damage(self, file: str, searched: Mapping[str, Mapped]) -> None:
        """A search came upon an index file that was written into: from now on its list holds visitors, until it is mended.

        `searched` is `mapped` as it was before that search; what was exchanged since is another file, or the same made anew.
        """
        for name, one in searched.items():
            if one.file == file and self.mapped.get(name) is one and name not in self.damaged:
                self.damaged.add(name)
                self._resting.add(name)
                self.problems[name] = f"The index file of {self._title(name)} was damaged and is read again; visitors are held meanwhile."
                pause = self._mending.pause(name)
                log.error("the index file of %s was written into while in use; it is opened again in %.0f s", name, pause)
                mend = asyncio.create_task(self._mend(name, pause), name=f"mend {name}")
                self._mends.add(mend)
                mend.add_done_callback(self._mends.discard)

    async def _mend(self, name: str, pause: float) -> None:
        """Open the file again; if that is no use, `_open` has it built."""
        await self._mending.rest(pause)
        self._resting.discard(name)
        await self._look_again(lambda: name not in self.damaged)
        self._mending.ended(name)

    async def _look_again(self, told: Callable[[], bool]) -> None:
        """Refresh, and tell who waits for it if `told` says so. What fails here is done at the next notice or poll."""
        try:
            await self.refresh()
            if told():
                await self._back()
        except Exception as e:  # a message may quote a value, so only the kind is logged
            log.error("the lists could not be brought up to date: %s", type(e).__qualname__)

    async def refresh(self) -> None:
        """Bring the matcher to what is in force."""
        async with self._changing:
            await self._look()

    async def _look(self) -> None:
        noticed = self._noticed
        try:
            await self._refresh()
        except BaseException:
            self.fall_behind()
            raise
        self._followed = noticed

    async def _refresh(self) -> None:
        today = first_day(datetime.now(UTC))
        async with self._db.connection() as conn:
            # Counted before the rows are read: a row that comes between is searched under too old a number, never missed.
            heads = await store.in_force(conn)
            lists = await store.lists(conn)
            imported = {one.name: one for one in lists}
            counts = {name: heads.get(name, 0) - (imported[name].revision if name in imported else 0) for name in SHARED}
            moved = [name for name in SHARED if (counts[name], today) != self._seen.get(name)]
            rows = {name: await store.shared(conn, SHARED[name]) for name in moved}
        searched = {name: revision for name, revision in self.state.searched.items() if name in imported}
        opened = False
        for one in lists:
            as_it_is = (searched.get(one.name), self._limits.get(one.name))
            again = one.name in self._patched or one.name in self.damaged - self._resting
            if one.revision and (again or as_it_is != (one.revision, self._limits_of(one))):
                if await self._open(one):
                    opened = True
                elif searched.get(one.name) == one.revision or not await self._patch(one, searched.get(one.name)):
                    continue
                searched[one.name] = one.revision
        if rows:
            await asyncio.to_thread(self.shared.exchange, rows, today)
            self._seen.update({name: (counts[name], today) for name in rows})
        self.state = State(tuple(lists), searched, counts)
        for name in set(self.matcher.lists) - set(searched) - self.shared.names():
            self.matcher.drop(name)
        self.damaged &= searched.keys()
        self._resting &= self.damaged
        for name in self.problems.keys() - imported.keys():
            del self.problems[name]
        self._measure()
        if opened:
            await asyncio.to_thread(self._files.sweep, {one.revision_id for one in lists if one.revision_id is not None})

    async def _open(self, one: ListRow) -> bool:
        """Put a saved index in service; without a sound one begin to build it."""
        assert one.revision_id is not None
        file, before = str(self._files.path(one.revision_id)), self.mapped.get(one.name)
        try:
            index = await self._files.open(one.revision_id)
            if before is not None and before.file == file and before.revision not in ("", index.revision):
                raise IndexFileError("holds other entries than it did", file=file)  # sound in itself: another list's, perhaps
        except IndexFileError as e:
            if one.name not in self._builds:
                pause = self._building.pause(str(one.revision_id))
                log.info("building the index of %s revision %d in %.0f s: %s", one.name, one.revision, pause, e.reason)
                if one.name in self.damaged:
                    told = "is damaged and is made again from the database; visitors are held meanwhile."
                    self.problems[one.name] = f"The index file of {one.title} {told}"
                self._builds[one.name] = asyncio.create_task(self._build(one, pause), name=f"index {one.name}")
            return False
        self._limits[one.name] = self._limits_of(one)
        self.matcher.swap(index, one.name, self._limits[one.name])
        self.mapped = {**self.mapped, one.name: Mapped(file, index.revision)}
        self.damaged.discard(one.name)
        self._resting.discard(one.name)
        self._patched.discard(one.name)
        self.problems.pop(one.name, None)
        return True

    def _title(self, name: str) -> str:
        return next((one.title for one in self.state.lists if one.name == name), name)

    def _limits_of(self, one: ListRow) -> Thresholds:
        return one.thresholds(self._settings.amber_bits, self._settings.red_bits)

    async def _patch(self, one: ListRow, revision: int | None) -> bool:
        """Bring the index of an earlier revision up to this one, where little changed; another process made the import."""
        if revision is None or revision > one.revision:
            return False
        async with self._db.connection() as conn:
            changes = await store.changes(conn, one.id, revision, one.revision, _PATCH_AT_MOST)
        if changes is None:
            return False
        added, gone = changes

        def apply() -> None:
            # In this order: until both are done there is rather one entry too many than one too few.
            self.matcher.add(added, one.name)
            self.matcher.withdraw(gone, one.name)

        await asyncio.to_thread(apply)
        self._patched.add(one.name)
        return True

    def _wanted(self, one: ListRow) -> bool:
        """Whether an index that waited to be built still has to be: its file may have been put back, or another revision come."""
        assert one.revision_id is not None
        there = self.mapped.get(one.name)
        sound = there is not None and there.file == str(self._files.path(one.revision_id)) and one.name not in self.damaged
        return one in self.state.lists and not (sound and self._limits.get(one.name) == self._limits_of(one))

    async def _build(self, one: ListRow, pause: float) -> None:
        """Make the index of a revision from its rows in a process aside, then look again."""
        assert one.revision_id is not None
        file = self._files.path(one.revision_id)
        rows, part = self._files.part("rows"), self._files.part("index")
        try:
            if pause:
                await self._building.rest(pause)
            if not pause or self._wanted(one):
                async with self._db.connection() as conn:
                    await store.copy_entries(conn, one.id, one.revision, rows)
                made = await self._files.build(Job("rebuild", str(rows), str(part)))
                if made.error:
                    raise ImportFailed(made.detail)
                part.replace(file)
                if (before := self.mapped.get(one.name)) is not None and before.file == str(file):
                    self.mapped = {**self.mapped, one.name: Mapped(before.file, "")}
        except Exception as e:  # tried again at the next notice or poll; a message may quote a value, so only the kind is logged
            log.error("the index of %s revision %d could not be built: %s", one.name, one.revision, type(e).__qualname__)
            told = f"Visitors are held: {one.title} cannot be searched, for its index could not be built."
            self.problems[one.name] = f"{told} Is the server's disk full, or its database away? It is tried again every half minute."
            return
        finally:
            self._builds.pop(one.name, None)
            self._building.ended(str(one.revision_id))
            rows.unlink(missing_ok=True)
            part.unlink(missing_ok=True)
        await self._look_again(lambda: one.name not in self._builds)

    def _measure(self) -> None:
        now = datetime.now(UTC)
        for one in self.state.lists:
            if one.imported_at is not None:
                metrics.LIST_AGE.labels(one.name).set((now - one.imported_at).total_seconds())

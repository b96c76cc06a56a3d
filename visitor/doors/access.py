"""The access table kept true: loaded whole at start, patched by what changed, and never behind a commit that was announced.

A credential's notice is awaited after its commit, so the tap after an approval finds it in force, and the tap after a
check-out finds nothing; what else touches a row (a badge, an escort handed over) is read within a moment. A patch that cannot
be read (PostgreSQL away) is remembered and tried again until it is in; the doors go on with what they know meanwhile, and
/health says how old that is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from visitor import db, tasks
from visitor.doors import store
from visitor.doors.models import AccessTable
from visitor.errors import VisitorError
from visitor.events import EventBus

log = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0
_LOOK_BACK = timedelta(days=1)  # an ended credential is still known this long after it would have expired
_AT_ONCE = frozenset({"credentials", "site_state"})
_SOON = frozenset({"visits", "badges"})
_SOON_SECONDS = 0.02


class Access:
    """The table, and the loading of it. `sites` gives the ids of the sites whose doors are decided here."""

    def __init__(self, database: db.Database, bus: EventBus, sites: Callable[[], list[UUID]]) -> None:
        self.table = AccessTable()
        self._db = database
        self._sites = sites
        self._lock = asyncio.Lock()
        self._wanted: set[db.Event] = set()  # what changed and was not read yet
        self._all = True
        self._behind_since: datetime | None = None
        self._retrying: asyncio.Task[None] | None = None
        self._soon: asyncio.Task[None] | None = None
        bus.on(self._on_event)

    async def load(self) -> None:
        """Read everything. Raises Unavailable when the database is away."""
        self._all = True
        await self._read()

    async def stop(self) -> None:
        await tasks.end(self._retrying, self._soon)

    def trouble(self) -> str:
        """A sentence when the table is known to be behind the database, else ""."""
        if self._behind_since is None:
            return ""
        since = self._behind_since.strftime("%H:%M:%S")
        return f"Doors work from the list of credentials as of {since} UTC; newer check-ins and check-outs do not count there yet."

    async def _on_event(self, event: db.Event) -> None:
        if event.topic in ("sync", "sites"):
            self._all = True
        elif event.topic in _AT_ONCE:
            self._wanted.add(event)
        elif event.topic in _SOON:
            # Said beside a credential's own event, which takes it along, or of a visit that has none: no request waits for it.
            self._wanted.add(event)
            if self._soon is None or self._soon.done():
                self._soon = asyncio.create_task(self._catch_up_soon(), name="access-table-soon")
            return
        else:
            return
        await self.catch_up()

    async def _catch_up_soon(self) -> None:
        await asyncio.sleep(_SOON_SECONDS)
        await self.catch_up()

    async def catch_up(self) -> None:
        """Read what changed; what cannot be read now is tried again in the background."""
        try:
            await self._read()
        except (VisitorError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            if self._behind_since is None:
                self._behind_since = datetime.now(UTC)
                log.warning("the access table is behind: the database does not answer")
            if self._retrying is None or self._retrying.done():
                self._retrying = asyncio.create_task(self._retry(), name="access-table")

    async def _retry(self) -> None:
        while self._behind_since is not None:
            await asyncio.sleep(_RETRY_SECONDS)
            with contextlib.suppress(VisitorError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await self._read()

    async def _read(self) -> None:
        # One reader at a time, or an older answer could overwrite a newer one. Whoever waits finds its rows read by the
        # holder before it, when that one took them along.
        async with self._lock:
            everything, wanted = self._all, self._wanted
            if not everything and not wanted:
                return
            self._all, self._wanted = False, set()
            try:
                await (self._read_all() if everything else self._read_some(wanted))
            except BaseException:
                self._all = self._all or everything
                self._wanted |= wanted
                raise
            self._behind_since = None

    async def _read_all(self) -> None:
        since = datetime.now(UTC) - _LOOK_BACK
        async with self._db.connection() as conn:
            standing = await store.standing(conn)
            by_site = {site_id: await store.credentials(conn, site_id, since) for site_id in self._sites()}
        self.table.put_standing(standing)
        for site_id, rows in by_site.items():
            self.table.put_site(site_id, rows)

    async def _read_some(self, wanted: set[db.Event]) -> None:
        since = datetime.now(UTC) - _LOOK_BACK
        whole = {e.site_id for e in wanted if e.topic == "site_state"}
        by_site: dict[UUID, set[UUID]] = {}
        for event in wanted:
            subject = self._row_of(event)
            if subject is not None and event.site_id not in whole:
                by_site.setdefault(event.site_id, set()).add(subject)
        credentials = {e.subject for e in wanted if e.topic == "credentials"}
        if not whole and not by_site:
            return
        async with self._db.connection() as conn:
            for site_id in whole:
                self.table.put_site(site_id, await store.credentials(conn, site_id, since))
            for site_id, subjects in by_site.items():
                for row in await store.visit_credentials(conn, site_id, since, list(subjects)):
                    self.table.put(row)
                    credentials.discard(row.id)
                if others := credentials & subjects:
                    for emergency in await store.emergency_credentials(conn, site_id, list(others)):
                        self.table.put(emergency)
                        credentials.discard(emergency.id)
            # A credential that is neither a visit's nor an emergency's is a standing card: those are few and read whole.
            if credentials:
                self.table.put_standing(await store.standing(conn))

    def _row_of(self, event: db.Event) -> UUID | None:
        """The credential that an event is about; None for a badge or a visit that has none here (a new one is told itself)."""
        if event.topic == "credentials":
            return event.subject
        found = self.table.of_badge(event.subject) if event.topic == "badges" else self.table.of_visit(event.subject)
        return None if found is None else found.id

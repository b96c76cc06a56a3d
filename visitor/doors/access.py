"""The access table kept true: loaded whole at start, patched by what changed, and never behind a commit that was announced.

Every notice of the bus is awaited after its commit, so the tap after an approval finds it in force, and the tap after a
check-out finds nothing. A patch that cannot be read (PostgreSQL away) is remembered and tried again until it is in; the doors
go on with what they know meanwhile, and /health says how old that is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from visitor import db
from visitor.doors import store
from visitor.doors.models import AccessTable, EmergencyCredential
from visitor.errors import VisitorError
from visitor.events import EventBus

log = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0
_LOOK_BACK = timedelta(days=1)  # an ended credential is still known this long after it would have expired
_SITE_TOPICS = frozenset({"credentials", "visits", "badges", "escorts", "site_state"})


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
        bus.on(self._on_event)

    async def load(self) -> None:
        """Read everything. Raises Unavailable when the database is away."""
        self._all = True
        await self._read()

    async def stop(self) -> None:
        if self._retrying is not None:
            self._retrying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._retrying

    def trouble(self) -> str:
        """A sentence when the table is known to be behind the database, else ""."""
        if self._behind_since is None:
            return ""
        since = self._behind_since.strftime("%H:%M:%S")
        return f"Doors work from the list of credentials as of {since} UTC; newer check-ins and check-outs do not count there yet."

    async def _on_event(self, event: db.Event) -> None:
        if event.topic in ("sync", "sites"):
            self._all = True
        elif event.topic in _SITE_TOPICS:
            self._wanted.add(event)
        else:
            return
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
            if event.site_id not in whole:
                by_site.setdefault(event.site_id, set()).add(event.subject)
        found: set[UUID | None] = set()
        async with self._db.connection() as conn:
            for site_id in whole:
                self.table.put_site(site_id, await store.credentials(conn, site_id, since))
            for site_id, subjects in by_site.items():
                for row in await store.credentials(conn, site_id, since, list(subjects)):
                    self.table.put(row)
                    found |= {row.id, row.incident_id if isinstance(row, EmergencyCredential) else row.visit_id}
            # A credential that is neither a visit's nor an emergency's is a standing card: those are few and read whole.
            if any(e.topic == "credentials" and e.subject not in found for e in wanted):
                self.table.put_standing(await store.standing(conn))

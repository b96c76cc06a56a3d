"""The part of a node that prints: one process at a time for a database, one line a printer.

Whoever holds the database's printing lock runs `printers.Spool` over the printers of this node; others stand by and take
over when that process dies or loses its connection. A new holder calls every older lease dead: what was only queued is
printed, what was being sent is in doubt and the desk is told which badge. Should the old one still live (it lost its
connection, nothing more), each of its steps finds the lease gone before a byte is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg

from printers import Job, Policy, Printer, PrinterStatus, Receipt, Spool, Transport, Unreachable
from visitor import db, metrics, tasks
from visitor.badges import store
from visitor.badges.jobs import PgJobStore
from visitor.badges.models import TransportFor, fallbacks
from visitor.errors import Unavailable
from visitor.events import EventBus
from visitor.sites.models import PrinterRow
from visitor.sites.service import Sites

log = logging.getLogger(__name__)
FAILOVER_SECONDS = 60.0
_LOOK_SECONDS = 2.0  # how soon a process that stands by takes over, and a lost connection is noticed
_STOP_SECONDS = 10.0  # for the badge that is being printed to come out
_AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, Unavailable)  # the database, for a while
_KEEP = timedelta(days=30)  # finished jobs, for the desk's questions

Produce = Callable[[Job, UUID], Awaitable[bytes]]
"""Draw a job's badge for a printer (`Badges.produce`)."""


class PrintWorker:
    """`start` and `stop` are a node's part; what is drawn and how printers are reached is given."""

    def __init__(
        self, database: db.Database, bus: EventBus, sites: Sites, produce: Produce, transport_for: TransportFor, *,
        policy: Policy | None = None, failover_after: float | None = FAILOVER_SECONDS,
    ) -> None:
        self._db = database
        self._sites = sites
        self._produce = produce
        self._transport_for = transport_for
        # A job added wakes its line by the event bus; the poll is only what stands behind a lost notice.
        self._policy = policy or Policy(poll=2.0)
        self._failover_after = failover_after
        self._store = PgJobStore(database)
        self._spool: Spool | None = None
        self._task: asyncio.Task[None] | None = None
        self._reconfigured = asyncio.Event()
        self._stopping = asyncio.Event()
        self._dirty: set[str] = set()
        self._told = asyncio.Event()
        self.printing = False  # whether this is the process that prints
        bus.on(self._on_event)

    async def start(self) -> None:
        self._stopping.clear()
        self._task = asyncio.create_task(self._run(), name="print-worker")

    async def stop(self) -> None:
        """Let the badges that are being printed come out, ten seconds long, and stop."""
        self._stopping.set()
        if self._task is not None:
            await self._task
            self._task = None

    async def _on_event(self, event: db.Event) -> None:
        if event.topic in ("sites", "sync"):
            self._reconfigured.set()
        if (spool := self._spool) is None:
            return
        if event.topic == "sync":
            spool.wake()
        elif event.topic == "badges":
            # Only that school's lines: a district's check-in must not have every printer of it ask the database.
            for printer in self._sites.printers(event.site_id):
                spool.wake(str(printer.id))
        elif event.topic == "printers":
            spool.wake(str(event.subject))
            self._changed(str(event.subject))  # held, or let go on, at some desk

    # ── who prints ───────────────────────────────────────────────────────────────────────────────────────

    async def _run(self) -> None:
        lock = _Lock(self._db.url)
        while not self._stopping.is_set():
            try:
                if await lock.take():
                    await self._print(lock)
                else:
                    await self._pause(_LOOK_SECONDS)
            except _AWAY:
                await self._pause(_LOOK_SECONDS)
            except Exception:
                log.exception("printing stumbled; starting it again")
                await self._pause(_LOOK_SECONDS)
            finally:
                self.printing = False
                await lock.release()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _print(self, lock: _Lock) -> None:
        """Print until another process has the lock or we are stopped."""
        self.printing = True
        watch = asyncio.create_task(self._watch(lock), name="printing-lock")
        tell = asyncio.create_task(self._tell(), name="printer-states")
        try:
            while not self._stopping.is_set() and not watch.done():
                self._reconfigured.clear()
                await self._spooling(await self._printers(), watch)
        finally:
            await tasks.end(watch, tell)

    async def _watch(self, lock: _Lock) -> None:
        """Keep the lock; returns when another process has it. Measures the line in passing.

        While the database is away nobody has the lock, and a badge on its way to the printer goes on: its end is written
        once the database is back. Should another process be faster then, it finds our leases and we find its.
        """
        purged = 0.0
        while True:
            try:
                metrics.PRINT_AGE.set(await lock.oldest_age())
                if not purged or time.monotonic() - purged > 3600:
                    async with self._db.transaction() as tx:
                        await store.purge_jobs(tx.conn, datetime.now(UTC) - _KEEP)
                    purged = time.monotonic()
            except _AWAY as e:
                log.warning("the printing lock may be lost (%s); taking it again", type(e).__name__)
                if not await lock.again():
                    log.warning("another process prints now")
                    return
            await asyncio.sleep(_LOOK_SECONDS)

    # ── one spool, until the printers change ─────────────────────────────────────────────────────────────

    async def _printers(self) -> list[PrinterRow]:
        """The printers that this node reaches: a site's own; all of them where one node is the district; a hub has none."""
        async with self._db.connection() as conn:
            role, own = await store.node(conn)
        if role == "hub":
            return []
        return [p for p in self._sites.printers() if own is None or p.site_id == own]

    async def _spooling(self, rows: list[PrinterRow], watch: asyncio.Task[None]) -> None:
        second = fallbacks(rows, self._sites.stations())
        printers = [
            Printer(
                name=str(row.id), title=row.name, transport=self._transport(row),
                fallback=str(second[row.id]) if row.id in second else None, failover_after=self._failover_after,
            )
            for row in rows
        ]
        # A name of its own for each spool: what an earlier one of this very process left is as dead as another's.
        worker = f"print {uuid4().hex}"
        await self._store.take_over(worker)

        async def produce(job: Job, printer: Printer) -> bytes:
            return await self._produce(job, UUID(printer.name))

        spool = Spool(self._store, printers, produce, worker=worker, policy=self._policy, changed=self._changed)
        running = asyncio.create_task(spool.run(), name="spool")
        self._spool = spool
        for printer in printers:
            self._changed(printer.name)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            while not running.done() and not watch.done() and not self._stopping.is_set():
                changed = asyncio.create_task(self._reconfigured.wait())
                try:
                    await asyncio.wait({running, watch, stopping, changed}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    changed.cancel()
                if self._reconfigured.is_set():
                    self._reconfigured.clear()
                    with contextlib.suppress(Unavailable):  # asked again at the next `sync`, which comes with the database
                        if await self._printers() != rows or fallbacks(rows, self._sites.stations()) != second:
                            break
        finally:
            stopping.cancel()
            spool.stop()
            await asyncio.wait({running}, timeout=_STOP_SECONDS)
            await tasks.end(running)
            self._spool = None
            if not running.cancelled() and (ended := running.exception()) is not None:
                log.error("the spool ended by itself: %s", type(ended).__name__)

    def _transport(self, row: PrinterRow) -> Transport:
        try:
            return self._transport_for(row.address, row.profile)
        except (ValueError, LookupError) as e:
            # One printer set up wrongly must not keep the others from printing; its desk is told why it does not.
            log.warning("printer %s: %s", row.id, e)
            return _NotSetUp(str(e))

    # ── telling the desks ────────────────────────────────────────────────────────────────────────────────

    def _changed(self, name: str) -> None:
        self._dirty.add(name)
        self._told.set()

    async def _tell(self) -> None:
        """Write how the printers are for the desks of every process, when it changes."""
        while True:
            await self._told.wait()
            self._told.clear()
            while self._dirty and (spool := self._spool) is not None:
                name = self._dirty.pop()
                try:
                    await self._write(spool, name)
                except Exception as e:
                    log.warning("the state of a printer could not be written (%s); trying again", type(e).__name__)
                    self._dirty.add(name)
                    await asyncio.sleep(1)

    async def _write(self, spool: Spool, name: str) -> None:
        try:
            state = await spool.state(name)
        except KeyError:
            return  # a printer of an earlier configuration
        row = next((p for p in self._sites.printers() if str(p.id) == name), None)
        if row is None:
            return
        # A hold stands in a column of its own: here is only what was heard of the printer.
        problem = "" if state.condition.value == "held" else state.problem
        async with self._db.transaction() as tx:
            if await store.set_line(
                tx.conn, row.id, row.site_id, condition=state.condition.value, problem=problem, paper=state.paper.value
            ):
                tx.notify("printers", row.site_id, row.id)


class _Lock:
    """The database's printing lock: an advisory lock, held by a connection of its own for as long as that lives."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._conn: db.Connection = None

    async def take(self) -> bool:
        """Whether the lock is ours now. Raises one of `_AWAY`."""
        await self.release()
        self._conn = await asyncpg.connect(self._url, timeout=10)
        if await store.try_lock(self._conn):
            return True
        await self.release()
        return False

    async def again(self) -> bool:
        """Take the lock once the database is back; False when another process was faster."""
        pause = 0.1
        while True:
            try:
                return await self.take()
            except _AWAY:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LOOK_SECONDS)

    async def oldest_age(self) -> float:
        """Asked over the lock's own connection: an answer proves that the lock is held. Raises one of `_AWAY`."""
        return await asyncio.wait_for(store.oldest_age(self._conn), 10)

    async def release(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            with contextlib.suppress(Exception):
                await conn.close(timeout=1)


class _NotSetUp:
    """Stands for a printer whose address or profile is not understood."""

    def __init__(self, why: str) -> None:
        self._why = f"is not set up rightly ({why})"

    async def status(self) -> PrinterStatus:
        return PrinterStatus(reachable=False, online=False, error=self._why)

    async def send(self, data: bytes, *, begun: object = None, waiting: object = None) -> Receipt:
        raise Unreachable(self._why)

"""The event bus: what changed, told at once inside the process and by NOTIFY between processes.

A notice carries ids only. Handlers (the door table, the matcher) are awaited right after the commit, so whoever got the
answer of a request finds its effect in force; subscribers (live pages) get a queue. NOTIFY can be lost with its connection:
after every reconnect, and every `POLL_SECONDS` besides, handlers and subscribers are told to look again (`topic == "sync"`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg

from visitor import tasks
from visitor.db import CHANNEL, Database, Event

log = logging.getLogger(__name__)
POLL_SECONDS = 30.0
Handler = Callable[[Event], Awaitable[None]]
_NOBODY = UUID(int=0)
SYNC = Event("sync", _NOBODY, _NOBODY)


class EventBus:
    def __init__(self, database: Database) -> None:
        self._db = database
        self._handlers: list[Handler] = []
        self._queues: set[asyncio.Queue[Event]] = set()
        self._task: asyncio.Task[None] | None = None
        self.listening = False
        database.announce = self._announce

    def on(self, handler: Handler) -> None:
        """Await `handler` for every event, our own right after their commit; it must be quick and must not raise."""
        self._handlers.append(handler)

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[asyncio.Queue[Event]]:
        """A queue of events; a subscriber that falls 1,000 behind is told to look again instead."""
        queue: asyncio.Queue[Event] = asyncio.Queue(1000)
        self._queues.add(queue)
        try:
            yield queue
        finally:
            self._queues.discard(queue)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._listen(), name="event-bus")

    async def stop(self) -> None:
        await tasks.end(self._task)

    async def tell(self, event: Event) -> None:
        """Tell this process's subscribers of something that is no row (a card was read at this node)."""
        await self._deliver(event)

    async def _announce(self, events: list[Event]) -> None:
        for event in events:
            await self._deliver(event)

    async def _deliver(self, event: Event) -> None:
        for handler in self._handlers:
            try:
                await handler(event)
            except Exception:
                log.exception("a handler of %s failed", event.topic)
        for queue in list(self._queues):
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(SYNC)
            queue.put_nowait(event)

    async def _listen(self) -> None:
        delay = 0.1
        while True:
            try:
                conn = await asyncpg.connect(self._db.url)
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5.0)
                continue
            delay = 0.1
            arrived: asyncio.Queue[str | None] = asyncio.Queue()
            conn.add_termination_listener(lambda _c, q=arrived: q.put_nowait(None))
            try:
                await conn.add_listener(CHANNEL, lambda _c, _p, _ch, payload, q=arrived: q.put_nowait(payload))
                self.listening = True
                await self._deliver(SYNC)
                await self._relay(arrived)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                log.warning("the listening connection was lost; reconnecting")
            finally:
                self.listening = False
                with contextlib.suppress(Exception):
                    await conn.close(timeout=1)

    async def _relay(self, arrived: asyncio.Queue[str | None]) -> None:
        while True:
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    payload = await arrived.get()
            except TimeoutError:
                await self._deliver(SYNC)
                continue
            if payload is None:
                return
            origin, topic, site, subject = payload.split(" ")
            if origin != self._db.origin:
                await self._deliver(Event(topic, UUID(site), UUID(subject)))

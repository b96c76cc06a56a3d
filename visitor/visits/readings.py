"""What this node's own readers read, kept in memory for the kiosk it was read for.

A card's chip is asked by the node, not by the page: the page is told that something was read (`readings` event, the reading's
id), asks what it is, and checks in or out with that id. A reading is for one station and lives two minutes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from uuid import UUID

import msgspec

import readers
from visitor import tasks
from visitor.db import Event
from visitor.events import EventBus
from visitor.ids import new_id
from visitor.visits.models import NotADocument, UnreadableScan

log = logging.getLogger(__name__)
LIFE_SECONDS = 120.0
_MOST = 1000


class Kept(msgspec.Struct, frozen=True):
    """A reading, or why there is none (`problem` is a sentence for the visitor)."""

    station_id: UUID
    until: float
    reading: readers.Reading | None
    problem: str = ""

    @property
    def kind(self) -> str:
        """What a page may know of it: document, badge, other or problem."""
        if self.reading is None:
            return "problem"
        if isinstance(self.reading, readers.IdDocument):
            return "document"
        return "badge" if isinstance(self.reading, readers.BadgeToken) else "other"

    def __repr__(self) -> str:
        return f"Kept({self.kind})"


class Readings:
    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._kept: dict[UUID, Kept] = {}

    async def put(self, station_id: UUID, reading: readers.Reading | None, problem: str = "") -> UUID:
        """Keep a reading and tell the station's page."""
        now = time.monotonic()
        self._kept = {k: v for k, v in self._kept.items() if v.until > now}
        if len(self._kept) >= _MOST:
            self._kept.clear()
        reading_id = new_id()
        self._kept[reading_id] = Kept(station_id, now + LIFE_SECONDS, reading, problem)
        await self._bus.tell(Event("readings", station_id, reading_id))
        return reading_id

    def look(self, station_id: UUID, reading_id: UUID) -> Kept:
        """Raises UnreadableScan when the reading is gone or another station's."""
        kept = self._kept.get(reading_id)
        if kept is None or kept.until < time.monotonic() or kept.station_id != station_id:
            raise UnreadableScan("That reading is gone. Present it again.")
        return kept

    def document(self, station_id: UUID, reading_id: UUID) -> readers.IdDocument:
        """The document of a reading. Raises UnreadableScan, NotADocument."""
        kept = self.look(station_id, reading_id)
        if kept.reading is None:
            raise UnreadableScan(kept.problem)
        if not isinstance(kept.reading, readers.IdDocument):
            raise NotADocument("That does not say who you are. Scan a license or a passport.")
        return kept.reading

    def badge(self, station_id: UUID, reading_id: UUID) -> str:
        """The token of a badge that was read. Raises NotADocument."""
        kept = self.look(station_id, reading_id)
        if not isinstance(kept.reading, readers.BadgeToken):
            raise NotADocument("That is not a visitor badge. Scan the square code on the badge.")
        return kept.reading.token


class ReaderWatch:
    """Follows the document readers of this node and keeps what they read for their stations.

    `lost` says in words which readers are away, for /health. A reader that comes back goes on by itself.
    """

    def __init__(self, readings: Readings) -> None:
        self._readings = readings
        self._tasks: list[asyncio.Task[None]] = []
        self._streams: list[readers.ReaderStream] = []
        self._lost: dict[str, str] = {}

    async def follow(self, config: readers.ReadersConfig, station_of: Callable[[str], UUID | None]) -> None:
        """Begin to watch; `station_of` names the station of a reader by the reader's name."""
        stream = readers.open_readers(config)
        try:
            await stream.start()
        except readers.ReaderError as e:
            log.warning("document readers are not watched: %s", e.code)
            self._lost["readers"] = e.message
            await stream.aclose()
            return
        self._streams.append(stream)
        self._tasks.append(asyncio.create_task(self._run(stream, station_of), name="document-readers"))

    async def stop(self) -> None:
        for stream in self._streams:
            await stream.aclose()
        await tasks.end(*self._tasks)

    def trouble(self) -> str:
        return " ".join(f"{name}: {reason}" for name, reason in self._lost.items())

    async def _run(self, stream: readers.ReaderStream, station_of: Callable[[str], UUID | None]) -> None:
        async for event in stream:
            try:
                await self._take(event, station_of(event.reader))
            except Exception:
                log.exception("a reading was not taken")

    async def _take(self, event: readers.ReaderEvent, station_id: UUID | None) -> None:
        if isinstance(event, readers.ReaderLost):
            self._lost[event.reader] = event.reason
        elif isinstance(event, readers.ReaderBack):
            self._lost.pop(event.reader, None)
        elif station_id is None:
            return
        elif isinstance(event, readers.DocumentScanned):
            await self._readings.put(station_id, event.reading)
        elif isinstance(event, readers.CardPresented):
            document = event.document
            problem = "" if document else "That card does not say who you are. Scan a license or a passport."
            await self._readings.put(station_id, document, problem)
        elif isinstance(event, readers.Unreadable):
            await self._readings.put(station_id, None, event.reason)

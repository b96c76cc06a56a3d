"""Readings that this node's own readers made, kept in memory for the kiosk that asked for them.

A card's chip is asked by the node, not by the page: the page is told that something was read (`readings` event, the reading's
id) and checks in with that id. A reading is for one station, once, for two minutes.
"""

from __future__ import annotations

import time
from uuid import UUID

from readers import IdDocument
from visitor.db import Event
from visitor.events import EventBus
from visitor.ids import new_id
from visitor.visits.models import UnreadableScan

LIFE_SECONDS = 120.0
_MOST = 1000


class Readings:
    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._kept: dict[UUID, tuple[float, UUID, IdDocument]] = {}

    async def put(self, site_id: UUID, station_id: UUID, document: IdDocument) -> UUID:
        """Keep a reading and tell the station's page."""
        now = time.monotonic()
        self._kept = {k: v for k, v in self._kept.items() if v[0] > now}
        if len(self._kept) >= _MOST:
            self._kept.clear()
        reading_id = new_id()
        self._kept[reading_id] = (now + LIFE_SECONDS, station_id, document)
        await self._bus.tell(Event("readings", station_id, reading_id))
        return reading_id

    def look(self, station_id: UUID, reading_id: UUID) -> IdDocument:
        """The document of a reading; raises UnreadableScan when it is gone or another station's."""
        kept = self._kept.get(reading_id)
        if kept is None or kept[0] < time.monotonic() or kept[1] != station_id:
            raise UnreadableScan("That reading is gone. Present the card again.")
        return kept[2]

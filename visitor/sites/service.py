"""The district's configuration in memory, and the state of each site.

Read whole at start and again at every `sites`, `site_state` or `sync` event: hundreds of rows, asked for on every request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from visitor import db
from visitor.errors import BadInput, NotFound
from visitor.events import EventBus
from visitor.ids import new_id
from visitor.sites import store
from visitor.sites.models import Door, PrinterRow, Site, SiteState, State, Station, Zone


class UnknownStation(BadInput):
    type = "unknown-station"
    title = "There is no such station"


class Sites:
    def __init__(self, database: db.Database, bus: EventBus) -> None:
        self._db = database
        self._sites: dict[UUID, Site] = {}
        self._zones: dict[UUID, Zone] = {}
        self._doors: dict[UUID, Door] = {}
        self._stations: dict[UUID, Station] = {}
        self._printers: dict[UUID, PrinterRow] = {}
        self._states: dict[UUID, SiteState] = {}
        self._loading = asyncio.Lock()
        bus.on(self._on_event)

    async def load(self) -> None:
        # One at a time: a reading begun before an incident must not overwrite one begun after it.
        async with self._loading:
            async with self._db.connection() as conn:
                sites, zones, doors, stations, printers, states = await store.everything(conn)
            self._sites = {s.id: s for s in sites}
            self._zones = {z.id: z for z in zones}
            self._doors = {d.id: d for d in doors}
            self._stations = {s.id: s for s in stations}
            self._printers = {p.id: p for p in printers}
            self._states = {s.site_id: s for s in states}

    async def _on_event(self, event: db.Event) -> None:
        if event.topic in ("sites", "site_state", "sync"):
            await self.load()

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────

    def schools(self) -> list[Site]:
        return [s for s in self._sites.values() if s.kind == "school"]

    def site(self, site_id: UUID) -> Site:
        if site_id not in self._sites:
            raise NotFound("There is no such school.")
        return self._sites[site_id]

    def zones(self, site_id: UUID) -> list[Zone]:
        return [z for z in self._zones.values() if z.site_id == site_id]

    def zone_names(self, zone_ids: Sequence[UUID]) -> list[str]:
        return [self._zones[z].name for z in zone_ids if z in self._zones]

    def zones_named(self, site_id: UUID, names: Sequence[str]) -> list[UUID]:
        """The zones of these names at a site; names that the site does not have are left out."""
        by_name = {z.name: z.id for z in self.zones(site_id)}
        return [by_name[n] for n in names if n in by_name]

    def doors(self, site_id: UUID | None = None) -> list[Door]:
        return [d for d in self._doors.values() if site_id in (None, d.site_id)]

    def door(self, door_id: UUID) -> Door:
        if door_id not in self._doors:
            raise NotFound("There is no such door.")
        return self._doors[door_id]

    def stations(self, site_id: UUID | None = None) -> list[Station]:
        return [s for s in self._stations.values() if site_id in (None, s.site_id)]

    def station(self, station_id: UUID) -> Station:
        """Raises UnknownStation."""
        if station_id not in self._stations:
            raise UnknownStation("There is no station with this id. Pair this device again at the desk.")
        return self._stations[station_id]

    def printers(self, site_id: UUID | None = None) -> list[PrinterRow]:
        return [p for p in self._printers.values() if site_id in (None, p.site_id)]

    def printer(self, printer_id: UUID) -> PrinterRow:
        if printer_id not in self._printers:
            raise NotFound("There is no such printer.")
        return self._printers[printer_id]

    def state(self, site_id: UUID) -> SiteState:
        return self._states.get(site_id) or SiteState(site_id, "normal", False, None, datetime.fromtimestamp(0, UTC))

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────

    async def district(self, tx: db.Tx) -> UUID:
        """The hub's own site, which rows about the whole district belong to; made where it is first needed."""
        new = new_id()
        found = await store.district(tx.conn, new)
        if found == new:
            tx.notify("sites", new, new)
        return found

    async def set_state(self, tx: db.Tx, site_id: UUID, state: State, *, exercise: bool, incident_id: UUID | None) -> SiteState:
        """Set the site's state in the transaction that declares or resolves an incident; doors follow at its commit."""
        new = SiteState(site_id, state, exercise, incident_id, datetime.now(UTC))
        await store.set_state(tx.conn, site_id, state, exercise=exercise, incident_id=incident_id, since=new.since)
        tx.notify("site_state", site_id, site_id)
        return new

    def committed(self, state: SiteState) -> None:
        """A state that is known to be committed holds here even if the database went away before it could be read back."""
        if state.since > self.state(state.site_id).since:
            self._states[state.site_id] = state

    async def set_reader(self, tx: db.Tx, door_id: UUID, reader: str, reader_key: bytes | None, kid: str | None) -> None:
        """Where a door's reader hangs, and its Secure Channel key as the key ring sealed it."""
        await store.set_reader(tx.conn, door_id, reader, reader_key, kid)
        tx.notify("sites", self.door(door_id).site_id, door_id)

    async def add(self, tx: db.Tx, row: Site | Zone | Door | Station | PrinterRow) -> None:
        await store.add(tx.conn, row)
        site_id = row.id if isinstance(row, Site) else row.site_id
        tx.notify("sites", site_id, row.id)

    async def set_printer_address(self, tx: db.Tx, printer_id: UUID, address: str) -> None:
        await store.set_printer_address(tx.conn, printer_id, address)
        tx.notify("sites", self.printer(printer_id).site_id, printer_id)

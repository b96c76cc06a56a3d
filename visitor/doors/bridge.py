"""From the readers at the doors to the decision, and back to lock, lamp and buzzer.

    readers.DoorBus → CardPresented → Doors.tap → relay (first), then green and one beep, or red and two

One bus (and thread) a line, so that a dead device server holds up nobody else's door. Doors are taken one by one (ownership.py)
and looked at again every few seconds and whenever the district's configuration changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from readers import (
    CardPresented,
    CardRead,
    DoorBus,
    DoorEvent,
    DoorReader,
    ReaderBack,
    ReaderError,
    ReaderLost,
    ReaderLostError,
    SerialLine,
    Tampered,
    Unreadable,
)
from visitor import audit, db, metrics, tasks
from visitor.doors.models import NotOurs, Read
from visitor.doors.ownership import Ownership
from visitor.doors.service import READER, Doors, LockFailed, key_place
from visitor.errors import VisitorError
from visitor.events import EventBus
from visitor.keys import KeyProblem, KeyRing
from visitor.sites.models import Door
from visitor.sites.service import Sites

log = logging.getLogger(__name__)
_LOOK_SECONDS = 2.0
_RED_SECONDS = 2.0
# (address, name, key) → reader (hardware.door_reader); ValueError in words.
Device = Callable[[str, str, bytes | None], DoorReader]
_DATABASE_TROUBLE = (VisitorError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class _OsdpLock:
    """One door's lock, lamp and buzzer on its reader. Output 0 is the lock."""

    def __init__(self, bus: DoorBus, reader: str, spawn: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self._bus, self._reader, self._spawn = bus, reader, spawn

    async def open(self, seconds: float) -> None:
        try:
            await self._bus.relay(self._reader, seconds=seconds)
        except (ReaderLostError, KeyError) as e:
            raise LockFailed from e

    def show(self, granted: bool, seconds: float) -> None:
        self._spawn(self._show(granted, seconds))

    async def _show(self, granted: bool, seconds: float) -> None:
        with contextlib.suppress(ReaderLostError, KeyError):  # a reader without lamp or buzzer is a door all the same
            await self._bus.led(self._reader, "green" if granted else "red", seconds=seconds if granted else _RED_SECONDS)
            await self._bus.buzzer(self._reader, times=1 if granted else 2)


class _Line:
    """The bus of one line and the doors on it."""

    def __init__(self, readers: tuple[DoorReader, ...]) -> None:
        self.readers = readers
        self.bus = DoorBus(readers)
        self.task: asyncio.Task[None] | None = None


class Bridge:
    def __init__(self, doors: Doors, sites: Sites, bus: EventBus, database: db.Database, keys: KeyRing, device: Device) -> None:
        self._doors = doors
        self._sites = sites
        self._db = database
        self._keys = keys
        self._device = device
        self._ownership = Ownership(database.url)
        self._lines: dict[Any, _Line] = {}
        self._by_name: dict[str, UUID] = {}
        self._turns: dict[UUID, asyncio.Lock] = {}  # one tap at a time at a door: the escort's before the visitor's
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking = asyncio.Lock()
        self._wake = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        bus.on(self._on_event)

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        await self.look()
        self._keeper = asyncio.create_task(self._keep_looking(), name="door-bridge")

    async def stop(self) -> None:
        await tasks.end(self._keeper)
        for line in list(self._lines):
            await self._close(line)
        await tasks.end(*self._tasks)
        await self._ownership.close()

    async def look(self) -> None:
        """Bring what is driven in line with what is configured and ours."""
        async with self._looking:
            wanted: dict[Any, list[DoorReader]] = {}
            configured = {d.id: d for d in self._sites.doors() if d.reader}
            for door_id in set(self._doors.reader_states) - set(configured):
                del self._doors.reader_states[door_id]
                await self._ownership.release(door_id)
            for door in configured.values():
                reader = await self._mine(door)
                if reader is not None:
                    wanted.setdefault(reader.line, []).append(reader)
            for line in [k for k, v in self._lines.items() if v.readers != tuple(wanted.get(k, ()))]:
                await self._close(line)
            for line, readers in wanted.items():
                if line not in self._lines:
                    await self._open(line, tuple(readers))
            states = [state for state, _ in self._doors.reader_states.values()]
            for state in ("online", "starting", "lost", "elsewhere"):
                metrics.DOOR_READERS.labels(state).set(states.count(state))

    async def _mine(self, door: Door) -> DoorReader | None:
        """The door's reader, when this process is to drive it; otherwise its state says why not."""
        states = self._doors.reader_states
        name = door.id.hex[-12:]
        try:
            key = None
            if door.reader_key is not None and door.kid is not None:
                key = self._keys.open(door.reader_key, door.kid, key_place(door.id))
            reader = self._device(door.reader, name, key)
            _check_device(reader)
        except (ValueError, KeyProblem) as e:
            # Another process may have what this one lacks.
            if await self._ownership.own(door.id):
                await self._ownership.release(door.id)
                states[door.id] = ("lost", e.detail if isinstance(e, KeyProblem) else str(e))
            else:
                states[door.id] = ("elsewhere", "")
            return None
        if not await self._ownership.own(door.id):
            states[door.id] = ("elsewhere", "")
            return None
        self._by_name[name] = door.id
        return reader

    async def _open(self, line: Any, readers: tuple[DoorReader, ...]) -> None:
        try:
            made = _Line(readers)
            await made.bus.start()
        except ReaderError as e:
            for reader in readers:
                self._doors.reader_states[self._by_name[reader.name]] = ("lost", e.message)
            return
        self._lines[line] = made
        for reader in readers:
            door_id = self._by_name[reader.name]
            self._doors.locks[door_id] = _OsdpLock(made.bus, reader.name, self._spawn)
            self._doors.reader_states[door_id] = ("starting", "")
        made.task = asyncio.create_task(self._run(made.bus), name="door-line")

    async def _close(self, line: Any) -> None:
        made = self._lines.pop(line)
        for reader in made.readers:
            door_id = self._by_name[reader.name]
            self._doors.locks.pop(door_id, None)
            if self._doors.reader_states.get(door_id, ("", ""))[0] in ("online", "starting"):
                self._doors.reader_states[door_id] = ("starting", "")
        await tasks.end(made.task)
        await made.bus.close()

    async def _keep_looking(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self.look()
            except Exception:
                log.exception("the doors' readers could not be looked at; trying again")

    async def _on_event(self, event: db.Event) -> None:
        if event.topic == "sites":
            self._wake.set()

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────

    async def _run(self, bus: DoorBus) -> None:
        while True:
            event = await bus.next_event()
            self._spawn(self._take(self._by_name[event.reader], event))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, door_id: UUID, event: DoorEvent) -> None:
        async with self._turns.setdefault(door_id, asyncio.Lock()):
            try:
                match event:
                    case CardPresented(card=card):
                        await self._doors.tap(door_id, self._read(card), READER)
                    case Unreadable():
                        await self._doors.tap(door_id, NotOurs("unreadable"), READER)
                    case ReaderLost(reason=reason):
                        self._doors.reader_states[door_id] = ("lost", reason)
                        await self._tell(door_id, "door.reader_lost")
                    case ReaderBack():
                        self._doors.reader_states[door_id] = ("online", "")
                        await self._tell(door_id, "door.reader_back")
                    case Tampered(open=opened):
                        sentence = "The reader's housing is open. Have somebody look at it." if opened else ""
                        self._doors.reader_states[door_id] = ("online", sentence)
                        await self._tell(door_id, "door.tampered" if opened else "door.tamper_ended")
            except Exception:
                # One tap that goes wrong must not end the line's task; the door stays closed.
                log.exception("an event at a door was not taken")

    def _read(self, card: CardRead) -> Read:
        try:
            return self._doors.read_card(card.format, card.bits or card.identifier)
        except VisitorError:
            return NotOurs("unreadable")

    async def _tell(self, door_id: UUID, action: str) -> None:
        """Audit a reader's coming and going, and let pages look; without the database the log has to do."""
        log.log(logging.INFO if action in ("door.reader_back", "door.tamper_ended") else logging.WARNING, "%s %s", action, door_id)
        with contextlib.suppress(*_DATABASE_TROUBLE):
            async with asyncio.timeout(5), self._db.transaction() as tx:
                door = self._sites.door(door_id)
                await audit.record(tx, door.site_id, "system", action, door_id)
                tx.notify("doors", door.site_id, door_id)


def _check_device(reader: DoorReader) -> None:
    """Raise ValueError when the reader's serial port is not on this machine: it may be on another process's."""
    if isinstance(reader.line, SerialLine) and not Path(reader.line.path).exists():
        raise ValueError(f"The device {reader.line.path} is not there. Check its cable.")

"""Taps: read, decide from memory, journal, then move the lock. PostgreSQL hears of it afterwards.

    presented → Read → decide() → journal on this machine's disk → relay, LED, buzzer → (later) door_events and audit

No step up to the relay asks the database. When the journal cannot be written, PostgreSQL is tried as the second place to keep
the event; when neither can keep it, nobody is let in but the police in an incident: no missing disk space may stop them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol
from uuid import UUID

import asyncpg

from readers import CardError, decode_wiegand
from visitor import audit, db, metrics, tasks
from visitor.doors import store
from visitor.doors.access import Access
from visitor.doors.decision import decide
from visitor.doors.journal import Journal, JournalFull
from visitor.doors.models import (
    ESCORT_WINDOW,
    REASONS,
    Denied,
    DoorEvent,
    DoorState,
    DoorView,
    Granted,
    KeyedCard,
    LastTap,
    NotOurs,
    Read,
    ReaderState,
    TapAnswer,
    TokenRead,
    Verdict,
)
from visitor.errors import BadInput, VisitorError
from visitor.events import EventBus
from visitor.ids import new_id
from visitor.keys import KeyRing, TokenInvalid, token_bytes
from visitor.security import Principal
from visitor.sites.models import Door
from visitor.sites.service import Sites

log = logging.getLogger(__name__)
_DRAIN_RETRY_SECONDS = 1.0
_KEEP_UNWRITTEN = 1000  # events of the police that no disk would take, kept in memory until one does
_DATABASE_SECONDS = 1.0
_ELSEWHERE_SECONDS = 3.0  # how long another process has to say that its lock opened
READER = "reader"  # the source of a tap at a reader that is wired to this process


class LockFailed(Exception):
    """The lock did not take the command to open."""


class Lock(Protocol):
    """What stands at a door and is wired to this process (doors/bridge.py)."""

    async def open(self, seconds: float) -> None:
        """Release the lock for so long; it closes by itself. Raises LockFailed."""

    def show(self, granted: bool, seconds: float) -> None:
        """Lamp and buzzer, without waiting for them."""


class Doors:
    """Doors whose lock is wired to this process are opened here (`locks`). Where another process of this database has the
    lock, it is told to open and its word is waited for; where nobody has, whoever brought the tap moves the lock."""

    def __init__(
        self, database: db.Database, bus: EventBus, sites: Sites, keys: KeyRing, identifier: Callable[[str, str], bytes], folder: Path
    ) -> None:
        self._db = database
        self._sites = sites
        self._keys = keys
        self._identifier = identifier
        self.access = Access(database, bus, lambda: [s.id for s in sites.schools()])
        self.journal = Journal(folder)
        self._journal_open = False
        self._unwritten: deque[DoorEvent] = deque(maxlen=_KEEP_UNWRITTEN)
        self._staff_taps: dict[UUID, dict[UUID, datetime]] = {}  # door → staff → when they opened it
        self._last: dict[UUID, LastTap] = {}
        self._drainer: asyncio.Task[None] | None = None
        self._asked: dict[UUID, set[asyncio.Future[bool]]] = {}  # door → taps that wait for another process's lock
        self._opening: set[asyncio.Task[None]] = set()
        # Set by the bridge:
        self.locks: dict[UUID, Lock] = {}
        self.reader_states: dict[UUID, tuple[ReaderState, str]] = {}  # state and a sentence
        bus.on(self._on_event)

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        await asyncio.to_thread(self._open_journal)
        await self.access.load()
        async with self._db.connection() as conn:
            self._last = await store.last_taps(conn)
        self._drainer = asyncio.create_task(self._drain(), name="door-drain")

    async def stop(self) -> None:
        """Drain what is left, for a moment, then close. What stays is drained by the next start."""
        if self._drainer is not None:
            await tasks.end(self._drainer)
            if self._journal_open:
                with contextlib.suppress(VisitorError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                    async with asyncio.timeout(2):
                        while self.journal.waiting:
                            await self._drain_once()
        await tasks.end(*self._opening)
        await self.access.stop()
        if self._journal_open:
            await self.journal.close()

    def _open_journal(self) -> None:
        try:
            self.journal.open()
            self._journal_open = True
        except JournalFull as e:
            self.journal.trouble = str(e)
            log.error("the doors' journal cannot be opened: %s", e)

    def trouble(self) -> str:
        """What /health says about the doors, or ""."""
        sentences = [self.access.trouble()]
        if self.journal.trouble:
            sentences.append(
                f"The doors' journal cannot be written ({self.journal.trouble}). Doors open for visitors and staff only while "
                "PostgreSQL can record it instead; the police are always let in during an incident. Free disk space in the data folder."
            )
        if self.journal.damaged_lines:
            sentences.append(f"{self.journal.damaged_lines} lines of the doors' journal were damaged and could not be kept.")
        lost = sorted(self._sites.door(d).name for d, (state, _) in self.reader_states.items() if state == "lost" and self._has(d))
        if lost:
            sentences.append(f"No answer from the reader at: {', '.join(lost)}. Check its power, cable and key; use a key for the door.")
        sentences += [f"{self._sites.door(d).name}: {text}" for d, (state, text) in self.reader_states.items()
                      if state == "online" and text and self._has(d)]
        return " ".join(s for s in sentences if s)

    def _has(self, door_id: UUID) -> bool:
        return any(d.id == door_id for d in self._sites.doors())

    # ── a tap ────────────────────────────────────────────────────────────────────────────────────────────

    def last_tap(self, door_id: UUID) -> LastTap | None:
        return self._last.get(door_id)

    def read_token(self, text: str) -> Read:
        """A scanned text as a read: the signature is checked here, whether it counts in the decision."""
        try:
            return TokenRead(self._keys.verify(token_bytes(text)))
        except TokenInvalid:
            return NotOurs("unknown-badge")

    def read_card(self, format: str, bits: str) -> Read:
        """A card as a read. Only the keyed hash goes further: the number is not kept.

        A controller may call a Wiegand format by a name of its own: a card not known under that name is looked for under the
        layout that its length and parity show. Raises CardUnreadable.
        """
        read = KeyedCard(self._identifier(format, bits))
        if read.identifier not in self.access.table.standing:
            with contextlib.suppress(CardError):
                shown = decode_wiegand(bits)
                if shown.format != "raw":
                    return KeyedCard(self._identifier(shown.format, bits))
        return read

    async def tap(self, door_id: UUID, read: Read, source: str) -> Verdict:
        """Decide, journal, then open. Raises NotFound for an unknown door."""
        started = time.perf_counter()
        door = self._sites.door(door_id)
        verdict = self._decide(door, read)
        event = self._event(door, verdict, source)
        kept = await self._keep(event, verdict)
        if not kept:
            verdict = Denied("not-recorded", verdict.holder, verdict.visit_id, verdict.credential_id, verdict.standing_id)
        elif isinstance(verdict, Granted):
            # The disk took a moment; an incident declared in it counts.
            again = self._decide(door, read)
            if isinstance(again, Denied):
                verdict = again
                event = self._event(door, verdict, source)
                await self._keep(event, verdict)
        metrics.TAP_SECONDS.observe(time.perf_counter() - started)
        if isinstance(verdict, Granted):
            if verdict.staff_id is not None:
                self._staff_taps.setdefault(door.id, {})[verdict.staff_id] = event.at
            verdict = await self._open(door, verdict, source)
        shown: Literal["granted", "denied"] = "granted" if isinstance(verdict, Granted) else "denied"
        if (lock := self.locks.get(door.id)) is not None:
            lock.show(shown == "granted", door.relock_seconds)
        metrics.TAPS.labels(shown).inc()
        self._last[door.id] = LastTap(event.at, shown, verdict.reason, verdict.holder, verdict.visit_id)
        return verdict

    async def _open(self, door: Door, verdict: Granted, source: str) -> Verdict:
        lock = self.locks.get(door.id)
        try:
            if lock is not None:
                await lock.open(door.relock_seconds)
            elif door.reader and source != READER:
                await self._open_elsewhere(door)
        except (LockFailed, VisitorError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            failed = Denied("relay-failed", verdict.holder, verdict.visit_id, verdict.credential_id, verdict.standing_id)
            await self._keep(self._event(door, failed, source), failed)
            return failed
        return verdict

    async def _open_elsewhere(self, door: Door) -> None:
        """Have the process that the reader is wired to open, and wait for its word. Raises LockFailed, TimeoutError.

        Its word is about the door, not about one tap: of taps at the same moment any opening is everybody's.
        """
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        asked = self._asked.setdefault(door.id, set())
        asked.add(answer)
        try:
            async with asyncio.timeout(_ELSEWHERE_SECONDS):
                async with asyncio.timeout(_DATABASE_SECONDS), self._db.transaction() as tx:
                    tx.notify("door_open", door.site_id, door.id)
                if not await answer:
                    raise LockFailed
        finally:
            asked.discard(answer)

    def _decide(self, door: Door, read: Read) -> Verdict:
        now = datetime.now(UTC)
        taps = self._staff_taps.get(door.id, {})
        for staff_id in [s for s, at in taps.items() if at < now - ESCORT_WINDOW]:
            del taps[staff_id]
        view = DoorView(door.id, door.site_id, door.zone_id, taps)
        return decide(read, view, self.access.table, self._sites.state(door.site_id), now)

    @staticmethod
    def _event(door: Door, verdict: Verdict, source: str) -> DoorEvent:
        return DoorEvent(
            id=new_id(), site_id=door.site_id, door_id=door.id, at=datetime.now(UTC),
            verdict="granted" if isinstance(verdict, Granted) else "denied", reason=verdict.reason, holder=verdict.holder,
            visit_id=verdict.visit_id, credential_id=verdict.credential_id, standing_id=verdict.standing_id, source=source,
        )

    async def _keep(self, event: DoorEvent, verdict: Verdict) -> bool:
        """Whether the event is on a disk, or may be acted upon without: a denial, and the police in an incident."""
        if self._journal_open:
            with contextlib.suppress(JournalFull):
                await self.journal.append(event)
                return True
        try:
            async with asyncio.timeout(_DATABASE_SECONDS), self._db.transaction() as tx:
                await store.add_events(tx, [event])
            return True
        except (VisitorError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            log.error("a door event could be kept neither on disk nor in the database")
        if isinstance(verdict, Denied) or verdict.reason == "police":
            self._unwritten.append(event)
            return True
        return False

    # ── other processes on this database ─────────────────────────────────────────────────────────────────

    async def _on_event(self, event: db.Event) -> None:
        if event.topic == "door_open" and (lock := self.locks.get(event.subject)) is not None:
            # Aside: what else is told meanwhile does not wait for a lock.
            task = asyncio.create_task(self._open_for_another(self._sites.door(event.subject), lock), name="door-open")
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        elif event.topic in ("door_opened", "door_stuck"):
            for answer in self._asked.get(event.subject, ()):
                if not answer.done():
                    answer.set_result(event.topic == "door_opened")
        elif event.topic == "doors" and not self._all_here():
            await self._look_at(event.site_id, event.subject)

    async def _open_for_another(self, door: Door, lock: Lock) -> None:
        """Open for a tap that another process decided, and tell it whether the lock moved."""
        opened = True
        try:
            await lock.open(door.relock_seconds)
        except LockFailed:
            opened = False
            log.warning("a lock did not open for a tap that another process decided")
        lock.show(opened, door.relock_seconds)
        with contextlib.suppress(VisitorError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            async with asyncio.timeout(_DATABASE_SECONDS), self._db.transaction() as tx:
                tx.notify("door_opened" if opened else "door_stuck", door.site_id, door.id)

    def _all_here(self) -> bool:
        """Whether the table could not gain by knowing taps that another process decided: nobody needs an escort now."""
        return not any(c.escorted and c.state == "active" for c in self.access.table.visits.values())

    async def _look_at(self, site_id: UUID, door_id: UUID) -> None:
        """An escort may tap at a door through one process and the visitor through another."""
        since = datetime.now(UTC) - ESCORT_WINDOW
        async with self._db.connection() as conn:
            found = await store.staff_taps(conn, site_id, door_id, since)
        taps = self._staff_taps.setdefault(door_id, {})
        for staff_id, at in found:
            taps[staff_id] = max(at, taps.get(staff_id, at))

    # ── draining ─────────────────────────────────────────────────────────────────────────────────────────

    async def _drain(self) -> None:
        while True:
            try:
                if not self._journal_open:
                    await asyncio.sleep(_DRAIN_RETRY_SECONDS)
                    await asyncio.to_thread(self._open_journal)
                elif self._unwritten:
                    await asyncio.sleep(_DRAIN_RETRY_SECONDS)
                else:
                    async with asyncio.timeout(_DRAIN_RETRY_SECONDS):
                        await self.journal.arrived()
                await self._drain_once()
            except TimeoutError:
                continue
            except (VisitorError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(_DRAIN_RETRY_SECONDS)

    async def _drain_once(self) -> None:
        while self._unwritten:
            event = self._unwritten[0]
            async with self._db.transaction() as tx:
                await store.add_events(tx, [event])
            self._unwritten.popleft()
        while self._journal_open and self.journal.waiting:
            events, position = self.journal.batch()
            if position == self.journal.position:
                return
            async with self._db.transaction() as tx:
                await store.add_events(tx, events)
            self.journal.drained(position)
            metrics.JOURNAL_WAITING.set(self.journal.waiting)

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────

    def states(self, principal: Principal, site_id: UUID) -> list[DoorState]:
        """The doors of a site: reader, lock trouble and last tap."""
        principal.require(site_id)
        zones = {z.id: z.name for z in self._sites.zones(site_id)}
        answer = []
        for door in self._sites.doors(site_id):
            state, sentence = self.reader_states.get(door.id, ("none" if not door.reader else "elsewhere", ""))
            answer.append(DoorState(door.id, site_id, door.name, zones.get(door.zone_id, ""), state, sentence, self._last.get(door.id)))
        return answer

    async def events(self, principal: Principal, site_id: UUID, door_id: UUID | None = None, limit: int = 100) -> list[DoorEvent]:
        """What happened at a site's doors, newest first."""
        principal.require(site_id)
        async with self._db.connection() as conn:
            return await store.recent_events(conn, site_id, door_id, min(max(limit, 1), 500))

    async def set_reader(self, principal: Principal, door_id: UUID, address: str, key: bytes | None) -> None:
        """Say where a door's reader hangs and which Secure Channel key was put into it; None keeps the key there is.

        The key is sealed by the key ring and never shown again. Raises NotFound, Forbidden, BadInput.
        """
        door = self._sites.door(door_id)
        principal.require(door.site_id, "admin")
        if address and not address.startswith(("osdp+serial:///dev/", "osdp+tcp://", "osdp+virtual://")):
            raise BadInput("The reader's address must begin with osdp+serial:///dev/ or osdp+tcp://, or be empty for none.")
        if len(address) > 300 or not address.isprintable():
            raise BadInput("The reader's address is too long.")
        if key is not None and len(key) != 16:
            raise BadInput("The Secure Channel key must be 16 bytes: 32 hexadecimal digits.")
        sealed, kid = (door.reader_key, door.kid) if key is None else (self._keys.seal(key, key_place(door.id)), self._keys.kid)
        async with self._db.transaction() as tx:
            await self._sites.set_reader(tx, door.id, address, sealed, kid)
            await audit.record(tx, door.site_id, principal.actor, "door.reader_set", door.id, key_changed=key is not None)

    def require_door(self, principal: Principal, door_id: UUID) -> Door:
        """The door, if the caller may bring taps to it. Raises NotFound, Forbidden."""
        door = self._sites.door(door_id)
        principal.require(door.site_id, "doors")
        return door


def key_place(door_id: UUID) -> str:
    """What a reader's sealed key is bound to, so that it opens for its own door only."""
    return f"doors.reader_key:{door_id}"


def answer_of(verdict: Verdict) -> TapAnswer:
    return TapAnswer("granted" if isinstance(verdict, Granted) else "denied", verdict.reason, REASONS[verdict.reason])

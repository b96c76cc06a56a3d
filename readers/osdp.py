"""OSDP door readers (SIA OSDP 2.2, IEC 60839-11-5) over libosdp: the only importer of ``osdp``.

``DoorBus`` runs the control panel's side in one thread of its own, so a busy event loop never delays a door. Secure
Channel is enforced with a key per reader: a reader with another key, or with none, never comes online.

The thread sleeps in ``select`` until a line has bytes, a command waits, or it is time for the next poll. libosdp's own
loop (a fixed sleep of 20 ms) took 95 ms for a card; a fixed 1 ms took 53 ms and a good part of a core.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import os
import select
import threading
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Literal

import msgspec

from . import wiegand
from .cards.read import CardFormat, CardRead
from .errors import ConfigError, ReaderLostError, ReaderUnavailableError
from .events import CardPresented, DoorEvent, KeysPressed, ReaderBack, ReaderLost, Tampered, Unreadable
from .line import DescriptorLine, SerialLine, TcpLine, check_line
from .osdp_channel import BusChannel

__all__ = ["Color", "DoorBus", "DoorReader"]

Color = Literal["off", "red", "green", "amber", "blue", "magenta", "cyan", "white"]

_IDLE_S = 0.02
_BUSY_S = 0.001
_BUSY_FOR_S = 0.05
# libosdp waits five minutes before it asks a reader again that it gave up on; asked anew it answers in 0.03 s.
_RETRY_S = 0.8
# A silent reader is polled this long before it counts as lost (libosdp alone takes about 8 s to say so).
_SILENCE_S = 3.0
# A command is tried again until its caller gives up, and not at all in the last moment: libosdp waits 200 ms for an answer.
_COMMAND_TIMEOUT_S = 3.0
_ANSWER_S = 0.25
# A reader that was late for libosdp is back in a quarter of a second; commands of this long wait for it.
_BACK_S = 1.0
# OUT, LED, BUZ, TEXT (SIA OSDP 2.2, annex A).
_COMMAND_CODES = frozenset(range(0x68, 0x6C))
_QUEUE_LIMIT = 10_000


class DoorReader(msgspec.Struct, frozen=True, kw_only=True):
    """One reader on a line. Readers with equal ``line`` share it (multi-drop RS-485), told apart by ``address``.

    ``key`` is this reader's 16-byte Secure Channel base key. ``formats`` says which layout wins where two fit.
    """

    name: str
    address: int
    key: bytes
    line: SerialLine | TcpLine | DescriptorLine
    formats: tuple[CardFormat, ...] = ("H10302",)

    def __repr__(self) -> str:
        return f"DoorReader(name={self.name!r}, address={self.address})"


def driver() -> Any:
    """libosdp's Python module. Raises ReaderUnavailableError ``no_libosdp``."""
    try:
        import osdp
    except ImportError:
        raise ReaderUnavailableError("no_libosdp", "Door readers need libosdp. Install the readers extra.") from None
    return osdp


class _Command:
    def __init__(self, index: int, body: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        self.index, self.body, self.loop = index, body, loop
        self.done: asyncio.Future[None] = loop.create_future()
        self._until = time.monotonic() + _COMMAND_TIMEOUT_S - _ANSWER_S
        self._finished = False

    @property
    def wanted(self) -> bool:
        """Whether its caller still waits, and an answer to what is sent now would still reach it. For any thread."""
        return not self._finished and not self.done.done() and time.monotonic() < self._until

    def finish(self, error: Exception | None) -> None:
        self._finished = True

        def settle() -> None:
            if self.done.done():
                return
            if error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(error)

        with contextlib.suppress(RuntimeError):  # the loop may be gone when the program ends
            self.loop.call_soon_threadsafe(settle)


class DoorBus:
    """All door readers of one process. ``async with`` it, iterate its events, call its commands by a reader's name.

    Events: CardPresented, KeysPressed, Tampered, ReaderLost, ReaderBack, Unreadable. Raises ConfigError for names or
    addresses given twice, or a key that is not 16 bytes; ReaderUnavailableError without libosdp.
    """

    def __init__(self, readers: tuple[DoorReader, ...] | list[DoorReader]) -> None:
        self._osdp = driver()
        self._readers = tuple(readers)
        _check(self._readers)
        self._index = {reader.name: index for index, reader in enumerate(self._readers)}
        self._places = {(reader.line, reader.address): index for index, reader in enumerate(self._readers)}
        self._channels: dict[Any, BusChannel] = {}
        self._events: asyncio.Queue[DoorEvent | None] = asyncio.Queue(_QUEUE_LIMIT)
        self._commands: deque[_Command] = deque()
        self._pending: list[deque[_Command]] = [deque() for _ in self._readers]
        # What libosdp has in hand, one for each reader: it cannot be asked to give back a command it began.
        self._given: list[_Command | None] = [None] * len(self._readers)
        self._online = [False] * len(self._readers)
        self._late_at = [-math.inf] * len(self._readers)
        self._reported = [False] * len(self._readers)
        self._retry_at = [0.0] * len(self._readers)
        self._tampered = [False] * len(self._readers)
        self._busy_until = 0.0
        self._stopping = False
        self._started = 0.0
        self._wake_read, self._wake_write = -1, -1
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._context: Any = None

    async def __aenter__(self) -> DoorBus:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[DoorEvent]:
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[DoorEvent]:
        while (event := await self._events.get()) is not None:
            yield event
        self._events.put_nowait(None)

    async def next_event(self) -> DoorEvent:
        """The next event, waiting for it. Raises ReaderLostError once the bus is closed."""
        event = await self._events.get()
        if event is None:
            self._events.put_nowait(None)
            raise ReaderLostError("door bus", "The door bus was closed.")
        return event

    def online(self, reader: str) -> bool:
        """Whether the reader answers over its Secure Channel now. KeyError for an unknown name."""
        return self._online[self._index[reader]]

    async def start(self) -> None:
        """Open the lines and begin to poll."""
        self._loop = asyncio.get_running_loop()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        await asyncio.to_thread(self._open)
        self._thread = threading.Thread(target=self._run, name="door-bus", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Stop polling and close the lines; commands still waiting fail with ReaderLostError. Safe to call twice."""
        if self._stopping:
            return
        self._stopping = True
        if self._thread is not None:
            self._wake()
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        for command in [*self._commands, *(each for queue in self._pending for each in queue), *filter(None, self._given)]:
            command.finish(ReaderLostError(self._readers[command.index].name, "The door bus was closed."))
        self._commands.clear()
        for channel in self._channels.values():
            channel.close()
        if self._wake_read >= 0:
            os.close(self._wake_read)
            os.close(self._wake_write)
            self._wake_read = self._wake_write = -1
        self._context = None
        # Reports of the thread are still on their way into the loop: the end comes after them.
        asyncio.get_running_loop().call_soon(self._put, None)

    # Commands. One that fails because the reader was late, or gone for a moment, is tried again until ``_COMMAND_TIMEOUT_S``.
    # ReaderLostError means that it was not confirmed: nothing of it is sent from then on.

    async def led(self, reader: str, color: Color, *, seconds: float | None = None, blink: bool = False, led: int = 0) -> None:
        """Show ``color``; for ``seconds`` when given (then the lasting color returns), else until changed.

        Raises KeyError, ReaderLostError (the reader does not answer or refused), ValueError for a number that OSDP has no room for.
        """
        code = ("off", "red", "green", "amber", "blue", "magenta", "cyan", "white").index(color)
        body = {
            "command": self._osdp.Command.LED, "reader": 0, "led_number": led, "control_code": 2 if seconds is not None else 1,
            "on_count": 2, "off_count": 2 if blink else 0, "on_color": code, "off_color": 0 if blink else code,
            "timer_count": _tenths(seconds or 0), "temporary": seconds is not None,
        }  # fmt: skip
        await self._submit(reader, body)

    async def buzzer(self, reader: str, *, times: int = 1, on_s: float = 0.1, off_s: float = 0.1) -> None:
        """Sound ``times`` beeps; 0 is silence."""
        control = 2 if times else 1
        body = {
            "command": self._osdp.Command.Buzzer, "reader": 0, "control_code": control,
            "on_count": max(1, _tenths(on_s)), "off_count": _tenths(off_s), "rep_count": max(1, times),
        }  # fmt: skip
        await self._submit(reader, body)

    async def relay(self, reader: str, *, seconds: float | None = None, on: bool = True, output: int = 0) -> None:
        """Drive an output: on for ``seconds`` (the reader itself turns it off again), or until changed."""
        if seconds is not None:
            control, timer = (5 if on else 6), max(1, _tenths(seconds))
        else:
            control, timer = (2 if on else 1), 0
        await self._submit(
            reader, {"command": self._osdp.Command.Output, "output_no": output, "control_code": control, "timer_count": timer}
        )

    async def text(self, reader: str, text: str, *, seconds: float | None = None, row: int = 1, column: int = 1) -> None:
        """Show a line of up to 32 ASCII characters; for ``seconds`` when given (whole seconds, at least one)."""
        plain = text.encode("ascii", "replace").decode("ascii")[:32]
        body = {
            "command": self._osdp.Command.Text, "reader": 0, "control_code": 1 if seconds is None else 3,
            "temp_time": 0 if seconds is None else min(255, max(1, round(seconds))), "offset_row": row, "offset_col": column, "data": plain,
        }  # fmt: skip
        await self._submit(reader, body)

    async def _submit(self, reader: str, body: dict[str, Any]) -> None:
        index = self._index[reader]
        for field, value in body.items():
            # libosdp's module queues a command with a negative number, and then raises in the thread of all readers.
            if isinstance(value, int) and not 0 <= value <= (65_535 if field == "timer_count" else 255):
                raise ValueError(f"{field} of a door reader's command must be from 0 to 255.")
        if self._stopping or not (self._online[index] or time.monotonic() - self._late_at[index] < _BACK_S):
            raise ReaderLostError(reader)
        command = _Command(index, body, asyncio.get_running_loop())
        self._commands.append(command)
        self._wake()
        try:
            await asyncio.wait_for(command.done, _COMMAND_TIMEOUT_S)
        except TimeoutError:
            raise ReaderLostError(reader) from None

    # The bus thread: from here on nothing but ``_report`` and ``_Command.finish`` touches the event loop.

    def _open(self) -> None:
        osdp = self._osdp
        infos = []
        for reader in self._readers:
            channel = self._channels.get(reader.line)
            if channel is None:
                may_send = functools.partial(self._may_send, reader.line)
                channel = self._channels[reader.line] = BusChannel(reader.line, reader.name, may_send)
            flags = [osdp.LibFlag.EnforceSecure, osdp.LibFlag.EnableNotification]
            infos.append(osdp.PDInfo(reader.address, channel, scbk=reader.key, name=reader.name[:15], flags=flags))
        panel = osdp.ControlPanel(infos, log_level=osdp.LogLevel.Emergency)
        self._context = panel.ctx
        # The wrapper's own handlers print, and queue every event a second time without bound.
        self._context.set_event_callback(self._on_event)
        self._context.set_command_completion_callback(self._on_done)

    def _run(self) -> None:
        context = self._context
        self._started = time.monotonic()
        while not self._stopping:
            self._start_commands()
            context.refresh()
            now = time.monotonic()
            self._follow(now)
            for channel in self._channels.values():
                if channel.due(now):
                    channel.reopen()
            waiting = [self._wake_read, *(channel.fileno() for channel in self._channels.values() if channel.fileno() >= 0)]
            busy = now < self._busy_until
            try:
                ready, _, _ = select.select(waiting, [], [], _BUSY_S if busy else _IDLE_S)
            except (OSError, ValueError):
                continue  # a line went away between being listed and being waited for
            if self._wake_read in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)

    def _start_commands(self) -> None:
        while self._commands:
            command = self._commands.popleft()
            self._pending[command.index].append(command)
        for index, queue in enumerate(self._pending):
            given = self._given[index]
            if given is not None and not given.wanted:
                self._context.flush_commands(index)  # which reports it done, unless it was begun: then ``_may_send`` ends it
            while queue and not queue[0].wanted:
                queue.popleft()
            if queue and self._given[index] is None and self._online[index]:
                self._give(index, queue)

    def _give(self, index: int, queue: deque[_Command]) -> None:
        command = self._given[index] = queue.popleft()
        self._busy_until = time.monotonic() + _BUSY_FOR_S
        try:
            accepted = self._context.submit_command(index, command.body)
        except (TypeError, ValueError, KeyError):
            accepted = False
        if accepted:
            return
        self._given[index] = None
        if self._answers(index):
            command.finish(ReaderLostError(self._readers[index].name))
        else:
            queue.appendleft(command)

    def _may_send(self, line: SerialLine | TcpLine | DescriptorLine, address: int, code: int) -> bool:
        """Whether a frame may go out: a command's only while its caller waits for it, whenever libosdp says it (again)."""
        if code not in _COMMAND_CODES:
            return True
        given = self._given[self._places[line, address]]
        return given is not None and given.wanted

    def _answers(self, index: int) -> bool:
        return bool(self._context.status() & self._context.sc_status() & 1 << index)

    def _follow(self, now: float) -> None:
        """Compare who answers with who did, and ask the lost again before libosdp would."""
        for index, reader in enumerate(self._readers):
            silent = now - self._channels[reader.line].heard_at > _SILENCE_S
            online = self._answers(index) and not silent
            if online == self._online[index]:
                if not online and now >= self._retry_at[index]:
                    self._restart(index, now)
                if not online and not self._reported[index] and now - self._started > _SILENCE_S:
                    self._report_lost(index)
                continue
            self._online[index] = online
            if online:
                self._reported[index] = False
                self._report(ReaderBack(reader.name))
            else:
                if silent:
                    self._give_up(index)
                else:
                    self._late_at[index] = now
                self._restart(index, now)
                self._report_lost(index)

    def _give_up(self, index: int) -> None:
        for command in [*filter(None, [self._given[index]]), *self._pending[index]]:
            command.finish(ReaderLostError(self._readers[index].name))
        self._pending[index].clear()

    def _report_lost(self, index: int) -> None:
        reader = self._readers[index]
        self._reported[index] = True
        self._report(ReaderLost(reader.name, "The door reader does not answer. Check its power, its cable and its key."))

    def _restart(self, index: int, now: float) -> None:
        self._retry_at[index] = now + _RETRY_S
        self._context.disable_pd(index)
        self._context.refresh()
        self._context.enable_pd(index)
        self._busy_until = now + 2 * _BUSY_FOR_S

    def _on_event(self, index: int, event: dict[str, Any]) -> int:
        osdp = self._osdp
        reader = self._readers[index]
        self._busy_until = time.monotonic() + _BUSY_FOR_S
        kind = event.get("event")
        if kind == osdp.Event.CardRead:
            self._report(self._card(reader, event))
        elif kind == osdp.Event.KeyPress:
            keys = bytes(event.get("data") or b"")
            self._report(KeysPressed(reader.name, keys.decode("ascii", "replace").replace("\x7f", "*").replace("\r", "#")))
        elif kind == osdp.Event.Status and event.get("type") == osdp.StatusReportType.Local:
            report = bytes(event.get("report") or b"")
            tampered = bool(report[:1].strip(b"\x00"))
            if tampered != self._tampered[index]:
                self._tampered[index] = tampered
                self._report(Tampered(reader.name, tampered))
        return 0

    def _card(self, reader: DoorReader, event: dict[str, Any]) -> DoorEvent:
        data = bytes(event.get("data") or b"")
        if event.get("format") == self._osdp.CardFormat.ASCII:
            text = data.decode("ascii", "replace").strip()
            return CardPresented(reader.name, CardRead(reader=reader.name, format="ascii", identifier=text))
        length = int(event.get("length") or 0)
        bits = "".join(f"{byte:08b}" for byte in data)[:length]
        if not bits or len(bits) > wiegand.MAX_BITS:
            return Unreadable(reader.name, "bad_bits", "The card was not read whole. Present it again.")
        return CardPresented(reader.name, wiegand.decode(bits, reader=reader.name, prefer=reader.formats))

    def _on_done(self, index: int, _body: dict[str, Any], status: int) -> None:
        given, self._given[index] = self._given[index], None
        if given is None:
            return
        reader, outcome = self._readers[index], self._osdp.CompletionStatus
        if status == outcome.Ok:
            given.finish(None)
        elif status == outcome.Failed and self._channels[reader.line].refused():
            given.finish(ReaderLostError(reader.name, "The door reader refused the command."))
        elif status == outcome.Failed and given.wanted:
            self._pending[index].appendleft(given)  # late, damaged or lost on its way: again, once the reader answers
        else:
            given.finish(ReaderLostError(reader.name))

    def _report(self, event: DoorEvent) -> None:
        assert self._loop is not None

        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._put, event)

    def _put(self, event: DoorEvent | None) -> None:
        # A consumer that stopped reading must not grow this without end: the oldest event goes first.
        if self._events.full():
            self._events.get_nowait()
        self._events.put_nowait(event)

    def _wake(self) -> None:
        if self._wake_write >= 0:
            with contextlib.suppress(BlockingIOError):
                os.write(self._wake_write, b"\x00")


def _tenths(seconds: float) -> int:
    """OSDP counts in units of 100 ms."""
    return min(65_535, max(0, round(seconds * 10)))


def _check(readers: tuple[DoorReader, ...]) -> None:
    if not 1 <= len(readers) <= 32:
        raise ConfigError("bad_door_bus", "One door bus takes 1 to 32 readers; configure another bus for more.")
    if len({reader.name for reader in readers}) != len(readers):
        raise ConfigError("bad_door_bus", "Two door readers have the same name. Give each its own.")
    if len({(reader.line, reader.address) for reader in readers}) != len(readers):
        raise ConfigError("bad_door_bus", "Two door readers share one line and one address. Give each its own address.")
    for reader in readers:
        if len(reader.key) != 16:
            raise ConfigError("bad_door_key", f"The key of door reader {reader.name!r} must be 16 bytes (32 hexadecimal digits).")
        if not 0 <= reader.address <= 126:
            raise ConfigError("bad_door_bus", f"The address of door reader {reader.name!r} must be 0 to 126.")
        check_line(reader.line, reader.name)

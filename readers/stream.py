"""All readers of a station as one stream of events.

    async with open_readers(config) as readers:
        async for event in readers:
            match event:
                case DocumentScanned(reader, reading): ...

Every device has a task of its own that opens it, reads it, and opens it again when it is lost. Cards are read in a thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import errno
import functools
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType

import msgspec

from .cards.identify import read_card
from .cards.piv import PivTrust
from .cards.read import CardRead
from .document import IdDocument
from .errors import ConfigError, ReaderError, ReaderLostError, ReaderUnavailableError
from .evdev import KeyDecoder, open_grabbed
from .events import CardPresented, CardRemoved, DocumentScanned, ReaderBack, ReaderEvent, ReaderLost, Unreadable
from .framing import Framer, HeldFilter
from .line import DescriptorLine, Line, LineConfig, SerialLine, TcpLine, check_line, open_line
from .log import log_traffic
from .pcsc import CardChange, CardWatcher, PcscConnection
from .recognize import parse
from .wedge import Wedge

__all__ = ["CardReaders", "InputScanner", "LineScanner", "ListeningScanner", "ReaderStream", "ReadersConfig", "open_readers"]

_REOPEN_S = 0.5
_REOPEN_MOST_S = 5.0
_QUEUE_LIMIT = 1_000
_LOST = "The scanner does not answer. Check its cable and power."


class LineScanner(msgspec.Struct, frozen=True, kw_only=True, tag="line"):
    """A scanner on a serial port (USB in "serial" mode included) or one that waits for our TCP connection."""

    name: str
    line: SerialLine | TcpLine | DescriptorLine
    idle_ms: float = 60.0


class ListeningScanner(msgspec.Struct, frozen=True, kw_only=True, tag="listen"):
    """A network scanner that connects to us. Port 0 takes any free one (see ``ReaderStream.ports``)."""

    name: str
    host: str = "127.0.0.1"
    port: int = 0
    idle_ms: float = 60.0


class InputScanner(msgspec.Struct, frozen=True, kw_only=True, tag="input"):
    """A keyboard wedge at a Linux input device ("/dev/input/by-id/…"), grabbed for us alone."""

    name: str
    path: str


class CardReaders(msgspec.Struct, frozen=True, kw_only=True):
    """PC/SC card readers whose name contains ``name``. ``trust`` is what PIV cards are held against.

    A card that has not answered everything after ``timeout_s`` seconds is reported as unreadable.
    """

    name: str = ""
    trust: PivTrust | None = None
    timeout_s: float = 10.0


class ReadersConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The devices of a station. ``release_s``: how long a code must be gone before it counts as presented anew."""

    scanners: tuple[LineScanner | ListeningScanner | InputScanner, ...] = ()
    cards: CardReaders | None = None
    release_s: float = 2.0


def open_readers(config: ReadersConfig) -> ReaderStream:
    """Watch every configured device.

    Raises ConfigError for names given twice. Entering the stream raises it for addresses that cannot be, ReaderUnavailableError
    for a missing driver, and ``cannot_listen`` for a port that is taken or not ours to take.
    """
    names = [scanner.name for scanner in config.scanners]
    if len(set(names)) != len(names):
        raise ConfigError("bad_readers", "Two scanners have the same name. Give each its own.")
    return ReaderStream(config)


class ReaderStream:
    """An asynchronous iterator of ReaderEvent; close it (or use ``async with``) to give the devices back."""

    def __init__(self, config: ReadersConfig) -> None:
        self._config = config
        self._events: asyncio.Queue[ReaderEvent | None] = asyncio.Queue(_QUEUE_LIMIT)
        self._tasks: list[asyncio.Task[None]] = []
        self._connected: set[asyncio.Task[None]] = set()
        self._watcher: CardWatcher | None = None
        self._changes: asyncio.Queue[CardChange] = asyncio.Queue()
        self._closed = False
        self._up: dict[str, bool] = {}
        # Where listening scanners may connect, by name, once started.
        self.ports: dict[str, int] = {}

    async def __aenter__(self) -> ReaderStream:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    def __aiter__(self) -> AsyncIterator[ReaderEvent]:
        return self

    async def __anext__(self) -> ReaderEvent:
        if not self._tasks and not self._closed:
            await self.start()
        event = await self._events.get()
        if event is None:
            raise StopAsyncIteration
        return event

    async def start(self) -> None:
        """Begin to watch; iterating does so by itself. Raises ConfigError and ReaderUnavailableError, see ``open_readers``."""
        if self._tasks or self._closed:
            return
        for scanner in self._config.scanners:
            match scanner:
                case LineScanner():
                    check_line(scanner.line, scanner.name)
                case ListeningScanner() if not 0 <= scanner.port <= 65_535:
                    raise ConfigError("bad_line", f"The port of {scanner.name!r} must be from 0 (any free one) to 65535.")
        if self._config.cards is not None:
            loop = asyncio.get_running_loop()

            def report(change: CardChange) -> None:
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._changes.put_nowait, change)

            self._watcher = CardWatcher(report, self._config.cards.name)
            self._watcher.start()
            self._tasks.append(asyncio.create_task(self._cards(self._config.cards)))
        for scanner in self._config.scanners:
            match scanner:
                case ListeningScanner():
                    server = await self._listen(scanner)
                    self.ports[scanner.name] = server.sockets[0].getsockname()[1]
                    self._tasks.append(asyncio.create_task(server.serve_forever()))
                    self._put(ReaderBack(scanner.name))
                case LineScanner():
                    self._tasks.append(asyncio.create_task(self._keep(scanner.name, functools.partial(self._line, scanner))))
                case InputScanner():
                    self._tasks.append(asyncio.create_task(self._keep(scanner.name, functools.partial(self._input, scanner))))
        if not self._tasks:
            self._tasks.append(asyncio.create_task(asyncio.sleep(0)))

    async def aclose(self) -> None:
        """Stop watching and end the iteration. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        if self._watcher is not None:
            await asyncio.to_thread(self._watcher.stop)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # After the servers: none of them accepts another scanner now. asyncio would serve those that are connected on and on.
        for task in self._connected:
            task.cancel()
        await asyncio.gather(*self._connected, return_exceptions=True)
        if self._events.full():
            self._events.get_nowait()
        self._events.put_nowait(None)

    def _put(self, event: ReaderEvent) -> None:
        # A consumer that stopped reading must not grow this without end: the oldest event goes first.
        if self._events.full():
            self._events.get_nowait()
        self._events.put_nowait(event)

    # Scanners

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run a device until it is lost, say so once, and try again at growing intervals."""
        wait = _REOPEN_S
        self._up[name] = True
        while True:
            try:
                await run()
            except ReaderLostError as error:
                if self._up[name]:
                    self._put(ReaderLost(name, error.message))
                    wait = _REOPEN_S
                self._up[name] = False
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, _REOPEN_MOST_S)

    def _came_back(self, name: str) -> None:
        self._up[name] = True
        self._put(ReaderBack(name))

    async def _line(self, scanner: LineScanner) -> None:
        line = await _open_in_thread(scanner.line, scanner.name)
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[bytes | None] = asyncio.Queue()

        def readable() -> None:
            try:
                data = line.read(4096)
            except ReaderLostError:
                loop.remove_reader(line.fileno())
                chunks.put_nowait(None)
                return
            if data:
                chunks.put_nowait(data)

        try:
            loop.add_reader(line.fileno(), readable)
            self._came_back(scanner.name)
            await self._frames(scanner.name, scanner.idle_ms, chunks)
        finally:
            loop.remove_reader(line.fileno())
            line.close()
        raise ReaderLostError(scanner.name, _LOST)

    async def _listen(self, scanner: ListeningScanner) -> asyncio.Server:
        try:
            return await asyncio.start_server(self._accept(scanner), scanner.host, scanner.port)
        except (OSError, ValueError) as error:
            await self.aclose()
            why = {errno.EADDRINUSE: "another program does", errno.EACCES: "this program has not the right"}.get(
                getattr(error, "errno", None) or 0, f"{scanner.host!r} is no address of this machine"
            )
            raise ReaderUnavailableError(
                "cannot_listen", f"{scanner.name!r} cannot listen on port {scanner.port}: {why}. Choose another one."
            ) from None

    def _accept(self, scanner: ListeningScanner) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self._closed:  # it connected while we closed
                writer.close()
                return
            task = asyncio.create_task(self._serve(scanner, reader, writer))
            self._connected.add(task)
            task.add_done_callback(self._connected.discard)

        return accept

    async def _serve(self, scanner: ListeningScanner, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chunks: asyncio.Queue[bytes | None] = asyncio.Queue(64)

        async def pump() -> None:
            with contextlib.suppress(OSError):
                while data := await reader.read(4096):
                    await chunks.put(data)
            await chunks.put(None)

        pumping = asyncio.create_task(pump())
        try:
            # The connection ends with the scan on many models: what came before the end is a whole scan.
            await self._frames(scanner.name, scanner.idle_ms, chunks, whole_at_end=True)
        finally:
            pumping.cancel()
            writer.close()

    async def _frames(self, name: str, idle_ms: float, chunks: asyncio.Queue[bytes | None], *, whole_at_end: bool = False) -> None:
        framer, held = Framer(idle_ms / 1000), HeldFilter(self._config.release_s)
        while True:
            try:
                data = await asyncio.wait_for(chunks.get(), framer.due_in(time.monotonic()))
            except TimeoutError:
                now = time.monotonic()
                if not await _more_waits(chunks):
                    if scan := framer.poll(now):
                        self._scan(name, scan, held)
                    continue
                data = chunks.get_nowait()
            if data is None:
                if whole_at_end:
                    if scan := framer.poll(float("inf")):
                        self._scan(name, scan, held)
                elif framer.drop():
                    self._put(Unreadable(name, "cut_off", "The scanner was lost in the middle of a scan. Scan the document again."))
                return
            log_traffic(name, "<", data)
            framer.feed(data, time.monotonic())

    def _scan(self, name: str, scan: bytes, held: HeldFilter) -> None:
        if not held.is_new(scan, time.monotonic()):
            return
        try:
            reading = parse(scan)
        except ReaderError as error:
            self._put(Unreadable(name, error.code, error.message))
            return
        self._put(DocumentScanned(name, reading))

    async def _input(self, scanner: InputScanner) -> None:
        descriptor = open_grabbed(scanner.path, scanner.name)
        loop = asyncio.get_running_loop()
        lost: asyncio.Future[None] = loop.create_future()
        decoder, wedge, held = KeyDecoder(), Wedge(), HeldFilter(self._config.release_s)

        def take(scan: bytes | None) -> None:
            if scan:
                self._scan(scanner.name, scan, held)
            elif scan is not None:
                self._put(Unreadable(scanner.name, "cut_off", "The computer was too busy for the whole scan. Scan the document again."))

        def readable() -> None:
            try:
                while data := os.read(descriptor, 24 * 64):
                    for key in decoder.feed(data):
                        take(wedge.press(key))
            except BlockingIOError:
                return
            except OSError:
                pass
            loop.remove_reader(descriptor)
            if not lost.done():
                lost.set_result(None)

        loop.add_reader(descriptor, readable)
        self._came_back(scanner.name)
        try:
            while not lost.done():
                await asyncio.wait([lost], timeout=0.15)
                # All that was typed by now is read before the burst may be over: the keys' times are the kernel's, not those of reading.
                now = time.monotonic()
                readable()
                take(wedge.flush(now * 1000))
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        raise ReaderLostError(scanner.name, _LOST)

    # Cards

    async def _cards(self, config: CardReaders) -> None:
        reading: dict[str, asyncio.Task[None]] = {}
        while True:
            change = await self._changes.get()
            match change.what:
                case "reader_back":
                    self._put(ReaderBack(change.reader))
                case "reader_lost":
                    self._put(ReaderLost(change.reader, "The card reader was unplugged. Plug it in again."))
                case "service_lost":
                    self._put(ReaderLost("pcscd", "The smart card service does not run. It is waited for; start pcscd if it stays away."))
                case "service_back":
                    self._put(ReaderBack("pcscd"))
                case "card_removed":
                    if task := reading.pop(change.reader, None):
                        await asyncio.wait([task])
                    self._put(CardRemoved(change.reader))
                case "card_present":
                    reading[change.reader] = asyncio.create_task(self._card(change.reader, config))

    async def _card(self, reader: str, config: CardReaders) -> None:
        try:
            async with asyncio.timeout(config.timeout_s):
                card, document = await _read_in_thread(reader, config.trust)
        except TimeoutError:
            self._put(Unreadable(reader, "mute_card", "The card does not answer. Present it again, or use another card."))
        except ReaderError as error:
            self._put(Unreadable(reader, error.code, error.message))
        else:
            self._put(CardPresented(reader, card, document))


async def _more_waits(chunks: asyncio.Queue[bytes | None]) -> bool:
    """Whether a device has sent what this loop, kept busy elsewhere, has not handed on yet."""
    for _ in range(4):  # turns of the loop: to look at the devices, to read one, to hand it to ``pump``, to take it from there
        if not chunks.empty():
            return True
        await asyncio.sleep(0)
    return not chunks.empty()


async def _open_in_thread(config: LineConfig, name: str) -> Line:
    """Open the line in a thread, for a network may take seconds; one that opens after its opener was canceled is closed there."""
    opening: concurrent.futures.Future[Line] = concurrent.futures.Future()
    opening.set_running_or_notify_cancel()  # from here on it cannot be canceled: the line is somebody's to close

    def run() -> None:
        try:
            opening.set_result(open_line(config, name))
        except BaseException as problem:  # carried to the loop, where it belongs
            opening.set_exception(problem)

    def close(opened: concurrent.futures.Future[Line]) -> None:
        if opened.exception() is None:
            opened.result().close()

    threading.Thread(target=run, name="line-opening", daemon=True).start()
    try:
        return await asyncio.wrap_future(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(close)
        raise


def _read_in_thread(reader: str, trust: PivTrust | None) -> asyncio.Future[tuple[CardRead, IdDocument | None]]:
    """Read the card in a thread of its own: PC/SC waits for a mute card without end, and nothing may wait for that thread."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[CardRead, IdDocument | None]] = loop.create_future()

    def settle(result: tuple[CardRead, IdDocument | None] | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        elif result is not None:
            done.set_result(result)

    def run() -> None:
        result: tuple[CardRead, IdDocument | None] | None = None
        error: BaseException | None = None
        try:
            with PcscConnection(reader) as connection:
                result = read_card(connection, reader=reader, trust=trust)
        except BaseException as problem:  # carried to the loop, where it belongs
            error = problem
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="card-reading", daemon=True).start()
    return done

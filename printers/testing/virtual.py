"""A receipt printer that is not there: TCP on the loopback, ESC/POS, with paper to run out of and a cover to open."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections import deque
from collections.abc import Callable
from types import TracebackType

import msgspec
from PIL import Image

from printers.status import Paper

from .receiver import Receiver


class PrintedBadge(msgspec.Struct, frozen=True):
    """A strip the printer has cut: the picture as decoded from the bytes that arrived, and those bytes."""

    image: Image.Image
    data: bytes
    at: dt.datetime


class VirtualPrinter:
    """A printer to print to in tests and demonstrations.

    `async with VirtualPrinter() as printer:` listens on `printer.port`. What it cut is in `printed` (the last `keep`),
    how many ever in `count`. Set `paper`, `cover_open`, `offline`, `error` at will: it answers DLE EOT accordingly,
    stops working while it cannot print, and goes on with what it has once it can. `paper_rows` is how many rows of
    dots are left on the roll (None: no end); `rows_per_second` makes it as slow as a real one (None: at once).
    """

    def __init__(
        self,
        *,
        head: int = 576,
        keep: int = 20,
        port: int = 0,
        rows_per_second: float | None = None,
        on_print: Callable[[PrintedBadge], None] | None = None,
    ) -> None:
        self.head = head
        self.port = port
        self.printed: deque[PrintedBadge] = deque(maxlen=keep)
        self.count = 0
        self.connections = 0
        self.rows_per_second = rows_per_second
        self.paper_rows: int | None = None
        self._paper = Paper.OK
        self._cover_open = False
        self._offline = False
        self._error = False
        self._on_print = on_print
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writer: asyncio.StreamWriter | None = None
        self._one = asyncio.Lock()
        self._can_work = asyncio.Event()
        self._can_work.set()
        self.receiver = Receiver(
            head, answer=self._answer, real_time=self._real_time, sensors=self._sensors, cut=self._cut
        )

    # --- its state, to set and to ask

    @property
    def paper(self) -> Paper:
        return self._paper

    @paper.setter
    def paper(self, value: Paper) -> None:
        self._paper = value
        self._state_changed()

    @property
    def cover_open(self) -> bool:
        return self._cover_open

    @cover_open.setter
    def cover_open(self, value: bool) -> None:
        self._cover_open = value
        self._state_changed()

    @property
    def offline(self) -> bool:
        return self._offline

    @offline.setter
    def offline(self, value: bool) -> None:
        self._offline = value
        self._state_changed()

    @property
    def error(self) -> bool:
        """Its cutter is jammed."""
        return self._error

    @error.setter
    def error(self, value: bool) -> None:
        self._error = value
        self._state_changed()

    @property
    def ready(self) -> bool:
        return not (self._paper is Paper.OUT or self._cover_open or self._offline or self._error)

    def refill(self, rows: int | None = None) -> None:
        """Put a new roll in."""
        self.paper_rows = rows
        self.paper = Paper.OK

    def _state_changed(self) -> None:
        if self.ready:
            self._can_work.set()
        else:
            self._can_work.clear()

    # --- the wire

    async def start(self) -> None:
        """Listen on 127.0.0.1, on `port` or one the system picks."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Switch it off: the port closes, connections end. `start` brings it back on the same port."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    async def __aenter__(self) -> VirtualPrinter:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            # One connection at a time, as real network cards of printers do; others wait outside.
            async with self._one:
                self._writer = writer
                await self._talk(reader)
        except (ConnectionError, TimeoutError, asyncio.CancelledError):
            # A task of the server that ends cancelled would be reported as an error by asyncio.
            pass
        finally:
            self._tasks.discard(task)
            if self._writer is writer:
                self._writer = None
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader) -> None:
        worker = asyncio.create_task(self._work())
        try:
            while data := await reader.read(4096):
                self.receiver.arrive(data)
                self._fresh.set()
        finally:
            # What has arrived is printed even if the host has hung up; what is incomplete is dropped with the connection.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await self._can_work.wait()
                    self.receiver.work()
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
            if self.ready:
                self.receiver.discard()

    @property
    def _fresh(self) -> asyncio.Event:
        if not hasattr(self, "_fresh_event"):
            self._fresh_event = asyncio.Event()
        return self._fresh_event

    async def _work(self) -> None:
        while True:
            await self._fresh.wait()
            await self._can_work.wait()
            self._fresh.clear()
            before = self.receiver.rows
            self.receiver.work()
            if self.rows_per_second:
                await asyncio.sleep(max(0, self.receiver.rows - before) / self.rows_per_second)

    def _answer(self, data: bytes) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(data)

    # --- what it says: Epson's ESC/POS reference, DLE EOT and GS r

    def _real_time(self, question: int) -> int:
        out = self._paper is Paper.OUT
        if question == 1:
            return 0x12 | (0x00 if self.ready else 0x08)
        if question == 2:
            return 0x12 | (0x04 if self._cover_open else 0) | (0x20 if out else 0) | (0x40 if self._error else 0)
        if question == 3:
            return 0x12 | (0x08 if self._error else 0)
        return 0x12 | (0x6C if out else 0x0C if self._paper is Paper.LOW else 0)

    def _sensors(self) -> int:
        return 0x0F if self._paper is Paper.OUT else 0x03 if self._paper is Paper.LOW else 0x00

    def _cut(self, image: Image.Image, data: bytes) -> None:
        printed = PrintedBadge(image, data, dt.datetime.now(dt.UTC))
        self.printed.append(printed)
        self.count += 1
        if self._on_print is not None:
            self._on_print(printed)

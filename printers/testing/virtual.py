"""A receipt printer that is not there: TCP on the loopback, ESC/POS, with paper to run out of and a cover to open."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
from collections import deque
from collections.abc import Callable
from types import TracebackType

import msgspec
from PIL import Image

from printers.status import Paper

from .receiver import Receiver


def kept_port(port: int) -> socket.socket:
    """A place on 127.0.0.1 that refuses connections, and that nobody else is given while this one is not listened on.

    It is bound and never listens; who also sets SO_REUSEADDR may listen there.
    """
    place = socket.socket()
    try:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(("127.0.0.1", port))
    except OSError:
        place.close()
        raise
    return place


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
    dots are left on the roll (None: no end); `rows_per_second` makes it as slow as a real one (None: at once; a real
    one prints some 2,000). It takes no more than `buffer` bytes that it has not worked off. With `forgets` False a
    connection that breaks leaves its half command in the buffer, as some real network cards do.
    """

    def __init__(
        self,
        *,
        head: int = 576,
        keep: int = 20,
        port: int = 0,
        rows_per_second: float | None = None,
        buffer: int = 65_536,
        forgets: bool = True,
        on_print: Callable[[PrintedBadge], None] | None = None,
    ) -> None:
        self.head = head
        self.port = port
        self.printed: deque[PrintedBadge] = deque(maxlen=keep)
        self.count = 0
        self.connections = 0
        self.rows_per_second = rows_per_second
        self.buffer = buffer
        self.forgets = forgets
        self.paper_rows: int | None = None
        self._paper = Paper.OK
        self._cover_open = False
        self._offline = False
        self._error = False
        self._on_print = on_print
        self._server: asyncio.Server | None = None
        self._place: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writer: asyncio.StreamWriter | None = None
        self._one = asyncio.Lock()
        self._worker: asyncio.Task[None] | None = None
        self._can_work = asyncio.Event()
        self._can_work.set()
        self._fresh = asyncio.Event()
        self._room = asyncio.Event()
        self._starved = True
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
        if self._place is None:
            self._place = kept_port(self.port)
            self.port = self._place.getsockname()[1]
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self._worker = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Switch it off: the port refuses, connections end. `start` brings it back on the same port, kept free for it."""
        if self._server is not None:
            self._server.close()
        ending = [*self._tasks, *([self._worker] if self._worker is not None else [])]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        self.receiver.discard()
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    async def close(self) -> None:
        """Switch it off for good and give back its port."""
        await self.stop()
        if self._place is not None:
            self._place.close()
            self._place = None

    async def __aenter__(self) -> VirtualPrinter:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

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
        try:
            while data := await reader.read(2048):
                self.receiver.arrive(data)
                self._starved = False
                self._fresh.set()
                # A picture longer than the buffer is taken on, since its rest is what the printer waits for.
                while self.receiver.waits > self.buffer and not self._starved:
                    self._room.clear()
                    await self._room.wait()
        finally:
            # What has arrived is printed even if the host has hung up. A printer that cannot print now keeps it.
            if self.ready and self.rows_per_second is None:
                while self.ready and self._step():
                    pass
                if self.ready and self.forgets:
                    self.receiver.discard()

    def _step(self) -> bool:
        """One command; the roll may end with it."""
        before = self.receiver.rows
        more = self.receiver.step()
        self._starved = not more
        self._room.set()
        if self.paper_rows is not None:
            self.paper_rows -= max(0, self.receiver.rows - before)
            if self.paper_rows <= 0:
                self.paper = Paper.OUT
        return more

    async def _work(self) -> None:
        while True:
            await self._fresh.wait()
            await self._can_work.wait()
            before = self.receiver.rows
            if not self._step():
                self._fresh.clear()
                # Bytes may have come in between.
                if not self._step():
                    continue
                self._fresh.set()
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

"""A TCP proxy that stands before a printer and fails on demand."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from enum import StrEnum
from types import TracebackType

from .virtual import kept_port


class Fault(StrEnum):
    NONE = "none"
    REFUSE = "refuse"
    RESET = "reset"
    BLACK_HOLE = "black hole"
    SLOW = "slow"
    NO_ANSWER = "no answer"


class FaultProxy:
    """`async with FaultProxy(printer.port) as proxy:` listens on `proxy.port` and passes on to `printer.port`.

    `fault` may be set at any time. REFUSE closes the listening port; RESET passes `after` bytes on and then resets both
    sides; BLACK_HOLE swallows everything from byte `after`, both ways; SLOW passes `rate` bytes a second; NO_ANSWER
    passes all on to the printer and, from byte `after`, nothing back. `once` goes back to NONE after a connection has
    met the fault.
    """

    def __init__(self, target: int, *, port: int = 0) -> None:
        self.target = target
        self.port = port
        self.fault = Fault.NONE
        self.after = 0
        self.rate = 1000
        self.once = False
        self.met = 0
        self._server: asyncio.Server | None = None
        self._place: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> FaultProxy:
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()
        if self._place is not None:
            self._place.close()
            self._place = None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self) -> None:
        if self._place is None:
            self._place = kept_port(self.port)
            self.port = self._place.getsockname()[1]
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A small window, as a printer's network card has: a sender then knows how much has really gone.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", self.port))
        self._server = await asyncio.start_server(self._serve, sock=listener, limit=1024)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def set(self, fault: Fault, *, after: int = 0, rate: int = 1000, once: bool = False) -> None:
        """Set the fault for connections from now on."""
        self.fault, self.after, self.rate, self.once = fault, after, rate, once
        if fault is Fault.REFUSE:
            await self._close()
        elif self._server is None:
            await self._listen()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        fault, after, rate = self.fault, self.after, self.rate
        far: asyncio.StreamWriter | None = None
        try:
            far_reader, far = await asyncio.open_connection("127.0.0.1", self.target)
            back = asyncio.create_task(self._backward(far_reader, writer))
            try:
                await self._forward(reader, far, writer, fault, after, rate, back)
            finally:
                back.cancel()
                await asyncio.gather(back, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            # Either side may go at any time; that is what this is for.
            pass
        finally:
            self._tasks.discard(task)
            for side in (writer, far):
                if side is not None:
                    side.close()

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        far: asyncio.StreamWriter,
        near: asyncio.StreamWriter,
        fault: Fault,
        after: int,
        rate: int,
        back: asyncio.Task[None],
    ) -> None:
        passed = 0
        # Small sips, so that a fault strikes at the byte it was set for.
        while data := await reader.read(512):
            if fault is Fault.NO_ANSWER and passed + len(data) > after:
                self._meet()
                back.cancel()
                fault = Fault.NONE
            if fault in (Fault.RESET, Fault.BLACK_HOLE) and passed + len(data) > after:
                self._meet()
                far.write(data[: after - passed])
                with contextlib.suppress(ConnectionError):
                    await far.drain()
                if fault is Fault.RESET:
                    _reset(near)
                    _reset(far)
                    return
                back.cancel()
                while await reader.read(65_536):
                    pass
                return
            if fault is Fault.SLOW:
                await asyncio.sleep(len(data) / rate)
            far.write(data)
            await far.drain()
            passed += len(data)
        far.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.gather(back, return_exceptions=True)

    async def _backward(self, far: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        while data := await far.read(4096):
            near.write(data)
            await near.drain()

    def _meet(self) -> None:
        self.met += 1
        if self.once:
            self.fault = Fault.NONE


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a TCP reset instead of a farewell."""
    raw = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()

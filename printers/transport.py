"""Ways to a printer: network, device file (USB, serial), CUPS queue, folder.

All of them behave alike: `send` first asks the printer how it is (`NotReady`, `Unreachable`: nothing was sent), then
calls `begun`, so that a store can note that the first byte is about to go, then sends, then waits until the printer
confirms where it can. What breaks after `begun` is `Interrupted`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import stat
import struct
import termios
import tty
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Protocol

import msgspec

from .dialect import Dialect, Waiting, Wire, dialect_for
from .errors import Interrupted, NotReady, NotSent, Unreachable
from .media import Profile, profile_named
from .status import UNKNOWN, PrinterStatus, unreachable

Begun = Callable[[], Awaitable[None]]

CHUNK = 2048
"""Bytes handed over at a time; also what must be missing for a badge to be surely incomplete."""


class Receipt(msgspec.Struct, frozen=True):
    """A job is through. `confirmed` says that the printer itself has said so; else it was only handed over."""

    confirmed: bool


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds to wait: for a connection, for an answer, for a stalled write to move, for the end of a job.

    `finish` runs from the last sign of life: a printer that says "paper out" is waited for. `quiet` is how long a
    printer that has received a badge and is ready may keep silent about it before that is taken for its way.
    """

    connect: float = 4.0
    answer: float = 3.0
    stall: float = 20.0
    finish: float = 30.0
    quiet: float = 8.0


class Transport(Protocol):
    """A way to one printer."""

    async def status(self) -> PrinterStatus:
        """How the printer is; one that does not answer is a status too, never an exception."""

    async def send(self, data: bytes, *, begun: Begun | None = None, waiting: Waiting | None = None) -> Receipt:
        """Print one job.

        `begun` is awaited when the next thing is the first byte of the job; whatever it raises stops the job with
        nothing sent. `waiting` is told the state of a printer that has the job and cannot go on, e.g. paper out.
        Raises `Unreachable` or `NotReady` when nothing was sent, `Interrupted` otherwise.
        """


async def _nothing() -> None:
    return


def _ignore(status: PrinterStatus) -> None:
    return


class _Wired:
    """What network and device have in common: a wire both ways and a dialect to speak on it."""

    def __init__(self, profile: Profile | str, timeouts: Timeouts | None) -> None:
        known = profile_named(profile) if isinstance(profile, str) else profile
        self._dialect: Dialect = dialect_for(known)
        self._timeouts = timeouts or Timeouts()
        # A printer takes one connection at a time; a status question must not make a job wait outside.
        self._one = asyncio.Lock()
        # Nobody knows what an earlier life of this program left half sent.
        self._broken = True
        self._said: PrinterStatus | None = None

    def _wire(self) -> contextlib.AbstractAsyncContextManager[Wire]:
        raise NotImplementedError

    async def status(self) -> PrinterStatus:
        if self._one.locked():
            # Mid-job: what it last said is the best there is.
            return self._said or PrinterStatus()
        async with self._one:
            try:
                async with self._wire() as wire:
                    return await self._ask(wire)
            except NotSent as error:
                return unreachable(str(error))

    async def _ask(self, wire: Wire) -> PrinterStatus:
        try:
            return await self._dialect.status(wire, self._timeouts.answer)
        except (TimeoutError, EOFError):
            raise Unreachable("does not answer") from None
        except OSError:
            raise Unreachable("the connection broke") from None
        except ValueError:
            raise Unreachable("does not answer as this kind of printer should") from None

    async def send(self, data: bytes, *, begun: Begun | None = None, waiting: Waiting | None = None) -> Receipt:
        async with self._one:
            self._said = None
            try:
                async with self._wire() as wire:
                    await self._prepare(wire)
                    await (begun or _nothing)()
                    await self._write(wire, data)
                    return await self._finish(wire, len(data), waiting or _ignore)
            except Interrupted:
                self._broken = True
                raise

    async def _prepare(self, wire: Wire) -> None:
        if self._broken and self._dialect.clear:
            # The last job may have ended inside a picture, which would swallow the start of this one.
            try:
                await wire.write(self._dialect.clear, self._timeouts.stall)
            except (OSError, TimeoutError):
                raise Unreachable("does not take data") from None
        status = await self._ask(wire)
        self._said = status
        if not status.ready:
            raise NotReady(status)
        self._broken = False

    async def _write(self, wire: Wire, data: bytes) -> None:
        for at in range(0, len(data), CHUNK):
            try:
                await wire.write(data[at : at + CHUNK], self._timeouts.stall)
            except TimeoutError:
                raise Interrupted("the printer stopped taking data", min(at + CHUNK, len(data)), len(data)) from None
            except OSError:
                raise Interrupted("the connection broke", min(at + CHUNK, len(data)), len(data)) from None

    async def _finish(self, wire: Wire, total: int, waiting: Waiting) -> Receipt:
        if not self._dialect.confirms:
            try:
                await wire.flush(self._timeouts.stall)
            except TimeoutError:
                raise Interrupted("the printer stopped taking data", total, total) from None
            except OSError:
                raise Interrupted("the connection broke", total, total) from None
            return Receipt(confirmed=False)

        def said(status: PrinterStatus) -> None:
            self._said = status
            waiting(status)

        try:
            confirmed = await self._dialect.confirm(wire, self._timeouts.finish, self._timeouts.quiet, said)
        except TimeoutError:
            raise Interrupted("the printer did not say that it printed", total, total) from None
        except (OSError, EOFError, ValueError):
            raise Interrupted("the connection broke before the printer confirmed", total, total) from None
        return Receipt(confirmed=confirmed)


class _Descriptor:
    """A wire over a non-blocking socket or device.

    It waits until the descriptor is ready and then reads at once: a read that a deadline cancels (as `loop.sock_recv`
    can be) may have taken bytes from the socket that nobody gets, and the printer's word that it printed would be lost.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def write(self, data: bytes, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        rest = memoryview(data)
        async with asyncio.timeout(seconds):
            while rest:
                try:
                    rest = rest[os.write(self._descriptor, rest) :]
                except BlockingIOError:
                    await self._when(loop.add_writer, loop.remove_writer)

    async def read(self, limit: int, seconds: float) -> bytes:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(seconds):
            while True:
                try:
                    data = os.read(self._descriptor, limit)
                except BlockingIOError:
                    await self._when(loop.add_reader, loop.remove_reader)
                    continue
                if not data:
                    raise EOFError
                return data

    async def flush(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        left, moved = self._unsent(), loop.time()
        while left:
            await asyncio.sleep(0.02)
            now = self._unsent()
            if now < left:
                left, moved = now, loop.time()
            elif loop.time() - moved > seconds:
                raise TimeoutError

    def _unsent(self) -> int:
        """Bytes that the other end has not acknowledged (a socket) or that have not left (a serial line)."""
        try:
            return int(struct.unpack("i", fcntl.ioctl(self._descriptor, termios.TIOCOUTQ, bytes(4)))[0])
        except OSError:
            # A USB printer's device does not say; its writes are with the printer when they return.
            return 0

    async def _when(self, add: Callable[..., object], remove: Callable[..., object]) -> None:
        ready = asyncio.get_running_loop().create_future()

        def tell() -> None:
            if not ready.done():
                ready.set_result(None)

        add(self._descriptor, tell)
        try:
            await ready
        finally:
            remove(self._descriptor)


class _Connection(_Descriptor):
    """A wire over a TCP connection."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__(connected.fileno())
        self._socket = connected

    def _unsent(self) -> int:
        if error := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, os.strerror(error))
        return super()._unsent()

    async def flush(self, seconds: float) -> None:
        await super().flush(seconds)
        # End our side and hear the other out: closing with an answer unread is a reset, upon which a printer may throw
        # away what it has taken and not yet printed.
        with contextlib.suppress(OSError, EOFError, TimeoutError):
            self._socket.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(min(2.0, seconds)):
                while True:
                    await self.read(256, seconds)


class NetworkTransport(_Wired):
    """A printer on the network: raw TCP, port 9100 unless told otherwise."""

    def __init__(self, host: str, port: int = 9100, *, profile: Profile | str, timeouts: Timeouts | None = None) -> None:
        super().__init__(profile, timeouts)
        self.host = host
        self.port = port

    def __repr__(self) -> str:
        return f"<NetworkTransport {self.host}:{self.port}>"

    @contextlib.asynccontextmanager
    async def _wire(self) -> AsyncIterator[Wire]:
        try:
            async with asyncio.timeout(self._timeouts.connect):
                connected = await self._connect()
        except TimeoutError:
            raise Unreachable("does not answer") from None
        except OSError as error:
            raise Unreachable(_network_words(error)) from None
        try:
            yield _Connection(connected)
        finally:
            connected.close()

    async def _connect(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        problem: OSError = OSError("no address")
        for family, kind, protocol, _, address in found:
            candidate = socket.socket(family, kind, protocol)
            candidate.setblocking(False)
            # Small, so that what was written is what the printer has, give or take a chunk or two.
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * CHUNK)
            candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await loop.sock_connect(candidate, address)
            except OSError as error:
                candidate.close()
                problem = error
            except BaseException:
                candidate.close()
                raise
            else:
                return candidate
        raise problem


def _network_words(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "its name is not known on the network"
    if isinstance(error, ConnectionRefusedError):
        return "refuses the connection"
    return "cannot be reached"


class DeviceTransport(_Wired):
    """A printer behind a device file: `/dev/usb/lp0` (USB, by the kernel's usblp) or a serial line with its `baud`."""

    def __init__(
        self, path: str | Path, *, profile: Profile | str, baud: int | None = None, timeouts: Timeouts | None = None
    ) -> None:
        super().__init__(profile, timeouts)
        self.path = Path(path)
        self._speed = None if baud is None else _speed(baud)

    def __repr__(self) -> str:
        return f"<DeviceTransport {self.path}>"

    @contextlib.asynccontextmanager
    async def _wire(self) -> AsyncIterator[Wire]:
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
        except FileNotFoundError:
            raise Unreachable("is not plugged in") from None
        except PermissionError:
            raise Unreachable(f"may not be opened: {self.path} is not ours to write") from None
        except OSError as error:
            raise Unreachable(f"cannot be opened ({error.strerror})") from None
        try:
            if self._speed is not None:
                self._set_line(descriptor)
            yield _Descriptor(descriptor)
        finally:
            os.close(descriptor)

    def _set_line(self, descriptor: int) -> None:
        try:
            tty.setraw(descriptor)
            settings = termios.tcgetattr(descriptor)
            settings[4] = settings[5] = self._speed or 0
            # Hardware flow control: without it a printer's buffer overruns in the middle of a picture.
            settings[2] |= termios.CRTSCTS | termios.CLOCAL | termios.CREAD
            termios.tcsetattr(descriptor, termios.TCSANOW, settings)
        except termios.error:
            raise Unreachable(f"{self.path} is no serial line") from None


def _speed(baud: int) -> int:
    speed = getattr(termios, f"B{baud}", None)
    if not isinstance(speed, int):
        raise ValueError(f"{baud} is no speed of a serial line")
    return speed


class FileTransport:
    """A folder that gets one file a job, whole or not at all: for PDF, PNG, and for looking at what would be sent."""

    def __init__(self, folder: str | Path, *, suffix: str = ".bin") -> None:
        self.folder = Path(folder)
        self.suffix = suffix

    def __repr__(self) -> str:
        return f"<FileTransport {self.folder}>"

    async def status(self) -> PrinterStatus:
        try:
            is_folder = stat.S_ISDIR(self.folder.stat().st_mode)
        except OSError:
            is_folder = False
        return UNKNOWN if is_folder else unreachable("its folder is missing")

    async def send(self, data: bytes, *, begun: Begun | None = None, waiting: Waiting | None = None) -> Receipt:
        status = await self.status()
        if not status.ready:
            raise Unreachable(status.words())
        await (begun or _nothing)()
        # uuid7 is not in Python 3.11; the time in nanoseconds keeps the files in order.
        name = f"{uuid.uuid1().time:016x}-{uuid.uuid4().hex[:8]}{self.suffix}"
        try:
            await asyncio.to_thread(_write_whole, self.folder / name, data)
        except OSError as error:
            raise Interrupted(f"the file could not be written ({error.strerror})", 0, len(data)) from None
        return Receipt(confirmed=False)


def _write_whole(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            # Badges are people's data: readable by the owner alone.
            os.fchmod(file.fileno(), 0o600)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise

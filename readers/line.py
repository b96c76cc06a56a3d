"""Byte lines to devices: a serial port, a TCP port, or a file descriptor somebody else opened.

Small and blocking-free: ``open_line`` gives an object with ``fileno``, ``read`` and ``write`` that never wait. The door
bus and the serial scanner both stand on it.
"""

from __future__ import annotations

import errno
import os
import socket
import termios
from typing import Protocol

import msgspec

from .errors import ConfigError, ReaderLostError

__all__ = ["DescriptorLine", "Line", "SerialLine", "TcpLine", "check_line", "open_line"]

_BAUD = {rate: getattr(termios, f"B{rate}") for rate in (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400)}


# What a person can do about a line that does not open; for anything else the sentence of ReaderLostError.
_REASONS = {
    errno.ENOENT: "There is no such device. Check that it is plugged in, and its path.",
    errno.EACCES: "This program may not open the device. Add its user to the group that owns it (often dialout).",
    errno.EBUSY: "Another program uses the device. Close that one.",
    errno.ENOTTY: "This path is no serial port. Choose one below /dev/serial/by-id.",
    errno.EISDIR: "This path is no serial port. Choose one below /dev/serial/by-id.",
    errno.ECONNREFUSED: "The device refuses the connection. Check its address and port, and that no other program is connected.",
    socket.EAI_NONAME: "There is no device of that name in the network. Check its address.",
}


class SerialLine(msgspec.Struct, frozen=True, tag="serial"):
    """A serial port, 8N1 ("/dev/ttyUSB0", better a path below /dev/serial/by-id, which survives replugging)."""

    path: str
    baud: int = 9600


class TcpLine(msgspec.Struct, frozen=True, tag="tcp"):
    """A serial device server or network device at ``host``:``port``."""

    host: str
    port: int
    timeout_s: float = 3.0


class DescriptorLine(msgspec.Struct, frozen=True, tag="descriptor"):
    """A descriptor that is already open (a socketpair, a pty). It is duplicated: the caller keeps and closes its own."""

    descriptor: int


LineConfig = SerialLine | TcpLine | DescriptorLine


class Line(Protocol):
    """An open line. ``read`` returns b"" when nothing waits and raises ReaderLostError when the line is gone."""

    def fileno(self) -> int: ...
    def read(self, size: int) -> bytes: ...
    def write(self, data: bytes) -> int: ...
    def close(self) -> None: ...


class _DescriptorLine:
    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self._name = name
        os.set_blocking(descriptor, False)

    def fileno(self) -> int:
        return self._descriptor

    def read(self, size: int) -> bytes:
        try:
            data = os.read(self._descriptor, size)
        except BlockingIOError:
            return b""
        except OSError:
            raise ReaderLostError(self._name) from None
        if not data:
            raise ReaderLostError(self._name)
        return data

    def write(self, data: bytes) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0
        except OSError:
            raise ReaderLostError(self._name) from None

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def check_line(config: LineConfig, name: str) -> None:
    """Raises ConfigError ``bad_line`` for a baud rate we do not offer or a port that cannot be."""
    match config:
        case SerialLine(baud=baud) if baud not in _BAUD:
            raise ConfigError("bad_line", f"The baud rate of {name!r} must be one of {', '.join(map(str, _BAUD))}.")
        case TcpLine(host=host, port=port) if not host or not 1 <= port <= 65_535:
            raise ConfigError("bad_line", f"The address of {name!r} must be a host and a port from 1 to 65535.")


def open_line(config: LineConfig, name: str) -> Line:
    """Open ``config``; ``name`` is what errors call the device.

    Raises ReaderLostError, its message saying what to check, when it cannot be opened, and ConfigError as ``check_line`` does.
    """
    check_line(config, name)
    try:
        match config:
            case SerialLine(path=path, baud=baud):
                return _DescriptorLine(_open_serial(path, baud), name)
            case TcpLine(host=host, port=port, timeout_s=timeout):
                connection = socket.create_connection((host, port), timeout=timeout)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                return _DescriptorLine(connection.detach(), name)
            case DescriptorLine(descriptor=descriptor):
                return _DescriptorLine(os.dup(descriptor), name)
    except (OSError, OverflowError, ValueError, termios.error) as error:
        # ValueError is a host name or a path with characters that none has.
        reason = _REASONS.get(error.args[0]) if error.args else None
        raise (ReaderLostError(name, reason) if reason else ReaderLostError(name)) from None


def _open_serial(path: str, baud: int) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        attributes = termios.tcgetattr(descriptor)
        attributes[0] = 0  # no translation of CR or LF, no software flow control
        attributes[1] = 0
        attributes[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
        attributes[3] = 0  # no echo, no signals, no lines
        rate = _BAUD[baud]
        attributes[4], attributes[5] = rate, rate
        attributes[6][termios.VMIN], attributes[6][termios.VTIME] = 1, 0
        termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
    except termios.error:
        os.close(descriptor)
        raise
    return descriptor

"""libosdp's way to a line, and the one place where what it says can be held back.

libosdp repeats what was not answered within 200 ms: eight times, a second apart, and neither ``flush_commands`` nor
``disable_pd`` stops it before the last. Every frame passes here, though, and a frame that is not taken makes it give up at once.
The code of a command or an answer stands in the clear even inside a Secure Channel (SIA OSDP 2.2, annex D).
"""

from __future__ import annotations

import binascii
import time
from collections.abc import Callable
from typing import NamedTuple

from .errors import ReaderLostError
from .line import DescriptorLine, Line, SerialLine, TcpLine, open_line
from .log import log_traffic

__all__ = ["BusChannel"]

_REOPEN_S = 0.5
_START = 0x53
_NAK = 0x41
# NAK codes that speak of the frame, not of the command: damaged, out of sequence, no Secure Channel (any more).
_NOT_UNDERSTOOD = {1, 4, 5, 6}
_ENCRYPTED = {0x17, 0x18}


class _Frame(NamedTuple):
    address: int
    sequence: int
    block: bytes
    body: bytes  # code and data, the latter perhaps encrypted; a MAC is still on it


class BusChannel:
    """It is asked for bytes and takes bytes; a line that is gone is opened again from here.

    ``may_send(address, code)`` is asked before each frame; a frame it refuses is not sent.
    """

    _next_id = 1

    def __init__(
        self, config: SerialLine | TcpLine | DescriptorLine, name: str, may_send: Callable[[int, int], bool] | None = None
    ) -> None:
        self.id = BusChannel._next_id
        BusChannel._next_id += 1
        self._config = config
        self._name = name
        self._may_send = may_send
        self._line: Line | None = None
        self._closed_at = 0.0
        self.heard_at = 0.0
        self._rest = 0  # of a frame that the line took in part
        self._sequences: dict[int, int] = {}
        self._repeated = False
        self._answer = bytearray()
        self.reopen()

    def reopen(self) -> None:
        """Try to open the line; a line that cannot be opened stays closed until the next try."""
        self.close()
        try:
            self._line = open_line(self._config, self._name)
        except ReaderLostError:
            self._closed_at = time.monotonic()

    def due(self, now: float) -> bool:
        """Whether it is time to try to open a closed line again."""
        return self._line is None and now - self._closed_at >= _REOPEN_S

    def fileno(self) -> int:
        return -1 if self._line is None else self._line.fileno()

    def refused(self) -> bool:
        """Whether the last frame was said once and got an answer that speaks of its command.

        The answer to a repetition says nothing: a reader that took the command the first time, and whose answer came too late,
        is one step ahead in the Secure Channel and has to refuse what it hears again.
        """
        answer = None if self._repeated else _frame(bytes(self._answer))
        if answer is None:
            return False
        readable = answer.body[0] == _NAK and len(answer.body) > 1 and (len(answer.block) < 2 or answer.block[1] not in _ENCRYPTED)
        return not (readable and answer.body[1] in _NOT_UNDERSTOOD)

    def read(self, size: int) -> bytes:
        if self._line is None:
            return b""
        try:
            data = self._line.read(size)
        except ReaderLostError:
            self._lost()
            return b""
        if data:
            self.heard_at = time.monotonic()
            self._answer += data
            log_traffic(self._name, "<", data)
        return data

    def write(self, data: bytes) -> int:
        if not self._rest and not self._begin(data):
            return 0
        taken = self._send(data)
        self._rest = len(data) - taken if 0 < taken < len(data) else 0
        return taken

    def flush(self) -> None:
        while self.read(4096):
            pass

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _begin(self, data: bytes) -> bool:
        """Look at a frame before it goes out; whether it may."""
        self._answer.clear()
        frame = _frame(data)
        if frame is None:
            return True
        self._repeated = self._sequences.get(frame.address) == frame.sequence
        self._sequences[frame.address] = frame.sequence
        return self._may_send is None or self._may_send(frame.address, frame.body[0])

    def _send(self, data: bytes) -> int:
        if self._line is None:
            return len(data)  # libosdp times out on the answer, which is what a cut cable looks like
        log_traffic(self._name, ">", data)
        try:
            return self._line.write(bytes(data))
        except ReaderLostError:
            self._lost()
            return len(data)

    def _lost(self) -> None:
        self.close()
        self._closed_at = time.monotonic()


def _frame(data: bytes) -> _Frame | None:
    """The first frame of ``data`` (SIA OSDP 2.2, clause 5.9); None when there is no whole one, or it is damaged."""
    start = data.find(_START)
    head = data[start : start + 5]
    if start < 0 or len(head) < 5:
        return None
    length, control = int.from_bytes(head[2:4], "little"), head[4]
    packet = data[start : start + length]
    if len(packet) < length or length < 7:
        return None
    if control & 0x04:
        inside, intact = packet[5:-2], binascii.crc_hqx(packet[:-2], 0x1D0F) == int.from_bytes(packet[-2:], "little")
    else:
        inside, intact = packet[5:-1], sum(packet) & 0xFF == 0
    block = inside[: inside[0]] if control & 0x08 and inside else b""
    body = inside[len(block) :]
    return _Frame(head[1] & 0x7F, control & 3, block, body) if intact and body else None

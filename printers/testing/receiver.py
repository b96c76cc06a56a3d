"""An ESC/POS interpreter written from Epson's command reference for the virtual printer; it shares no code with the encoder.

Bytes go in as they arrive. Real-time commands (DLE EOT, DLE DC4) are obeyed on arrival, wherever they stand, as a real
printer does; everything else waits in the buffer for `step`.
"""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

ESC, GS, DLE, FS = 0x1B, 0x1D, 0x10, 0x1C

# Commands of fixed length that change nothing a badge shows: total length by prefix.
_FIXED = {
    (ESC, 0x40): 2, (ESC, 0x32): 2, (ESC, 0x33): 3, (ESC, 0x61): 3, (ESC, 0x74): 3, (ESC, 0x52): 3, (ESC, 0x21): 3,
    (ESC, 0x45): 3, (ESC, 0x47): 3, (ESC, 0x2D): 3, (ESC, 0x4D): 3, (ESC, 0x7B): 3, (ESC, 0x56): 3, (ESC, 0x3D): 3,
    (ESC, 0x24): 4, (ESC, 0x5C): 4, (ESC, 0x20): 3, (ESC, 0x63): 4, (ESC, 0x70): 5,
    (GS, 0x21): 3, (GS, 0x42): 3, (GS, 0x4C): 4, (GS, 0x57): 4, (GS, 0x50): 4, (GS, 0x61): 3, (GS, 0x62): 3,
    (FS, 0x2E): 2, (FS, 0x26): 2,
}  # fmt: skip

_LINE = 30
"""Dots fed by a line feed at the default spacing."""


class Receiver:
    """Turns received bytes into paper.

    `answer` gets bytes for the host. `cut` gets the finished strip, black on white, and the bytes it came from.
    `real_time` is asked for the answer to DLE EOT n, `sensors` for the byte GS r returns. `unknown` collects command
    bytes that are in no reference: a healthy job leaves it empty, and so do `text` and `pulses`.
    """

    def __init__(
        self,
        head: int,
        *,
        answer: Callable[[bytes], None],
        real_time: Callable[[int], int],
        sensors: Callable[[], int],
        cut: Callable[[Image.Image, bytes], None],
    ) -> None:
        self._head = head
        self._answer = answer
        self._real_time = real_time
        self._sensors = sensors
        self._cut = cut
        self._arrived = bytearray()
        self._buffer = bytearray()
        self._job = bytearray()
        self._rows: list[bytes] = []
        self.unknown: list[bytes] = []
        self.text = bytearray()
        self.pulses = 0

    @property
    def unfinished(self) -> bool:
        """Whether paper hangs out that has not been cut, or a command is half received."""
        return bool(self._rows or self._buffer or self._arrived)

    @property
    def rows(self) -> int:
        """Rows of dots on the strip that has not been cut."""
        return len(self._rows)

    def arrive(self, data: bytes) -> None:
        """Take bytes from the wire: obey what is real-time, keep the rest for `step`."""
        self._arrived += data
        out = self._arrived
        while True:
            at = out.find(DLE)
            if at < 0:
                self._buffer += out
                out.clear()
                return
            self._buffer += out[:at]
            del out[:at]
            if len(out) < 2:
                return
            if out[1] == 0x04 and (len(out) < 3 or 1 <= out[2] <= 4):
                if len(out) < 3:
                    return
                self._answer(bytes((self._real_time(out[2]),)))
                del out[:3]
            elif out[1] == 0x14 and (len(out) < 3 or out[2] in (1, 2, 8)):
                need = 10 if len(out) > 2 and out[2] == 8 else 5
                if len(out) < need:
                    return
                self._dc4(out[2])
                del out[:need]
            else:
                self._buffer += out[:1]
                del out[:1]

    def _dc4(self, function: int) -> None:
        if function == 1:
            self.pulses += 1
        elif function == 8:
            # Everything that waits is thrown away, and so is the strip begun: it is fed out and torn off.
            self._buffer.clear()
            self._job.clear()
            self._rows.clear()
            self._answer(b"\x37\x25\x00")  # "clear response"

    def discard(self) -> None:
        """Forget a strip that was begun and never cut, and a command half received."""
        self._buffer.clear()
        self._arrived.clear()
        self._job.clear()
        self._rows.clear()

    @property
    def waits(self) -> int:
        """Bytes that have arrived and are not worked off."""
        return len(self._buffer)

    def step(self) -> bool:
        """Work off one command; False when none is complete."""
        if not self._buffer:
            return False
        used = self._command()
        if used == 0:
            return False
        self._job += self._buffer[:used]
        del self._buffer[:used]
        if self._finished:
            self._finished = False
            self._cut(self._paper(), bytes(self._job))
            self._job.clear()
            self._rows.clear()
        return True

    _finished = False

    def _command(self) -> int:
        """Obey the command at the start of the buffer and return its length; 0 while it is incomplete."""
        data = self._buffer
        first = data[0]
        if first == 0x0A:
            self._feed(_LINE)
            return 1
        if first not in (ESC, GS, FS):
            if first >= 0x20:
                self.text.append(first)
            elif first not in (0x0D, 0x00):
                self.unknown.append(bytes(data[:1]))
            return 1
        if len(data) < 2:
            return 0
        second = data[1]
        if (first, second) in _FIXED:
            need = _FIXED[first, second]
            if len(data) >= need and (first, second) == (ESC, 0x70):
                self.pulses += 1
            return need if len(data) >= need else 0
        if first == ESC and second in (0x64, 0x4A):
            if len(data) < 3:
                return 0
            self._feed(data[2] * _LINE if second == 0x64 else data[2])
            return 3
        if first == GS and second == 0x72:
            if len(data) < 3:
                return 0
            self._answer(bytes((self._sensors(),)))
            return 3
        if first == GS and second == 0x56:
            return self._cut_command()
        if first == GS and second == 0x76:
            return self._raster()
        if first == GS and second == 0x28:
            return self._sized()
        self.unknown.append(bytes(data[:2]))
        return 2

    def _cut_command(self) -> int:
        data = self._buffer
        if len(data) < 3:
            return 0
        if data[2] in (0x41, 0x42):
            if len(data) < 4:
                return 0
            self._feed(data[3])
            self._finished = True
            return 4
        self._finished = True
        return 3

    def _raster(self) -> int:
        """GS v 0 m xL xH yL yH d1…dk: rows of bits, the highest bit left, set is black."""
        data = self._buffer
        if len(data) < 8:
            return 0
        across, down = data[4] | data[5] << 8, data[6] | data[7] << 8
        need = 8 + across * down
        if len(data) < need:
            return 0
        for row in range(down):
            bits = bytes(data[8 + row * across : 8 + (row + 1) * across])
            self._rows.append(bits)
            if data[3] & 2:  # double height
                self._rows.append(bits)
        return need

    def _sized(self) -> int:
        data = self._buffer
        if len(data) < 5:
            return 0
        need = 5 + (data[3] | data[4] << 8)
        if len(data) < need:
            return 0
        self.unknown.append(bytes(data[:3]))
        return need

    def _feed(self, dots: int) -> None:
        self._rows += [b""] * dots

    def _paper(self) -> Image.Image:
        row_bytes = self._head // 8
        # A head narrower than the picture loses what stands over its edge, as paper does.
        raw = b"".join(row[:row_bytes].ljust(row_bytes, b"\0") for row in self._rows)
        return Image.frombytes("1", (self._head, len(self._rows)), bytes(value ^ 0xFF for value in raw))

"""Where one scan ends and the next begins, and when the same code is merely still being held.

An AAMVA payload holds line feeds and carriage returns itself, so no terminator can end it. A scan ends when its bytes
stop coming; the scanner's own terminator is then taken off.
"""

from __future__ import annotations

from .recognize import MAX_SCAN_BYTES

__all__ = ["Framer", "HeldFilter"]


class Framer:
    """Collects one device's bytes into scans. Pure: the caller brings the clock (seconds, monotonic).

    Only ``poll`` ends a scan, and the caller asks it when it has looked at the line and found nothing waiting. That bytes were
    taken late proves no gap: a program that stood still finds the middle of a scan where the scanner had long sent its end.
    """

    def __init__(self, idle_s: float = 0.06, limit: int = MAX_SCAN_BYTES) -> None:
        self.idle_s = idle_s
        self._limit = limit
        self._buffer = bytearray()
        self._last = 0.0

    def feed(self, data: bytes, now: float) -> None:
        """Take bytes that just came."""
        self._last = now
        if len(self._buffer) + len(data) > self._limit:
            # Keep one byte more than the limit: enough for the parser to refuse it by its length, and no more.
            data = data[: max(0, self._limit + 1 - len(self._buffer))]
        self._buffer += data

    def poll(self, now: float) -> bytes | None:
        """The scan that is complete, if there is one, when nothing more was waiting at ``now``."""
        if self._buffer and now - self._last >= self.idle_s:
            scan = bytes(self._buffer)
            self._buffer.clear()
            return scan
        return None

    def due_in(self, now: float) -> float | None:
        """Seconds until ``poll`` would give a scan; None while nothing is collected."""
        return max(0.0, self._last + self.idle_s - now) if self._buffer else None

    def drop(self) -> bool:
        """Forget a scan that was cut off by its device's loss; whether there was one."""
        had = bool(self._buffer)
        self._buffer.clear()
        return had


class HeldFilter:
    """Lets a scan through once while the same one keeps coming: a presentation scanner repeats what lies before it.

    A scan counts as still held until it was not seen for ``release_s`` seconds.
    """

    def __init__(self, release_s: float = 2.0) -> None:
        self._release_s = release_s
        self._last: bytes | None = None
        self._seen = 0.0

    def is_new(self, scan: bytes, now: float) -> bool:
        """Whether ``scan`` is a presentation of its own."""
        same = scan == self._last and now - self._seen < self._release_s
        self._last, self._seen = scan, now
        return not same

"""Small print jobs that say on paper who they are, for tests that print thousands of them."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import Iterable

from PIL import Image

from printers import Job, Timeouts
from printers.testing import VirtualPrinter

_BITS = 64

# Nothing in a test is late by the clock unless the test is about that.
PATIENT = Timeouts(connect=60, answer=60, stall=60, finish=60, quiet=60)


def strip(number: int, rows: int = 8) -> bytes:
    """An ESC/POS job whose first row is `number`; noise below makes it as long as wanted without being compressible."""
    noise = random.Random(number)
    first = number.to_bytes(_BITS // 8, "big") + bytes(64)
    body = b"".join(noise.randbytes(72).translate(_QUIET) for _ in range(rows - 1))
    return b"\x1b@\x1dv0\x00" + bytes((72, 0)) + rows.to_bytes(2, "little") + first + body + b"\x1bd\x06\x1dV\x00"


# Noise must hold no real-time command.
_QUIET = bytes(0x11 if value == 0x10 else value for value in range(256))


def number_of(image: Image.Image) -> int:
    """Whose strip this is."""
    return int.from_bytes(bytes(value ^ 0xFF for value in image.crop((0, 0, _BITS, 1)).tobytes()), "big")


def counting(printers: Iterable[VirtualPrinter]) -> Counter[int]:
    """What the printers cut from now on, by number."""
    seen: Counter[int] = Counter()
    for printer in printers:
        printer._on_print = lambda badge: seen.update([number_of(badge.image)])
    return seen


def job(number: int, printer: str = "desk", **more: object) -> Job:
    at = dt.datetime(2026, 11, 20, 8, 0, tzinfo=dt.UTC) + dt.timedelta(milliseconds=number)
    return Job(id=f"job-{number:05}", printer=printer, ref=str(number), queued_at=at, **more)  # type: ignore[arg-type]

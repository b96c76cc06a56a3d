"""ESC/POS: the only importer of python-escpos.

Everything on a badge is raster (`GS v 0`): code pages differ between printers, and dots cannot act as commands.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import shutil
import struct
import tempfile
from functools import lru_cache
from typing import Any

from PIL import Image

from .errors import EncodingError
from .media import Profile
from .status import Paper, PrinterStatus

# A printer obeys real-time commands the moment they arrive, even inside a picture's dots (Epson's ESC/POS reference,
# DLE EOT, DLE ENQ, DLE DC4: "… if this sequence is included in the data of another command …"): a photo could then
# open a cash drawer or upset the status. One dot of such a pair is turned, which nobody sees.
_REAL_TIME = re.compile(rb"\x10(?=[\x04\x05\x14])")

# Fragments of 256 rows keep within the receive buffer of small printers.
_FRAGMENT = 256

CLEAR = b"\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08"
"""DLE DC4 8: throw away what a broken connection has left in the printer's buffer."""

FILL = bytes(_FRAGMENT * 72)
"""For a printer that does not say what it has printed, and may still hold a good badge: nothing is thrown away, but a
picture begun is filled up with white. A printer that waits for a command ignores NUL."""

ASK = (b"\x10\x04\x01", b"\x10\x04\x02", b"\x10\x04\x03", b"\x10\x04\x04")
"""DLE EOT 1-4: printer, offline cause, error cause, paper sensor; one byte each in answer."""

CONFIRM = b"\x1d\x72\x01"
"""GS r 1: unlike DLE EOT it waits its turn in the buffer, so its answer says that all before it has been worked off."""


@lru_cache(maxsize=1)
def _driver() -> Any:
    """Import python-escpos, which on import configures the root logger and leaves a folder in the temporary directory."""
    if "ESCPOS_CAPABILITIES_PICKLE_DIR" not in os.environ:
        folder = tempfile.mkdtemp(prefix="escpos-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["ESCPOS_CAPABILITIES_PICKLE_DIR"] = folder
    root = logging.getLogger()
    before = list(root.handlers)
    import escpos.printer

    for handler in [handler for handler in root.handlers if handler not in before]:
        root.removeHandler(handler)
    return escpos.printer


def encode(image: Image.Image, profile: Profile) -> bytes:
    """The badge as ESC/POS: reset, raster, feed and cut. Raises `EncodingError` for an image wider than the head."""
    dummy = _driver().Dummy(profile=profile.driver or None)
    head = dummy.profile.profile_data["media"]["width"].get("pixels")
    if isinstance(head, int) and image.width > head:
        raise EncodingError(f"the image is {image.width} dots wide, the head of {profile.name} has {head}")
    dummy.hw("INIT")
    across = (image.width + 7) // 8
    dots = _without_commands(_raster(image, across))
    for top in range(0, image.height, _FRAGMENT):
        rows = min(_FRAGMENT, image.height - top)
        # The driver's own image() converts by way of RGBA, twice: half of all the time a badge takes.
        header = b"\x1dv0\x00" + struct.pack("<HH", across, rows)
        dummy._raw(header + dots[top * across : (top + rows) * across])
    if profile.cuts:
        dummy.cut()
    else:
        dummy.print_and_feed(4)
    return bytes(dummy.output)


def _raster(image: Image.Image, across: int) -> bytes:
    """Rows of bits padded to whole bytes, set where it is black: what `GS v 0` takes."""
    padded = Image.new("1", (across * 8, image.height), 255)
    padded.paste(image, (0, 0))
    return bytes(padded.tobytes()).translate(_INVERT)


def _without_commands(dots: bytes) -> bytes:
    """The dots with no real-time command hidden in them, not even across two rows or two fragments."""
    return _REAL_TIME.sub(b"\x11", dots)


_INVERT = bytes(255 - value for value in range(256))


def parse_status(answers: bytes) -> PrinterStatus:
    """The four answers to `ASK` as a status. Raises `ValueError` for bytes that are no such answers.

    Each byte has bits 1 and 4 set and bits 0 and 7 clear, which tells it from other traffic.
    """
    if len(answers) != len(ASK) or any(byte & 0x93 != 0x12 for byte in answers):
        raise ValueError("not an answer to DLE EOT")
    printer, offline, error, paper = answers
    faults = [word for bit, word in ((0x08, "cutter jammed"), (0x20, "needs service"), (0x40, "too hot, cooling")) if error & bit]
    if offline & 0x40 and not faults:
        faults = ["error light is on"]
    end = bool(paper & 0x60) or bool(offline & 0x20)
    return PrinterStatus(
        online=not printer & 0x08,
        cover_open=bool(offline & 0x04),
        paper=Paper.OUT if end else Paper.LOW if paper & 0x0C else Paper.OK,
        error=", ".join(faults),
    )

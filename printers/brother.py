"""Brother QL label printers, by Brother's "Raster Command Reference QL-800/810W/820NWB"; section names are its own."""

from __future__ import annotations

import struct

from PIL import Image, ImageOps

from .errors import EncodingError
from .status import Paper, PrinterStatus

_PINS = 720
_MARGIN_PINS = 12  # 62 mm continuous roll: 12 pins unused on each side, 696 print ("Raster line")
_WIDTH_MM = 62
_FEED_DOTS = 35  # the least margin the reference allows: 3 mm ("Page size")

ASK = b"\x1biS"
"""Status information request: a packet of 32 bytes."""

CLEAR = b"\x00" * 400 + b"\x1b@"
"""Invalidate and Initialize: ends whatever a broken connection has left half sent."""


def encode(image: Image.Image) -> bytes:
    """The badge for a 62 mm roll at 300 dpi, cut at its end. Raises `EncodingError` for an image of another width."""
    if image.width != _PINS - 2 * _MARGIN_PINS:
        raise EncodingError(f"a 62 mm roll takes {_PINS - 2 * _MARGIN_PINS} dots across, not {image.width}")
    row = _PINS // 8
    sheet = Image.new("1", (_PINS, image.height), 255)
    sheet.paste(image, (_MARGIN_PINS, 0))
    # The first bit sent is the rightmost pin, and a set bit is black: the reverse of a Pillow row on both counts.
    dots = bytes(ImageOps.mirror(sheet).tobytes()).translate(_INVERT)
    lines = b"".join(b"g\x00" + bytes((row,)) + dots[at : at + row] for at in range(0, len(dots), row))
    return b"".join(
        (
            CLEAR,
            b"\x1bia\x01",  # switch dynamic command mode: raster
            b"\x1bi!\x00",  # automatic status notification: on, so that "printing completed" comes by itself
            # Print information: recovery on, kind and width given; 0x0A is continuous length tape.
            b"\x1biz" + struct.pack("<BBBBIBB", 0x86, 0x0A, _WIDTH_MM, 0, image.height, 0, 0),
            b"\x1biM\x40",  # various mode: auto cut
            b"\x1biA\x01",  # cut each label
            b"\x1biK\x08",  # expanded mode: cut at end
            b"\x1bid" + struct.pack("<H", _FEED_DOTS),  # margin
            b"M\x00",  # no compression: the QL-800 knows none
            lines,
            b"\x1a",  # print with feeding
        )
    )


_INVERT = bytes(255 - value for value in range(256))

PACKET = 32
COMPLETED = 0x01
"""Status type: printing completed."""
FAULT = 0x02
"""Status type: an error occurred."""

_ERRORS_1 = ((0x04, "cutter jammed"), (0x10, "in use"), (0x80, "fan stopped"))
_ERRORS_2 = (
    (0x01, "wrong roll"),
    (0x04, "communication error"),
    (0x20, "canceled at the printer"),
    (0x40, "paper cannot be fed"),
    (0x80, "system error"),
)


def parse_status(packet: bytes) -> PrinterStatus:
    """A status packet ("Status" in the reference) as a status. Raises `ValueError` for bytes that are none."""
    if len(packet) != PACKET or packet[:3] != b"\x80\x20B":
        raise ValueError("not a Brother status packet")
    first, second = packet[8], packet[9]
    faults = [word for bit, word in _ERRORS_1 if first & bit] + [word for bit, word in _ERRORS_2 if second & bit]
    if not first & 0x03 and not second & 0x01 and packet[10] not in (0, _WIDTH_MM):
        faults.append(f"a {packet[10]} mm roll is in it, not {_WIDTH_MM} mm")
    return PrinterStatus(
        cover_open=bool(second & 0x10),
        paper=Paper.OUT if first & 0x03 else Paper.OK,
        error=", ".join(faults),
    )


def status_type(packet: bytes) -> int:
    """What kind of news the packet is: 0 an answer, `COMPLETED`, `FAULT`, 5 a notification, 6 a change of phase."""
    return packet[18]

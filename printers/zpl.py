"""ZPL II (Zebra): the only importer of zebrafy. Zebra's Programming Guide: ^GF, ^PW, ^LL, ^XA/^XZ, ~HS."""

from __future__ import annotations

from PIL import Image

from .status import Paper, PrinterStatus

ASK = b"~HS"
"""Host Status Return: three lines, each between STX and ETX."""

CLEAR = b"~JA"
"""Cancel all: throws away what a broken connection has left in the printer's buffer."""


def encode(image: Image.Image) -> bytes:
    """The badge as one label: width, length and one graphic field, compressed and in base64.

    A badge's words are dots and never ^FD text, and base64 knows neither ^ nor ~: nothing in it can be a command.
    """
    # Imported when first needed: it brings a PDF engine, which a process that only asks for a status should not hold.
    from zebrafy.zebrafy_image import ZebrafyImage

    graphic: str = ZebrafyImage(image, format="Z64", dither=False, complete_zpl=False).to_zpl()
    # ^MN: whether the printer looks for gaps between labels or takes the length given (a roll without gaps).
    tracking = "Y" if image.info.get("die_cut") else "N"
    head = f"^XA^MN{tracking}^PON^LH0,0^PW{image.width}^LL{image.height}"
    return f"{head}{graphic.strip()}^PQ1,0,1,Y^XZ\n".encode("ascii")


def lines(answer: bytes) -> list[list[str]] | None:
    """The three lines of an answer to `~HS` as fields, or None while it is not complete."""
    found = [part.split(b"\x03")[0] for part in answer.split(b"\x02")[1:] if b"\x03" in part]
    if len(found) < 3:
        return None
    return [line.decode("ascii", "replace").split(",") for line in found[:3]]


def parse_status(answer: bytes) -> PrinterStatus:
    """A complete answer to `~HS` as a status. Raises `ValueError` for bytes that are no such answer."""
    first, second = _fields(answer)
    faults = [
        word
        for flag, word in (
            (first[9], "memory fault"),
            (first[10], "too cold"),
            (first[11], "too hot, cooling"),
            (second[3], "ribbon out"),
        )
        if flag == "1"
    ]
    return PrinterStatus(
        online=first[2] != "1",
        cover_open=second[2] == "1",
        paper=Paper.OUT if first[1] == "1" else Paper.OK,
        error=", ".join(faults),
    )


def idle(answer: bytes) -> bool:
    """Whether the printer has worked off all it was sent: no format waits or is partly in, no label remains."""
    first, second = _fields(answer)
    return int(first[4]) == 0 and first[7] != "1" and int(second[8]) == 0


def _fields(answer: bytes) -> tuple[list[str], list[str]]:
    found = lines(answer)
    if found is None or len(found[0]) < 12 or len(found[1]) < 9:
        raise ValueError("not an answer to ~HS")
    return found[0], found[1]

"""From what a device sent to the identity document in it, or to a sentence that says what to do."""

from __future__ import annotations

import asyncio

import readers
from visitor.visits import models
from visitor.visits.models import Scan


async def read_document(scan: Scan) -> readers.IdDocument:
    """The identity document in a scan. Raises UnreadableScan or NotADocument with what to do."""
    if not scan.data:
        raise models.UnreadableScan("The scan is empty. Scan the document again.")
    if scan.source == "camera":
        reading = await asyncio.to_thread(_of_frame, scan.data)
    else:
        reading = _parse(scan.data)
    if isinstance(reading, readers.BadgeToken):
        raise models.NotADocument("That is a visitor badge. To leave, choose “I am leaving”.")
    if isinstance(reading, readers.InvitationToken):
        raise models.NotADocument("Invitations are not taken at this school yet. Scan a license or a passport.")
    if isinstance(reading, readers.CardNumber):
        raise models.NotADocument("That card does not say who you are. Scan a license or a passport.")
    return reading


def _parse(data: bytes) -> readers.Reading:
    try:
        return readers.parse(data)
    except readers.ReaderError as e:
        raise models.UnreadableScan(e.message, reader_code=e.code) from None


def _of_frame(image: bytes) -> readers.Reading:
    try:
        symbols = readers.decode_image(image)
    except readers.ReaderError as e:
        raise models.UnreadableScan(e.message, reader_code=e.code) from None
    if not symbols:
        raise models.UnreadableScan("No barcode was found in the picture. Hold the back of the license flat and closer.")
    problem: models.UnreadableScan | None = None
    for symbol in symbols:
        try:
            reading = _parse(symbol.data)
        except models.UnreadableScan as e:
            problem = e
            continue
        if not isinstance(reading, readers.CardNumber):
            return reading
    raise problem or models.NotADocument("That barcode does not say who you are. Scan the long barcode of a license.")

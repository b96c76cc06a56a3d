"""Reading what a camera or a scanner of a page saw. Nothing is kept; a page that checks somebody in sends the scan again."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from litestar import Request, post
from litestar.di import NamedDependency

import readers
from visitor.errors import BadInput, TooLarge
from visitor.security import Principal
from visitor.settings import Settings
from visitor.visits.models import Scan, UnreadableScan
from visitor.visits.readings import Readings

_DECODE_BYTES = 12_000_000  # a frame in base64


@post("/api/v1/decode", status_code=200, tags=["visits"], request_max_body_size=_DECODE_BYTES)
async def decode(
    request: Request[Any, Any, Any], principal: NamedDependency[Principal], settings: NamedDependency[Settings],
    readings: NamedDependency[Readings],
) -> dict[str, Any]:
    """What a scan is: a picture (`image/*`, the frame's bytes) or `{data, source, reading_id}` as in a check-in.

    Answers `{reading: {kind: "document", given_name} | {kind: "badge", token} | {kind: "other"} | null}`; null for a picture
    without a barcode. A document's given name, for the greeting, goes to stations and the desk only.
    """
    body = await request.body()
    may_name = bool(principal.roles & {"station", "desk", "admin"})
    if request.headers.get("content-type", "").startswith("image/"):
        if len(body) > settings.limits.scan_bytes:
            raise TooLarge("The picture is too large. Send a smaller one.")
        return {"reading": _shown(await asyncio.to_thread(of_picture, body), may_name)}
    try:
        scan = msgspec.json.decode(body, type=Scan)
    except msgspec.DecodeError as e:
        raise BadInput("Send a picture, or {data, source}.") from e
    if scan.reading_id is not None:
        kept = readings.look(principal.id, scan.reading_id)
        if kept.reading is None:
            raise UnreadableScan(kept.problem or "That could not be read. Present it again.")
        return {"reading": _shown(kept.reading, may_name)}
    if scan.source == "camera":
        found = await asyncio.to_thread(of_picture, scan.data)
        if found is None:
            raise UnreadableScan("No barcode was found in the picture. Hold it flat and closer.")
        return {"reading": _shown(found, may_name)}
    try:
        return {"reading": _shown(readers.parse(scan.data), may_name)}
    except readers.ReaderError as e:
        raise UnreadableScan(e.message, reader_code=e.code) from None


def of_picture(image: bytes) -> readers.Reading | None:
    """The most telling thing in a picture: a document, else a badge, else another code; None without a barcode."""
    try:
        symbols = readers.decode_image(image)
    except readers.ReaderError as e:
        raise UnreadableScan(e.message, reader_code=e.code) from None
    best: readers.Reading | None = None
    for symbol in symbols:
        try:
            reading = readers.parse(symbol.data)
        except readers.ReaderError:
            continue
        if isinstance(reading, readers.IdDocument | readers.BadgeToken):
            return reading
        best = best or reading
    return best


def _shown(reading: readers.Reading | None, may_name: bool) -> dict[str, Any] | None:
    if reading is None:
        return None
    if isinstance(reading, readers.BadgeToken):
        return {"kind": "badge", "token": reading.token}
    if isinstance(reading, readers.IdDocument) and may_name:
        return {"kind": "document", "given_name": (reading.given_name or "").split(" ")[0]}
    return {"kind": "other"}


HANDLERS: list[Any] = [decode]

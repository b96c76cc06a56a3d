"""Camera frames and image files to symbols: the only importer of zxing-cpp and, for pictures, of Pillow.

zxing-cpp reads QR, Aztec and Data Matrix at any angle, but loses PDF417 (the code on every American license) from about
two degrees of tilt in a noisy frame. It still finds the symbol then, and the slant of the symbol's left and right edges
is the tilt: that piece of the picture is turned straight and read again (10 ms where blind sweeps took 50 ms an angle).
What is not even found is swept for, until the time budget is spent.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from readers.aamva import looks_like_aamva
from readers.errors import ImageError, ReaderUnavailableError

from .symbol import Symbol

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["MAX_PIXELS", "decode_image", "draw_pdf417"]

# A phone's largest picture is about 50 megapixels; a bomb is billions. What is larger than this is refused unread.
MAX_PIXELS = 64_000_000
MAX_BYTES = 40_000_000
# Enough for a license held a forearm from a camera; larger pictures are halved until they fit, for speed.
_WORKING_PIXELS = 4_200_000
_FORMATS = ("JPEG", "PNG", "PPM", "BMP", "WEBP", "GIF")
_KINDS = ("PDF417", "QRCode", "Aztec", "DataMatrix", "Code128", "Code39")
# Found symbols are put straight by their edges, so the sweep may go in steps as wide as the finder bears.
_ANGLES = (12, -12, 24, -24, 36, -36, 48, -48, 6, -6, 18, -18, 30, -30, 42, -42)
# The part of a symbol's error correction that must be left over (ISO/IEC 15415, "unused error correction"). Where a reader fills
# every gap it is allowed to fill, nothing is left to notice a wrong guess: of 250 blurred and tilted frames 5 gave garbage with
# perfect checksums, all at 0, where only 2 of 245 right readings were.
_UNUSED_CORRECTION = 0.1
# The edges of a damaged find are a degree off at times.
_AROUND = (0.0, 1.2, -1.2, 2.4, -2.4)


def decode_image(image: bytes, *, budget_ms: float = 400.0) -> list[Symbol]:
    """The symbols in an encoded picture (JPEG, PNG, PPM …), likeliest identity documents first; [] when there is none.

    The first pass looks for a license that is nearly upright, and where it reads one, nothing else is looked for: it takes a
    quarter of the time of the second, which looks for every kind we use, any way up. A PDF417 symbol that is found but not
    read is turned straight and read again. When nothing at all is found, the picture is swept through rotations until
    ``budget_ms`` of wall time is used up (what has begun is finished, so the bound is soft by about 40 ms for 1280x720).

    Raises ImageError: ``too_large``, ``not_an_image``. Raises ReaderUnavailableError without zxing-cpp or Pillow.
    """
    deadline = time.monotonic() + budget_ms / 1000
    picture = _open(image)
    zxing = _zxing()
    licenses, tilted = _read(zxing, picture, ("PDF417",), rotate=False)
    licenses = licenses or _straightened(zxing, picture, tilted, 0.0, deadline)
    if any(looks_like_aamva(symbol.data) for symbol in licenses):
        return licenses
    read, more = _read(zxing, picture, _KINDS)
    if not licenses and all(symbol.format != "PDF417" for symbol in read):
        # The inventory number beside a license's PDF417 bears tilt better: having read it is no reason to stop.
        licenses = _straightened(zxing, picture, [find for find in more if find not in tilted], 0.0, deadline)
    if found := [symbol for symbol in licenses if all(symbol.data != other.data for other in read)] + read:
        return found
    for angle in _ANGLES:
        if time.monotonic() >= deadline:
            break
        turned = _turn(picture, angle)
        read, tilted = _read(zxing, turned, ("PDF417",), angle)
        if read or (read := _straightened(zxing, turned, tilted, angle, deadline)):
            return read
    return []


def draw_pdf417(data: bytes, *, scale: int = 3) -> Image:
    """A PDF417 symbol of ``data`` with its quiet zone, ``scale`` pixels a module: for samples and tests."""
    from PIL.Image import frombytes

    zxing = _zxing()
    drawn = zxing.create_barcode(data.decode("latin-1"), zxing.BarcodeFormat.PDF417).to_image(scale=scale)
    height, width = drawn.shape
    return frombytes("L", (width, height), bytes(memoryview(drawn)))


def _straightened(zxing: Any, picture: Image, tilted: list[_Find], turned: float, deadline: float) -> list[Symbol]:
    """Read the symbols that were found but not read, each cut out and turned by the slant of its own edges."""
    for find in tilted:
        piece = picture.crop(find.box)
        for more in _AROUND:
            if time.monotonic() >= deadline:
                return []
            angle = find.slant + more
            read, _ = _read(zxing, _turn(piece, angle), ("PDF417",), turned + angle, rotate=False)
            if read:
                return read
    return []


def _turn(picture: Image, degrees: float) -> Image:
    from PIL.Image import Resampling

    return picture.rotate(degrees, resample=Resampling.BILINEAR, expand=True, fillcolor=255)


def _zxing() -> Any:
    try:
        import zxingcpp
    except ImportError:
        raise ReaderUnavailableError(
            "no_zxing", "Reading barcodes from pictures needs zxing-cpp. Install the readers extra."
        ) from None
    return zxingcpp


def _open(data: bytes) -> Image:
    """A grayscale picture of working size, with the pixel bound checked before anything is decompressed."""
    if len(data) > MAX_BYTES:
        raise ImageError("too_large", "The picture's file is too large. Take it at a lower resolution.")
    try:
        from PIL import Image as Pillow
    except ImportError:
        raise ReaderUnavailableError("no_pillow", "Opening pictures needs Pillow. Install the readers extra.") from None
    try:
        picture = Pillow.open(io.BytesIO(data), formats=_FORMATS)
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise ImageError("too_large", "The picture has too many pixels. Take it at a lower resolution.")
        if picture.format == "JPEG":
            while width * height > 4 * _WORKING_PIXELS:
                width, height = width // 2, height // 2
            picture.draft("L", (width, height))
        gray = picture.convert("L")
    except ImageError:
        raise
    except Pillow.DecompressionBombError as error:
        raise ImageError("too_large", "The picture has too many pixels. Take it at a lower resolution.") from error
    except Exception as error:  # Pillow's plugins raise whatever the damaged bytes lead them to
        raise ImageError(
            "not_an_image", "The file is damaged, or no picture this program can open (JPEG, PNG, PPM, BMP, WebP, GIF)."
        ) from error
    while gray.width * gray.height > _WORKING_PIXELS:
        gray = gray.reduce(2)
    return gray


class _Find(NamedTuple):
    """A PDF417 symbol that was found and not read: where it is, and the turn that would put it straight."""

    box: tuple[int, int, int, int]
    slant: float


def _read(
    zxing: Any, picture: Image, kinds: Sequence[str], turned: float = 0.0, *, rotate: bool = True
) -> tuple[list[Symbol], list[_Find]]:
    """Symbols of ``kinds``, and PDF417 finds without a reading to stand behind; ``rotate`` looks for them lying on their side as well."""
    found, tilted = [], []
    formats = [getattr(zxing.BarcodeFormat, kind) for kind in kinds]
    for barcode in zxing.read_barcodes(
        picture, formats=formats, text_mode=zxing.TextMode.Plain, try_rotate=rotate, try_invert=False, return_errors=True
    ):
        spot = barcode.position
        corners = tuple((point.x, point.y) for point in (spot.top_left, spot.top_right, spot.bottom_right, spot.bottom_left))
        name = barcode.symbology.name
        if barcode.valid and (name != "PDF417" or barcode.extra.get("UEC", 1.0) >= _UNUSED_CORRECTION):
            found.append(Symbol(name, bytes(barcode.bytes), corners if not turned else (), turned))
        elif name == "PDF417":
            tilted.append(_find(corners, picture))
    order = {name: place for place, name in enumerate(_KINDS)}
    return sorted(found, key=lambda symbol: order.get(symbol.format, len(order))), tilted


def _find(corners: tuple[tuple[int, int], ...], picture: Image) -> _Find:
    (left_x, left_y), (right_x, right_y), (right_x2, right_y2), (left_x2, left_y2) = corners
    # The longer edge is the truer one: of a damaged find the other is often cut short.
    left, right = (left_x2 - left_x, left_y2 - left_y), (right_x2 - right_x, right_y2 - right_y)
    dx, dy = max(left, right, key=lambda edge: math.hypot(*edge))
    slant = -math.degrees(math.atan2(dx, dy)) if dy else 0.0
    across, down = [x for x, _ in corners], [y for _, y in corners]
    margin = max(20, (max(across) - min(across)) // 5)
    box = (
        max(0, min(across) - margin), max(0, min(down) - margin),
        min(picture.width, max(across) + margin), min(picture.height, max(down) + margin),
    )  # fmt: skip
    return _Find(box, slant)

"""Camera frames and image files to symbols: the only importer of zxing-cpp and, for pictures, of Pillow.

zxing-cpp reads QR, Aztec and Data Matrix at any angle, but loses PDF417 (the code on every American license) from about
five degrees of tilt. So a picture without a symbol is turned in small steps, likeliest first, until something is read or
the time budget is spent.
"""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any

from readers.errors import ImageError, ReaderUnavailableError

from .symbol import Symbol

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["MAX_PIXELS", "decode_image"]

# A phone's largest picture is about 50 megapixels; a bomb is billions. What is larger than this is refused unread.
MAX_PIXELS = 64_000_000
MAX_BYTES = 40_000_000
# Enough for a license held a forearm from a camera; larger pictures are halved until they fit, for speed.
_WORKING_PIXELS = 4_200_000
_FORMATS = ("JPEG", "PNG", "PPM", "BMP", "WEBP", "GIF")
# Hands tilt a card a little far more often than a lot: small angles first, then the sweep to 45 degrees.
_ANGLES = (4, -4, 8, -8, 6, -6, 2, -2, 12, -12, 10, -10, 16, -16, 20, -20, 25, -25, 30, -30, 35, -35, 40, -40, 45, -45)


def decode_image(image: bytes, *, budget_ms: float = 400.0) -> list[Symbol]:
    """The symbols in an encoded picture (JPEG, PNG, PPM …), likeliest identity documents first; [] when there is none.

    The first pass looks for every known kind. When it finds nothing, the picture is swept through rotations for PDF417
    until ``budget_ms`` of wall time is used up (a pass that has begun is finished, so the bound is soft by one pass,
    about 30 ms for 1280x720).

    Raises ImageError: ``too_large``, ``not_an_image``. Raises ReaderUnavailableError without zxing-cpp or Pillow.
    """
    started = time.monotonic()
    picture = _open(image)
    zxing = _zxing()
    found = _read(zxing, picture, None)
    if found:
        return found
    from PIL.Image import Resampling

    smooth = Resampling.BILINEAR if picture.width * picture.height < 2_000_000 else Resampling.NEAREST
    for angle in _ANGLES:
        if (time.monotonic() - started) * 1000 >= budget_ms:
            break
        turned = picture.rotate(angle, resample=smooth, expand=True, fillcolor=255)
        found = _read(zxing, turned, angle, zxing.BarcodeFormat.PDF417)
        if found:
            return found
    return []


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
    except Exception as error:  # Pillow's plugins raise whatever the damaged bytes lead them to
        raise ImageError("not_an_image", "The file is not a picture this program can open (JPEG, PNG, PPM).") from error
    while gray.width * gray.height > _WORKING_PIXELS:
        gray = gray.reduce(2)
    return gray


def _read(zxing: Any, picture: Image, angle: float | None, formats: Any = None) -> list[Symbol]:
    options: dict[str, Any] = {"text_mode": zxing.TextMode.Plain}
    if formats is not None:
        options["formats"] = formats
    found = []
    for barcode in zxing.read_barcodes(picture, **options):
        if not barcode.valid:
            continue
        spot = barcode.position
        corners = tuple((point.x, point.y) for point in (spot.top_left, spot.top_right, spot.bottom_right, spot.bottom_left))
        name = str(barcode.format).rsplit(".", 1)[-1]
        found.append(Symbol(name, bytes(barcode.bytes), corners if not angle else (), float(angle or 0)))
    order = {"PDF417": 0, "QRCode": 1, "Aztec": 1}
    return sorted(found, key=lambda symbol: order.get(symbol.format, 2))

"""A visitor's photo: decoded, turned upright, made small and encoded anew, so that nothing else that was in the file is kept.

Decoding is bounded before it starts: bytes, then pixels as the file's head declares them (a picture of a few kilobytes can
declare billions).
"""

from __future__ import annotations

import asyncio
import io
import warnings
from typing import Final

from PIL import Image, ImageOps

from visitor.errors import BadInput, TooLarge

MAX_BYTES: Final = 8_000_000
MAX_PIXELS: Final = 50_000_000  # a phone's largest camera
EDGE: Final = 640
_FORMATS: Final = ("JPEG", "PNG", "WEBP", "JPEG2000")  # JPEG 2000 is what passport chips hold


class NotAPhoto(BadInput):
    type = "photo-not-an-image"
    title = "The photo is not a picture"


class PhotoTooLarge(TooLarge):
    type = "photo-too-large"
    title = "The photo is too large"


async def clean(data: bytes, max_bytes: int = MAX_BYTES) -> bytes:
    """A JPEG of at most 640 pixels a side, made off the event loop. Raises NotAPhoto, PhotoTooLarge."""
    if len(data) > max_bytes:
        raise PhotoTooLarge(f"The photo has {len(data) // 1_000_000} MB; {max_bytes // 1_000_000} MB is the most.")
    return await asyncio.to_thread(reencode, data)


def reencode(data: bytes) -> bytes:
    """As `clean`, at once."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own bound is the lower one
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                if image.width * image.height > MAX_PIXELS or max(image.size) > 65_500:
                    raise PhotoTooLarge(f"The photo has {image.width} × {image.height} pixels; send a smaller one.")
                image.draft("RGB", (EDGE, EDGE))  # a JPEG is decoded at a fraction of its size where that is enough
                upright = ImageOps.exif_transpose(image)
                upright.thumbnail((EDGE, EDGE))
                if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
                    layer = upright.convert("RGBA")
                    upright = Image.new("RGB", layer.size, "white")
                    upright.paste(layer, mask=layer.getchannel("A"))
                out = io.BytesIO()
                upright.convert("RGB").save(out, "JPEG", quality=85)
                return out.getvalue()
    except (BadInput, TooLarge):
        raise
    except Image.DecompressionBombError:
        raise PhotoTooLarge("The photo declares more pixels than a camera makes.") from None
    except Exception:  # decoders raise whatever a hostile file leads them to; all of it means the same here
        raise NotAPhoto("The photo could not be read as a JPEG, PNG or WebP picture. Take it again.") from None

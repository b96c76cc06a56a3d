"""A visitor's photo, from whatever file it came in, as dots a thermal head prints well."""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageFilter, ImageOps, UnidentifiedImageError

from .errors import PhotoError

MAX_PIXELS = 25_000_000
"""A kiosk's camera has at most 12 megapixels; a file that unfolds to more is an accident or an attack."""

MAX_BYTES = 30_000_000
"""Longer files are not opened at all."""

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "MPO")
# A thermal dot is larger than its cell, so mid-tones print darker than they are on a screen.
_DOT_GAIN = 0.8
# The lightest tone still gets a few dots: bare paper swallows the light side of a fair face.
_LIGHTEST = 0.95


def open_photo(data: bytes, *, about: int) -> Image.Image:
    """Decode a photo, upright, in gray ("L"), on white where it is transparent, its first frame if it is animated.

    `about` is the longer side in dots that will be printed: a JPEG is decoded no smaller than that, and not much larger.
    Raises `PhotoError` for what is no picture, is truncated, or unfolds to more than `MAX_PIXELS`.
    """
    if len(data) > MAX_BYTES:
        raise PhotoError(f"the photo's file has {len(data):,} bytes; at most {MAX_BYTES:,} are read")
    try:
        with warnings.catch_warnings():
            # Ours is the stricter limit, judged below from the header alone.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS:
                    raise PhotoError(f"the photo unfolds to {width}x{height} pixels; at most {MAX_PIXELS:,} are read")
                if min(width, height) < 8:
                    raise PhotoError(f"the photo is only {width}x{height} pixels")
                # Must come before load(): a JPEG is then decoded at 1/2, 1/4 or 1/8, which is most of the time saved.
                picture.draft("L", (about, about))
                picture.load()
                return _gray(picture)
    except PhotoError:
        raise
    except Image.DecompressionBombError:
        raise PhotoError(f"the photo unfolds to more than {MAX_PIXELS:,} pixels") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, KeyError) as error:
        # Pillow's decoders raise all of these for broken files; its message may quote the file, so it is not passed on.
        raise PhotoError(f"the photo cannot be read ({type(error).__name__})") from None


def _gray(picture: Image.Image) -> Image.Image:
    upright = ImageOps.exif_transpose(picture)
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        rgba = upright.convert("RGBA")
        paper = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(paper, rgba).convert("L")
    if upright.mode.startswith(("I", "F")):
        # 16-bit gray: Pillow's own conversion clips instead of scaling.
        return upright.point(lambda value: value / 256).convert("L")
    return upright.convert("L")


def dithered(photo: Image.Image, width: int, height: int) -> Image.Image:
    """Crop the photo to the shape (a little above its middle, where a face is), scale, balance and dither it.

    Returns an "L" image of only 0 and 255.
    """
    fitted = ImageOps.fit(photo, (width, height), Image.Resampling.BICUBIC, centering=(0.5, 0.38))
    # A wide mask sets the head off from a backdrop of like tone, whatever the skin and hair.
    fitted = fitted.filter(ImageFilter.UnsharpMask(radius=width / 10, percent=45, threshold=0))
    fitted = ImageOps.autocontrast(fitted, cutoff=(0.5, 0.1))
    fitted = fitted.point([round(255 * _LIGHTEST * (value / 255) ** _DOT_GAIN) for value in range(256)])
    # Error diffusion softens edges; sharpening beforehand keeps eyes and glasses legible.
    fitted = fitted.filter(ImageFilter.UnsharpMask(radius=1.5, percent=100, threshold=2))
    return fitted.convert("1", dither=Image.Dither.FLOYDSTEINBERG).convert("L")

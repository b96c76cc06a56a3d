"""Image → the bytes a printer takes, by family."""

from __future__ import annotations

from PIL import Image

from .badge import Badge
from .errors import EncodingError
from .layout import render
from .media import Family, Media, Profile, media_named, profile_named


def encode(image: Image.Image, profile: Profile | str) -> bytes:
    """The bytes that print `image` (of `render`) on a printer of this profile, cut included.

    Raises `EncodingError` for an image the printer cannot take and `UnknownName` for an unknown profile.
    """
    known = profile_named(profile) if isinstance(profile, str) else profile
    if image.mode != "1":
        raise EncodingError(f"expected a black and white image (mode 1), not {image.mode}")
    # Each family's module is imported when first used: its driver costs time and memory that others need not spend.
    if known.family is Family.ESCPOS:
        from . import escpos

        return escpos.encode(image, known)
    if known.family is Family.ZPL:
        from . import zpl

        return zpl.encode(image)
    if known.family is Family.BROTHER:
        from . import brother

        return brother.encode(image)
    from . import page

    return page.encode_pdf(image) if known.family is Family.PDF else page.encode_png(image)


def produce(badge: Badge, media: Media | str, profile: Profile | str) -> bytes:
    """Render and encode in one call that pickles: `loop.run_in_executor(pool, produce, badge, "80mm", "epson-tm")`.

    Raises what `render` and `encode` raise.
    """
    known = media_named(media) if isinstance(media, str) else media
    return encode(render(badge, known), profile)

"""An ordinary printer, or a screen: the badge as PDF at true size, or as PNG."""

from __future__ import annotations

import io

from PIL import Image


def encode_png(image: Image.Image) -> bytes:
    """The badge as a PNG that knows its resolution."""
    out = io.BytesIO()
    image.save(out, "PNG", dpi=image.info.get("dpi", (203, 203)))
    return out.getvalue()


def encode_pdf(image: Image.Image) -> bytes:
    """The badge as one page of PDF of exactly the badge's size."""
    out = io.BytesIO()
    # Fixed dates keep the same badge the same bytes.
    image.save(out, "PDF", resolution=float(image.info.get("dpi", (203, 203))[0]), producer="printers", title="Badge",
               creationDate=None, modDate=None)  # fmt: skip
    return out.getvalue()

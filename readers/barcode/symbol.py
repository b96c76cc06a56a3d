"""What a picture gave: one decoded symbol."""

from __future__ import annotations

import msgspec

__all__ = ["Symbol"]


class Symbol(msgspec.Struct, frozen=True):
    """One barcode. ``data`` is its exact bytes, control characters included; ``corners`` are (x, y) in the picture's pixels,
    clockwise from the symbol's own top left; ``rotation`` is how far the picture had to be turned to read it, in degrees."""

    format: str
    data: bytes
    corners: tuple[tuple[int, int], ...] = ()
    rotation: float = 0.0

    def __repr__(self) -> str:
        return f"Symbol(format={self.format!r}, data=<{len(self.data)} bytes>)"

"""Marks that speak without being read: shape and pattern of a category, the day's tab, the escort bar, the QR code."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from functools import lru_cache

import segno
from PIL import Image, ImageDraw

from . import text
from .badge import Category
from .errors import MediaTooSmall

Box = tuple[int, int, int, int]

BEST_MODULE_MM = 1.0
"""Larger gains nothing in a hand. At 40 cm a phone's 1080-line preview sees some 3.5 pixels a millimeter and a reader
wants 2.5 a module, so 0.75 mm (6 dots at 203 dpi) is aimed at wherever the paper is 58 mm or wider."""
LEAST_MODULE_MM = 0.37
"""Three dots at 203 dpi: below that, dot gain closes the gaps between modules."""


def _polygon(sides: int, turn: float) -> Callable[[float, float, float], list[tuple[float, float]]]:
    def points(x: float, y: float, r: float) -> list[tuple[float, float]]:
        steps = (turn + 2 * math.pi * step / sides for step in range(sides))
        return [(x + r * math.sin(angle), y - r * math.cos(angle)) for angle in steps]

    return points


def _star(x: float, y: float, r: float) -> list[tuple[float, float]]:
    steps = [(math.pi * step / 5, r if step % 2 == 0 else r * 0.45) for step in range(10)]
    return [(x + reach * math.sin(angle), y - reach * math.cos(angle)) for angle, reach in steps]


def _cross(x: float, y: float, r: float) -> list[tuple[float, float]]:
    a, b = r * 0.36, r * 0.92
    corners = [(-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a), (a, b), (-a, b), (-a, a), (-b, a), (-b, -a), (-a, -a)]
    return [(x + dx, y + dy) for dx, dy in corners]


_SHAPES: dict[Category, Callable[[float, float, float], list[tuple[float, float]]]] = {
    Category.VISITOR: _polygon(48, 0),
    Category.GUARDIAN: _polygon(4, math.pi / 4),
    Category.VOLUNTEER: _polygon(3, 0),
    Category.CONTRACTOR: _polygon(6, math.pi / 6),
    Category.DELIVERY: _polygon(4, 0),
    Category.SUBSTITUTE: _cross,
    Category.OFFICIAL: _star,
}


_OPTICAL = {
    Category.GUARDIAN: (1.25, 0.0),
    Category.VOLUNTEER: (1.22, 0.18),
    Category.DELIVERY: (1.08, 0.0),
    Category.OFFICIAL: (1.12, 0.06),
}


def _ink(category: Category, x: int, y: int, u: int) -> bool:
    """Whether a dot of the category's pattern is black; `u` is the pattern's unit in dots."""
    if category is Category.VISITOR:
        return False
    if category is Category.GUARDIAN:
        return x % (3 * u) < u
    if category is Category.VOLUNTEER:
        return (x + y) % (3 * u) < u
    if category is Category.CONTRACTOR:
        return (x - y) % (4 * u) < 2 * u
    if category is Category.DELIVERY:
        return (x // (2 * u) + y // (2 * u)) % 2 == 0
    if category is Category.SUBSTITUTE:
        return y % (3 * u) * 4 > abs(x % (4 * u) - 2 * u) * 5
    return True


@lru_cache(maxsize=32)
def _tile(category: Category, u: int) -> Image.Image:
    side = 12 * u
    tile = Image.new("L", (side, side), 255)
    tile.putdata([0 if _ink(category, x, y, u) else 255 for y in range(side) for x in range(side)])
    return tile


def pattern(canvas: Image.Image, box: Box, category: Category, unit: int) -> None:
    """Fill a box with the category's pattern and outline it."""
    left, top, right, bottom = box
    tile = _tile(category, unit)
    area = Image.new("L", (right - left, bottom - top), 255)
    for y in range(0, area.height, tile.height):
        for x in range(0, area.width, tile.width):
            area.paste(tile, (x, y))
    canvas.paste(area, (left, top))
    ImageDraw.Draw(canvas).rectangle((left, top, right - 1, bottom - 1), outline=0, width=max(2, unit // 3))


def shape(canvas: Image.Image, box: Box, category: Category) -> None:
    """Draw the category's shape, solid, in the middle of a box."""
    left, top, right, bottom = box
    r = min(right - left, bottom - top) / 2
    # Points reach less far than a circle: enlarged, so that all shapes weigh alike.
    grown, lowered = _OPTICAL.get(category, (1.0, 0.0))
    points = _SHAPES[category]((left + right) / 2, (top + bottom) / 2 + r * lowered, r * grown)
    ImageDraw.Draw(canvas).polygon(points, fill=0)


def day_tabs(canvas: Image.Image, box: Box, date: dt.date, letters: tuple[str, ...]) -> None:
    """Seven cells across with the days' letters, today's solid: the black tab stands elsewhere on yesterday's badge."""
    left, top, right, bottom = box
    pen = ImageDraw.Draw(canvas)
    edges = [left + round((right - left) * cell / 7) for cell in range(8)]
    line = max(2, (bottom - top) // 16)
    for cell, letter in enumerate(letters):
        today = cell == date.weekday()
        # Neighbors share a line instead of drawing two.
        pen.rectangle((edges[cell], top, min(edges[cell + 1] + line - 1, right - 1), bottom - 1), outline=0, width=line)
        if today:
            pen.rectangle((edges[cell], top, edges[cell + 1] - 1, bottom - 1), fill=0)
        block = text.fit(letter, width_limit=edges[cell + 1] - edges[cell] - 4 * line, largest=round((bottom - top) * 0.78), smallest=8)
        x = (edges[cell] + edges[cell + 1] - text.width(letter, block.font)) // 2
        above, below = text.reach(letter, block.font)
        text.draw(canvas, x, (top + bottom + above - below) // 2, letter, block.font, fill=255 if today else 0)


def dark_day(date: dt.date) -> bool:
    """Whether the date stands white on black: every other day, so that yesterday's badge is the other way round."""
    return date.toordinal() % 2 == 0


def hazard(canvas: Image.Image, box: Box, unit: int) -> None:
    """A black box whose upper and lower edges carry slanted white stripes, like a barrier."""
    left, top, right, bottom = box
    pen = ImageDraw.Draw(canvas)
    pen.rectangle((left, top, right - 1, bottom - 1), fill=0)
    for high in (top + unit // 4, bottom - unit - unit // 4):
        low = high + unit
        for start in range(left - unit, right, 2 * unit):
            pen.polygon([(start + unit, high), (start + 2 * unit, high), (start + unit, low), (start, low)], fill=255)


class Code:
    """The QR code of a token, for any size."""

    def __init__(self, token: str, dpi: int) -> None:
        # A token is noise to the eye, so any mask suits it; trying all eight would be half the time a badge takes.
        self._rows = [bytes(row) for row in segno.make_qr(token, error="m", boost_error=False, mask=0).matrix]
        self._modules = len(self._rows) + 8
        self._least = math.ceil(LEAST_MODULE_MM * dpi / 25.4)
        self.best = self._modules * max(1, round(BEST_MODULE_MM * dpi / 25.4))

    def image(self, room: int) -> Image.Image:
        """The code with its quiet zone of four modules (ISO/IEC 18004:2024, 5.3.8), as large as `room` dots let.

        A module is a whole number of dots, between `LEAST_MODULE_MM` and `BEST_MODULE_MM`. Raises `MediaTooSmall`.
        """
        dots = min(self.best, room) // self._modules
        if dots < self._least:
            raise MediaTooSmall(f"the QR code needs {self._least * self._modules} dots at least; the paper leaves {room}")
        side = len(self._rows)
        flat = b"".join(row.translate(_DARK_AS_BLACK) for row in self._rows)
        small = Image.frombytes("L", (side, side), flat)
        image = Image.new("L", (self._modules * dots, self._modules * dots), 255)
        image.paste(small.resize((side * dots, side * dots), Image.Resampling.NEAREST), (4 * dots, 4 * dots))
        return image


_DARK_AS_BLACK = bytes([255, 0]) + bytes(254)

"""Marks that speak without being read: shape and pattern of a category, the day's tab, the escort bar, the QR code."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from functools import lru_cache

import segno
from PIL import Image, ImageDraw

from .badge import Category
from .errors import MediaTooSmall

Box = tuple[int, int, int, int]

BEST_MODULE_MM = 0.75
"""A phone's 1080-line preview sees about 3.5 pixels a millimeter at 40 cm, and a reader wants 2.5 a module."""
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
        return y % (3 * u) < u
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
    ImageDraw.Draw(canvas).rectangle((left, top, right - 1, bottom - 1), outline=0, width=max(2, unit // 2))


def shape(canvas: Image.Image, box: Box, category: Category) -> None:
    """Draw the category's shape, solid, in the middle of a box."""
    left, top, right, bottom = box
    r = min(right - left, bottom - top) / 2
    points = _SHAPES[category]((left + right) / 2, (top + bottom) / 2, r)
    ImageDraw.Draw(canvas).polygon(points, fill=0)


def day_tabs(canvas: Image.Image, box: Box, date: dt.date) -> None:
    """Seven cells across, the day's own solid: the black tab stands elsewhere on yesterday's badge."""
    left, top, right, bottom = box
    pen = ImageDraw.Draw(canvas)
    edges = [left + round((right - left) * cell / 7) for cell in range(8)]
    line = max(2, (bottom - top) // 14)
    for cell in range(7):
        today = cell == date.weekday()
        pen.rectangle((edges[cell], top, edges[cell + 1] - 1, bottom - 1), outline=0, width=line, fill=0 if today else 255)


def hazard(canvas: Image.Image, box: Box, unit: int) -> None:
    """A black box whose ends carry slanted white stripes, like a barrier."""
    left, top, right, bottom = box
    pen = ImageDraw.Draw(canvas)
    pen.rectangle((left, top, right - 1, bottom - 1), fill=0)
    height = bottom - top
    for stripe in range(2):
        for start in (left + unit + stripe * 2 * unit, right - 4 * unit + stripe * 2 * unit):
            slant = min(unit, height // 3)
            high, low = start + slant, start - slant
            pen.polygon([(high, top), (high + unit, top), (low + unit, bottom), (low, bottom)], fill=255)


def code(token: str, *, room: int, dpi: int) -> Image.Image:
    """The QR code of a token with its quiet zone of four modules (ISO/IEC 18004:2024, 5.3.8), as large as `room` lets.

    A module is a whole number of dots, at most `BEST_MODULE_MM` wide. Raises `MediaTooSmall` when there is no room for
    `LEAST_MODULE_MM`.
    """
    qr = segno.make_qr(token, error="m", boost_error=False)
    matrix = [bytes(row) for row in qr.matrix]
    modules = len(matrix) + 8
    best = max(1, round(BEST_MODULE_MM * dpi / 25.4))
    dots = min(best, room // modules)
    if dots < LEAST_MODULE_MM * dpi / 25.4:
        need = math.ceil(LEAST_MODULE_MM * dpi / 25.4) * modules
        raise MediaTooSmall(f"the QR code needs {need} dots at least; the paper leaves {room}")
    flat = b"".join(bytes(0 if dark else 255 for dark in row) for row in matrix)
    small = Image.frombytes("L", (len(matrix), len(matrix)), flat)
    image = Image.new("L", (modules * dots, modules * dots), 255)
    image.paste(small.resize((len(matrix) * dots,) * 2, Image.Resampling.NEAREST), (4 * dots, 4 * dots))
    return image

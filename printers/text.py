"""Text as dots: which font draws which letter, in which direction, and how large it may be.

Everything is laid out here with fonts that travel with the library, so that the same badge has the same dots on every
machine; Pillow's complex layout is not used, since it depends on a FriBiDi library that a machine may lack.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import msgspec
from arabic_reshaper import ArabicReshaper
from bidi import get_display
from PIL import Image, ImageDraw, ImageFont

from .badge import clean

_FONTS = Path(__file__).parent / "fonts"
_OTHERS = (
    "NotoSansArabic-Bold.ttf",
    "NotoSansHebrew-Bold.ttf",
    "NotoSansCJK-Bold.otf",
    "NotoSansArmenian-Bold.ttf",
    "NotoSansGeorgian-Bold.ttf",
    "NotoSansEthiopic-Bold.ttf",
    "NotoSansCherokee-Regular.ttf",
)
_STACK = {True: ("NotoSans-Bold.ttf", *_OTHERS), False: ("NotoSans-Regular.ttf", *_OTHERS)}
_MISSING = "\u25a1"
_UNITS = 1000
"""The size at which advances are measured: large enough that hinting does not round them."""
_reshape = ArabicReshaper(configuration={"delete_harakat": True, "support_ligatures": True}).reshape


class Font(msgspec.Struct, frozen=True):
    """A size in dots (of the em) and a weight."""

    size: int
    bold: bool = True

    @property
    def line(self) -> int:
        """Distance of baselines."""
        return round(self.size * 1.16)

    @property
    def cap(self) -> int:
        """Height of a capital letter."""
        return round(self.size * 0.714)


class Block(msgspec.Struct, frozen=True):
    """Lines of text at one size."""

    lines: tuple[str, ...]
    font: Font
    rtl: bool = False

    @property
    def height(self) -> int:
        return self.font.line * len(self.lines)


@lru_cache(maxsize=256)
def _face(file: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_FONTS / file, size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=8192)
def _covers(file: str, char: str) -> bool:
    """Whether the font has this character: Pillow does not say, so its dots are held against those of a missing one."""
    if char.isspace():
        return True
    face = _face(file, 24)
    return bytes(face.getmask(char)) != bytes(face.getmask("\U0010fffe")) or char == _MISSING


@lru_cache(maxsize=8192)
def _file_for(char: str, bold: bool) -> str | None:
    return next((file for file in _STACK[bold] if _covers(file, char)), None)


@lru_cache(maxsize=8192)
def _advance(file: str, char: str) -> float:
    """How far a character moves the pen, in ems. Letters are placed by this alone, so that size only scales a line."""
    return _face(file, _UNITS).getlength(char) / _UNITS


def missing(text: str) -> str:
    """The characters no font here can draw; each is printed as an empty box."""
    return "".join(dict.fromkeys(c for c in unicodedata.normalize("NFC", clean(text)) if _file_for(c, True) is None))


@lru_cache(maxsize=1024)
def visual(text: str, rtl: bool = False) -> str:
    """The text as its characters stand on paper from left to right: Arabic letters joined, right-to-left runs turned.

    `rtl` is the direction of the paragraph the line is of (Unicode Annex 9, the base direction).
    """
    text = unicodedata.normalize("NFC", clean(text))
    if rtl or any(unicodedata.bidirectional(char) in ("R", "AL", "AN") for char in text):
        return str(get_display(_reshape(text), base_dir="R" if rtl else "L"))
    return text


def _letters(text: str, bold: bool, rtl: bool) -> Iterator[tuple[str, str]]:
    """The characters as they stand on paper, each with the font that draws it; an empty box for those none has."""
    current = _STACK[bold][0]
    for char in visual(text, rtl):
        if not char.isspace():
            file = _file_for(char, bold)
            if file is None:
                yield _MISSING, _STACK[bold][0]
                continue
            current = file
        # A space is as wide as the letters before it want.
        yield char, current


@lru_cache(maxsize=4096)
def _ems(text: str, bold: bool, rtl: bool) -> float:
    return sum(_advance(file, char) for char, file in _letters(text, bold, rtl))


def width(text: str, font: Font, rtl: bool = False) -> int:
    """Width in dots of one line."""
    return math.ceil(_ems(text, font.bold, rtl) * font.size)


@lru_cache(maxsize=8192)
def _reach(file: str, char: str) -> tuple[float, float]:
    """How far a character's ink goes above and below the baseline, in ems."""
    _, top, _, bottom = _face(file, _UNITS).getbbox(char, anchor="ls")
    return -top / _UNITS, bottom / _UNITS


def reach(text: str, font: Font, rtl: bool = False) -> tuple[int, int]:
    """Dots of ink above and below the baseline: Vietnamese capitals stand high, Arabic hangs low."""
    found = [_reach(file, char) for char, file in _letters(text, font.bold, rtl) if not char.isspace()] or [(0.0, 0.0)]
    above, below = (max(values) for values in zip(*found, strict=True))
    return math.ceil(above * font.size), math.ceil(below * font.size)


@lru_cache(maxsize=2048)
def _glyph(file: str, char: str, size: int) -> tuple[Image.Image, int, int]:
    """A character's ink and where it stands from the pen: the words of every badge are the same and drawn but once."""
    face = _face(file, size)
    left, top, right, bottom = (round(edge) for edge in face.getbbox(char, anchor="ls"))
    ink = Image.new("L", (max(1, right - left), max(1, bottom - top)), 0)
    ImageDraw.Draw(ink).text((-left, -top), char, font=face, fill=255, anchor="ls")
    return ink, left, top


def draw(canvas: Image.Image, x: int, baseline: int, text: str, font: Font, *, rtl: bool = False, fill: int = 0) -> None:
    """Draw one line from `x` on `baseline`."""
    at = float(x)
    for char, file in _letters(text, font.bold, rtl):
        if not char.isspace():
            ink, left, top = _glyph(file, char, font.size)
            canvas.paste(fill, (round(at) + left, baseline + top), ink)
        at += _advance(file, char) * font.size


def right_to_left(text: str) -> bool:
    """Whether the text's first strong letter runs from right to left (Unicode Annex 9, P2 and P3)."""
    for char in text:
        direction = unicodedata.bidirectional(char)
        if direction in ("R", "AL"):
            return True
        if direction == "L":
            return False
    return False


def fit(
    text: str, *, width_limit: int, largest: int, smallest: int, lines: int = 1, height_limit: int | None = None, bold: bool = True
) -> Block:
    """The text in at most `lines` lines as large as it goes, between two sizes in dots and within a box.

    Words stay whole while that is possible at `smallest`; then a word is broken, more lines are taken if the height
    has them, and what still has no room ends in an ellipsis. Lines are balanced: "María / de los Ángeles García"
    becomes two of like width.
    """
    text = unicodedata.normalize("NFC", clean(text))
    words = _words(text)
    rtl = right_to_left(text)
    low, high, best = smallest, max(smallest, largest), None
    while low <= high:
        size = (low + high) // 2
        font = Font(size, bold)
        laid = _wrap(words, font, width_limit)
        if laid and len(laid) <= lines and (height_limit is None or font.line * len(laid) <= height_limit):
            best, low = (font, laid), size + 1
        else:
            high = size - 1
    if best is None:
        font = Font(smallest, bold)
        room = lines if height_limit is None else max(1, height_limit // font.line)
        return Block(_forced(text, font, width_limit, room), font, rtl)
    font, laid = best
    return Block(_balanced(words, font, width_limit, laid), font, rtl)


def _words(text: str) -> tuple[str, ...]:
    """Pieces that a line may end after: words, parts of hyphenated words, single Chinese or Japanese characters."""
    pieces: list[str] = []
    current = ""
    for index, char in enumerate(text):
        current += char
        following = text[index + 1 : index + 2]
        if not following or following == "·":
            continue
        if char.isspace() or char in "-‐–/" or _ideograph(char) or _ideograph(following):
            pieces.append(current)
            current = ""
    if current:
        pieces.append(current)
    return tuple(pieces)


def _ideograph(char: str) -> bool:
    return bool(char) and ("\u3040" <= char <= "\u30ff" or "\u3400" <= char <= "\u9fff" or "\uf900" <= char <= "\ufaff")


def _wrap(words: tuple[str, ...], font: Font, limit: int) -> tuple[str, ...] | None:
    """Greedy lines, or None if a single piece is too wide."""
    lines: list[str] = []
    current = ""
    for word in words:
        joined = current + word
        if width(joined.strip(), font) <= limit:
            current = joined
            continue
        if not current or width(word.strip(), font) > limit:
            return None
        lines.append(current.strip())
        current = word
    lines.append(current.strip())
    return tuple(line for line in lines if line)


def _balanced(words: tuple[str, ...], font: Font, limit: int, laid: tuple[str, ...]) -> tuple[str, ...]:
    low, high = limit // 2, limit
    while low < high:
        middle = (low + high) // 2
        tried = _wrap(words, font, middle)
        if tried is not None and len(tried) <= len(laid):
            laid, high = tried, middle
        else:
            low = middle + 1
    return laid


def _forced(text: str, font: Font, limit: int, lines: int) -> tuple[str, ...]:
    """Break words where the line is full; end in an ellipsis what has no room."""
    laid: list[str] = []
    rest = text
    while rest and len(laid) < lines:
        last = len(laid) == lines - 1
        if width(rest, font) <= limit:
            laid.append(rest)
            rest = ""
            break
        tail = "…" if last else ""
        end, beyond = 1, len(rest) + 1
        while beyond - end > 1:
            middle = (end + beyond) // 2
            if width(rest[:middle].strip() + tail, font) <= limit:
                end = middle
            else:
                beyond = middle
        if last:
            laid.append(rest[:end].strip() + tail)
            break
        space = rest.rfind(" ", 1, end + 1)
        end = space if space > end // 2 else end
        laid.append(rest[:end].strip())
        rest = rest[end:].strip()
    return tuple(laid)

"""Text as dots: which font draws which letter, in which direction, and how large it may be.

Everything is laid out here with fonts that travel with the library, so that the same badge has the same dots on every
machine; Pillow's complex layout is not used, since it depends on a FriBiDi library that a machine may lack.
"""

from __future__ import annotations

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
_STACK = {
    True: ("NotoSans-Bold.ttf", "NotoSansArabic-Bold.ttf", "NotoSansHebrew-Bold.ttf", "NotoSansCJK-Bold.otf"),
    False: ("NotoSans-Regular.ttf", "NotoSansArabic-Bold.ttf", "NotoSansHebrew-Bold.ttf", "NotoSansCJK-Bold.otf"),
}
_MISSING = "\u25a1"
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

    @property
    def rise(self) -> int:
        """Room above the baseline that accented capitals need (Vietnamese stacks two marks)."""
        return round(self.size * 1.0)


class Block(msgspec.Struct, frozen=True):
    """Lines of text at one size."""

    lines: tuple[str, ...]
    font: Font

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


def _file_for(char: str, bold: bool) -> str | None:
    return next((file for file in _STACK[bold] if _covers(file, char)), None)


def missing(text: str) -> str:
    """The characters no font here can draw; each is printed as an empty box."""
    return "".join(dict.fromkeys(c for c in unicodedata.normalize("NFC", clean(text)) if _file_for(c, True) is None))


@lru_cache(maxsize=1024)
def visual(text: str) -> str:
    """The text as its characters stand on paper from left to right: Arabic letters joined, right-to-left runs turned."""
    text = unicodedata.normalize("NFC", clean(text))
    if any(unicodedata.bidirectional(char) in ("R", "AL", "AN") for char in text):
        return str(get_display(_reshape(text)))
    return text


def _runs(text: str, bold: bool) -> Iterator[tuple[str, str]]:
    """Stretches of visual text with the font file that draws each."""
    current, start = "", 0
    for index, char in enumerate(text):
        file = _file_for(char, bold)
        if char.isspace() and current:
            file = current
        wanted = file or _STACK[bold][0]
        if wanted != current:
            if current:
                yield text[start:index], current
            current, start = wanted, index
    if current:
        yield text[start:], current


@lru_cache(maxsize=8192)
def width(text: str, font: Font) -> int:
    """Width in dots of one line."""
    shown = "".join(c if _file_for(c, font.bold) else _MISSING for c in visual(text))
    return round(sum(_face(file, font.size).getlength(part) for part, file in _runs(shown, font.bold)))


def draw(canvas: Image.Image, x: int, baseline: int, text: str, font: Font, *, fill: int = 0) -> int:
    """Draw one line from `x` on `baseline` and return where it ends."""
    pen = ImageDraw.Draw(canvas)
    shown = "".join(c if _file_for(c, font.bold) else _MISSING for c in visual(text))
    at = float(x)
    for part, file in _runs(shown, font.bold):
        face = _face(file, font.size)
        pen.text((round(at), baseline), part, font=face, fill=fill, anchor="ls")
        at += face.getlength(part)
    return round(at)


def right_to_left(text: str) -> bool:
    """Whether the text's first strong letter runs from right to left (Unicode Annex 9, P2 and P3)."""
    for char in text:
        direction = unicodedata.bidirectional(char)
        if direction in ("R", "AL"):
            return True
        if direction == "L":
            return False
    return False


def fit(text: str, *, width_limit: int, lines: int, largest: int, smallest: int, bold: bool = True) -> Block:
    """The text in at most `lines` lines as large as it goes, between two sizes in dots.

    Words stay whole while that is possible at `smallest`; then a word is broken, and what still has no room ends in
    an ellipsis. Lines are balanced: "María / de los Ángeles García" becomes two of like width.
    """
    text = unicodedata.normalize("NFC", clean(text))
    words = _words(text)
    low, high, best = smallest, max(smallest, largest), None
    while low <= high:
        size = (low + high) // 2
        laid = _wrap(words, Font(size, bold), width_limit)
        if laid is not None and len(laid) <= lines:
            best, low = (size, laid), size + 1
        else:
            high = size - 1
    if best is None:
        return _forced(text, Font(smallest, bold), width_limit, lines)
    size, laid = best
    return Block(_balanced(words, Font(size, bold), width_limit, laid), Font(size, bold))


def _words(text: str) -> tuple[str, ...]:
    """Pieces that a line may end after: words, parts of hyphenated words, single Chinese or Japanese characters."""
    pieces: list[str] = []
    current = ""
    for index, char in enumerate(text):
        current += char
        following = text[index + 1 : index + 2]
        if (char.isspace() or char in "-‐–/" or _ideograph(char) or _ideograph(following)) and following:
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


def _forced(text: str, font: Font, limit: int, lines: int) -> Block:
    """Break words where the line is full; end in an ellipsis what has no room."""
    laid: list[str] = []
    rest = text
    while rest and len(laid) < lines:
        last = len(laid) == lines - 1
        if width(rest, font) <= limit:
            laid.append(rest)
            rest = ""
            break
        end = len(rest)
        while end > 1 and width(rest[:end].strip() + ("…" if last else ""), font) > limit:
            end -= 1
        if last:
            laid.append(rest[:end].strip() + "…")
            break
        space = rest.rfind(" ", 1, end + 1)
        end = space if space > end // 2 else end
        laid.append(rest[:end].strip())
        rest = rest[end:].strip()
    return Block(tuple(laid), font)

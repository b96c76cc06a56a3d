"""The sections of a badge, each drawn at the sheet's current height."""

from __future__ import annotations

from PIL import Image, ImageDraw

from . import marks, text
from .badge import Badge, clean
from .errors import MediaTooSmall
from .media import Media
from .photo import dithered
from .text import Block, fit
from .words import clock, day, words

_TALLEST_MM = 400.0


class Sheet:
    """A tall white canvas that is filled from the top; the layouts differ only in the order of the sections.

    `scale` makes all but the code smaller or larger, to fill a label. Lengths in the sections are millimeters.
    """

    def __init__(self, badge: Badge, media: Media, photo: Image.Image | None, code: marks.Code | None, scale: float) -> None:
        self.badge = badge
        self.media = media
        self.scale = scale
        self.words = words(badge.language)
        self.mm = media.dots
        self.left = self.mm(media.margin_mm)
        self.right = media.width - self.mm(media.margin_mm)
        self.y = self.mm(media.margin_mm)
        self.gap = self._tall(2)
        self.code_left = self.right
        self._photo = photo
        self._code = code
        # A label is drawn on longer paper, so that what does not fit is seen and not lost.
        self._canvas = Image.new("L", (media.width, 2 * media.length if media.length else self.mm(_TALLEST_MM)), 255)
        self._pen = ImageDraw.Draw(self._canvas)

    def _tall(self, mm: float) -> int:
        return self.mm(mm * self.scale)

    @property
    def _width(self) -> int:
        return self.right - self.left

    # --- who, when, what

    def school(self) -> None:
        self._row(self.badge.school, largest=4.6, smallest=3.0, center=True, lines=3)
        self.y += self._tall(0.6)

    def date(self) -> None:
        """The day in three ways: where the black tab stands, the words, and black or white turn about each day."""
        badge = self.badge
        tab = self._tall(6)
        marks.day_tabs(self._canvas, (self.left, self.y, self.right, self.y + tab), badge.date, self.words.letters)
        self.y += tab
        said = day(badge.date, badge.language).upper()
        block = fit(said, width_limit=self._width - self._tall(3), largest=self._tall(11), smallest=self._tall(4))
        height = block.font.line + self._tall(0.5)
        dark = marks.dark_day(badge.date)
        self._pen.rectangle(
            (self.left, self.y, self.right - 1, self.y + height - 1), fill=0 if dark else 255, outline=0, width=self.mm(0.4)
        )
        self._centered(block, (self.left, self.y, self.right, self.y + height), fill=255 if dark else 0)
        self.y += height + self.gap

    def category(self) -> None:
        """Bars of the category's pattern above and below its shape and name."""
        category = self.badge.category
        bar, middle = self._tall(3.2), self._tall(10)
        unit = max(3, self._tall(0.9))
        marks.pattern(self._canvas, (self.left, self.y, self.right, self.y + bar), category, unit)
        top = self.y + bar
        side = self._tall(8.2)
        label = clean(self.badge.category_label) or self.words.categories[category]
        room = self._width - side - self._tall(2.6)
        block = fit(label.upper(), width_limit=room, largest=self._tall(9), smallest=self._tall(3), height_limit=middle)
        wide = text.width(block.lines[0], block.font, block.rtl)
        together = side + self._tall(2.6) + wide
        start = self.left + (self._width - together) // 2
        icon = start + together - side if block.rtl else start
        words_at = start if block.rtl else start + side + self._tall(2.6)
        over = (middle - side) // 2
        marks.shape(self._canvas, (icon, top + over, icon + side, top + over + side), category)
        self._line(block, 0, words_at, top + (middle + block.font.cap) // 2)
        top += middle
        marks.pattern(self._canvas, (self.left, top, self.right, top + bar), category, unit)
        self.y = top + bar + self.gap

    def name(self, *, lines: int, largest_mm: float, height_mm: float) -> None:
        block = fit(self.badge.name, width_limit=self._width, lines=lines, largest=self._tall(largest_mm),
                    smallest=self.mm(5.2 * min(1.0, self.scale)), height_limit=self._tall(height_mm))  # fmt: skip
        self._block(block, center=True)
        self.y += self.gap

    def escort(self) -> None:
        """The barrier of one who may not walk alone."""
        if not self.badge.escort:
            return
        unit = self._tall(2.4)
        label = clean(self.badge.escort_label) or self.words.escort
        block = fit(label.upper(), width_limit=self._width - self._tall(3), lines=2, largest=self._tall(9.5),
                    smallest=self._tall(3.5), height_limit=self._tall(23))  # fmt: skip
        height = block.height + 3 * unit + self._tall(0.5)
        box = (self.left, self.y, self.right, self.y + height)
        marks.hazard(self._canvas, box, unit)
        self._centered(block, (self.left, self.y + unit, self.right, self.y + height - unit), fill=255)
        self.y += height + self.gap

    # --- picture, code, time

    def photo(self, box: marks.Box) -> None:
        """The photo, or a drawn head and shoulders where there is none."""
        left, top, right, bottom = box
        width, height = right - left, bottom - top
        if self._photo is not None:
            self._canvas.paste(dithered(self._photo, width, height), (left, top))
        else:
            place = Image.new("L", (width, height), 255)
            pen = ImageDraw.Draw(place)
            line = self.mm(0.7)
            x, y, r = width / 2, height * 0.36, width * 0.2
            pen.ellipse((x - r, y - r, x + r, y + r), outline=0, width=line)
            pen.ellipse((width * 0.14, height * 0.66, width * 0.86, height * 1.5), outline=0, width=line)
            self._canvas.paste(place, (left, top))
        self._pen.rectangle((left, top, right - 1, bottom - 1), outline=0, width=self.mm(0.4))

    @property
    def code_room(self) -> int:
        """Dots that the code takes at its best size."""
        return self._code.best if self._code is not None else 0

    def code(self, left: int, top: int, right: int) -> int:
        """Draw the code in the middle of the space and return where it ends; `code_left` is where it begins."""
        if self._code is None:
            return top
        image = self._code.image(right - left)
        self.code_left = left + (right - left - image.width) // 2
        self._canvas.paste(image, (self.code_left, top))
        return top + image.height

    def _until(self) -> tuple[str, str]:
        until = self.badge.valid_until
        label = self.words.valid_until
        if until.date() != self.badge.date:
            label = f"{label} {day(until.date(), self.badge.language)}"
        return label, clock(until, self.badge.language)

    def until_line(self) -> None:
        """ "Valid until" and the time, large, between two rules."""
        label, time = self._until()
        height = self._tall(11)
        rule = self.mm(0.5)
        big = fit(time, width_limit=self._width * 6 // 10, largest=self._tall(10), smallest=self._tall(5)).font
        clock_width = text.width(time, big)
        small = fit(label, width_limit=self._width - clock_width - self.gap, largest=self._tall(6), smallest=self._tall(2.6),
                    lines=2, height_limit=height - 4 * rule)  # fmt: skip
        self._pen.rectangle((self.left, self.y, self.right - 1, self.y + rule - 1), fill=0)
        self._pen.rectangle((self.left, self.y + height - rule, self.right - 1, self.y + height - 1), fill=0)
        middle = self.y + height // 2
        clock_at = self.left if small.rtl else self.right - clock_width
        text.draw(self._canvas, clock_at, middle + big.cap // 2, time, big)
        inked = (len(small.lines) - 1) * small.font.line + small.font.cap
        base = middle - inked // 2 + small.font.cap
        for index, line in enumerate(small.lines):
            x = self.right - text.width(line, small.font, True) if small.rtl else self.left
            self._line(small, index, x, base + index * small.font.line)
        self.y += height + self.gap // 2

    def until_tall(self, left: int, top: int, right: int, bottom: int) -> None:
        """ "Valid until" above the time, in a box beside the photo."""
        label, time = self._until()
        small = fit(label, width_limit=right - left, lines=3, largest=self._tall(5), smallest=self._tall(2.6))
        big = fit(time, width_limit=right - left, largest=self._tall(12), smallest=self._tall(4)).font
        y = top + max(0, (bottom - top - small.height - big.cap - self._tall(4)) // 2)
        for index, line in enumerate(small.lines):
            x = right - text.width(line, small.font, True) if small.rtl else left
            y += small.font.line
            self._line(small, index, x, y)
        x = right - text.width(time, big) if small.rtl else left
        text.draw(self._canvas, x, y + big.cap + self._tall(2.5), time, big)

    # --- the rest

    def facts(self) -> None:
        badge = self.badge
        if clean(badge.host):
            self._row(f"{self.words.host}: {clean(badge.host)}")
        if clean(badge.purpose):
            self._row(badge.purpose, bold=False)
        zones = " · ".join(filter(None, (clean(zone) for zone in badge.zones)))
        if zones:
            # Where someone may be is never cut short while there is paper.
            self._row(f"{self.words.zones}: {zones}", bold=False, lines=6)
        self.y += self.gap // 2

    def number(self) -> None:
        if clean(self.badge.number):
            self._row(self.badge.number, largest=3.0, smallest=2.0, bold=False, center=True)

    def finished(self) -> Image.Image:
        """The sheet in black and white. Raises `MediaTooSmall` for a label that could not hold it."""
        bottom = self.y + self.mm(self.media.margin_mm)
        length = self.media.length or bottom
        if bottom > length or bottom > self._canvas.height:
            over = round((bottom - length) / self.media.dpi * 25.4 + 0.5)
            raise MediaTooSmall(f"the badge needs {over} mm more than {self.media.name} has")
        dots = self._canvas.crop((0, 0, self.media.width, length)).convert("1", dither=Image.Dither.NONE)
        dots.info["dpi"] = (self.media.dpi, self.media.dpi)
        dots.info["die_cut"] = self.media.length is not None
        return dots

    # --- lines of text

    def _row(
        self, said: str, *, largest: float = 4.4, smallest: float = 3.3, bold: bool = True, center: bool = False, lines: int = 2
    ) -> None:
        """One line if it can be, else as few as it needs."""
        if not clean(said):
            return
        most, least = self._tall(largest), self._tall(smallest)
        block = fit(said, width_limit=self._width, largest=most, smallest=least, bold=bold)
        if block.lines[-1].endswith("…"):
            for allowed in range(2, lines + 1):
                block = fit(said, width_limit=self._width, lines=allowed, largest=most, smallest=self._tall(smallest * 0.85), bold=bold)
                if not block.lines[-1].endswith("…"):
                    break
        self._block(block, center=center)
        self.y += self._tall(0.5)

    def _block(self, block: Block, *, center: bool = False) -> None:
        """Lines from the current height down, as close as their ink lets."""
        font = block.font
        base, below = self.y, 0
        for index, line in enumerate(block.lines):
            above, next_below = text.reach(line, font, block.rtl)
            least = font.line if index else font.cap + font.size // 8
            base += max(least, below + above + font.size // 16)
            below = next_below
            wide = text.width(line, font, block.rtl)
            x = self.right - wide if block.rtl else self.left
            if center:
                x = (self.left + self.right - wide) // 2
            self._line(block, index, x, base)
        # Lines without descenders keep room for them, so that rows stand evenly.
        self.y = base + max(below, font.size // 4)

    def _centered(self, block: Block, box: marks.Box, *, fill: int) -> None:
        left, top, right, bottom = box
        # By the height of capitals, which is what the eye centers; Arabic has none, so by its ink.
        above, below = text.reach(block.lines[0], block.font, True) if block.rtl else (block.font.cap, 0)
        inked = (len(block.lines) - 1) * block.font.line + above + below
        base = top + (bottom - top - inked) // 2 + above
        for index, line in enumerate(block.lines):
            x = (left + right - text.width(line, block.font, block.rtl)) // 2
            self._line(block, index, x, base + index * block.font.line, fill=fill)

    def _line(self, block: Block, index: int, x: int, base: int, *, fill: int = 0) -> None:
        text.draw(self._canvas, x, base, block.lines[index], block.font, rtl=block.rtl, fill=fill)

"""Badge + Media → one image, the same dots every time."""

from __future__ import annotations

from PIL import Image, ImageDraw

from . import marks, text
from .badge import Badge, clean
from .errors import MediaTooSmall, PhotoError
from .media import Media
from .photo import dithered, open_photo
from .text import Block, Font, fit
from .words import day, words

_TALLEST_MM = 400.0


def render(badge: Badge, media: Media) -> Image.Image:
    """Draw a badge for a paper: black and white ("1"), as wide as the print head, with the media's resolution.

    The same badge on the same media has the same dots on every machine. A photo that cannot be read leaves its place
    to a drawn head and shoulders (see `photo_problem`), since a broken picture must not keep a visitor at the desk.
    Raises `MediaTooSmall` when the paper cannot carry it: the badge is never cut short.
    """
    sheet = _Sheet(badge, media)
    if media.length is not None and media.width > media.length:
        sheet.label()
    elif media.wide:
        sheet.wide()
    else:
        sheet.narrow()
    return sheet.finished()


def photo_problem(badge: Badge) -> str | None:
    """Why the badge's photo would not print, in words for the desk, or None."""
    if badge.photo is None:
        return None
    try:
        open_photo(badge.photo, about=64)
    except PhotoError as error:
        return str(error)
    return None


class _Sheet:
    """A tall white canvas that is filled from the top; the layouts differ only in the order of the sections."""

    def __init__(self, badge: Badge, media: Media) -> None:
        self.badge = badge
        self.media = media
        self.words = words(badge.language)
        self.mm = media.dots
        self.left = self.mm(media.margin_mm)
        self.right = media.width - self.mm(media.margin_mm)
        self.y = self.mm(media.margin_mm)
        self.canvas = Image.new("L", (media.width, media.length or self.mm(_TALLEST_MM)), 255)
        self.gap = self.mm(2)

    # --- the three layouts

    def narrow(self) -> None:
        self.date()
        self.category()
        self.name(lines=3, largest_mm=13)
        self.escort()
        width = self.right - self.left
        photo_width = round(width * 0.46)
        self.photo((self.left, self.y, self.left + photo_width, self.y + round(photo_width * 1.25)))
        bottom = self.y + round(photo_width * 1.25)
        self.until(self.left + photo_width + self.gap, self.right, bottom)
        self.y = bottom + self.gap
        self.facts(self.left, self.right)
        self.code_below(self.left, self.right)
        self.number()

    def wide(self) -> None:
        self.date()
        self.category()
        self.name(lines=2, largest_mm=17)
        self.escort()
        middle = self.left + round((self.right - self.left) * 0.42)
        top = self.y
        photo_height = round((middle - self.left) * 1.25)
        self.photo((self.left, top, middle, top + photo_height))
        bottom_code = self.code_at(middle + self.gap, top, self.right)
        if bottom_code < top + photo_height:
            self.until(middle + self.gap, self.right, top + photo_height, top=bottom_code)
            self.y = top + photo_height + self.gap
        else:
            self.y = max(bottom_code, top + photo_height) + self.gap
            self.until(self.left, self.right, self.y + self.mm(9), top=self.y)
            self.y += self.mm(9)
        self.facts(self.left, self.right)
        self.number()

    def label(self) -> None:
        """A die-cut label lying on its side: picture and code in a column on the left, words on the right."""
        assert self.media.length is not None
        left, right, top = self.left, self.right, self.y
        bottom = self.media.length - self.mm(self.media.margin_mm)
        column = left + round((bottom - top) * 0.5)
        code_bottom = self.code_at(left, top + round((bottom - top) * 0.52), column)
        del code_bottom
        self.photo((left, top, column, top + round((bottom - top) * 0.5)))
        self.left = column + self.gap
        self.date()
        self.category()
        self.name(lines=2, largest_mm=11)
        self.escort()
        self.until(self.left, self.right, self.y + self.mm(8), top=self.y)
        self.y += self.mm(8) + self.gap // 2
        self.facts(self.left, self.right)
        self.left = left
        self.right = right

    # --- sections

    def date(self) -> None:
        tab = self.mm(5)
        marks.day_tabs(self.canvas, (self.left, self.y, self.right, self.y + tab), self.badge.date)
        self.y += tab
        block = fit(day(self.badge.date, self.badge.language).upper(), width_limit=self.right - self.left, lines=1,
                    largest=self.mm(11), smallest=self.mm(4))  # fmt: skip
        self.block(block, self.left, self.right, align="center")
        self.y += self.gap // 2

    def category(self) -> None:
        height = self.mm(12)
        box = (self.left, self.y, self.right, self.y + height)
        marks.pattern(self.canvas, box, self.badge.category, max(2, self.mm(0.75)))
        pen = ImageDraw.Draw(self.canvas)
        inset = self.mm(1.6)
        label = clean(self.badge.category_label) or self.words.categories[self.badge.category]
        side = height - 2 * inset
        pen.rectangle((self.left + inset, self.y + inset, self.left + inset + side, self.y + inset + side), fill=255)
        pad = self.mm(0.8)
        marks.shape(self.canvas, (self.left + inset + pad, self.y + inset + pad, self.left + inset + side - pad,
                                  self.y + inset + side - pad), self.badge.category)  # fmt: skip
        room = self.right - self.left - side - 4 * inset
        block = fit(label.upper(), width_limit=room, lines=1, largest=self.mm(8.5), smallest=self.mm(3))
        wide = text.width(block.lines[0], block.font)
        x = self.left + side + 3 * inset
        middle = self.y + height // 2
        pen.rectangle((x - inset, self.y + inset, x + wide + inset, self.y + height - inset - 1), fill=255)
        text.draw(self.canvas, x, middle + block.font.cap // 2, block.lines[0], block.font)
        self.y += height + self.gap

    def name(self, *, lines: int, largest_mm: float) -> None:
        block = fit(self.badge.name, width_limit=self.right - self.left, lines=lines,
                    largest=self.mm(largest_mm), smallest=self.mm(6))  # fmt: skip
        self.block(block, self.left, self.right, align="center")
        self.y += self.gap

    def escort(self) -> None:
        if not self.badge.escort:
            return
        height = self.mm(13)
        unit = self.mm(2)
        marks.hazard(self.canvas, (self.left, self.y, self.right, self.y + height), unit)
        label = clean(self.badge.escort_label) or self.words.escort
        inner_left, inner_right = self.left + 5 * unit, self.right - 5 * unit
        block = fit(label.upper(), width_limit=inner_right - inner_left, lines=2, largest=self.mm(8), smallest=self.mm(3))
        top = self.y + (height - block.height) // 2
        for index, line in enumerate(block.lines):
            x = (inner_left + inner_right - text.width(line, block.font)) // 2
            text.draw(self.canvas, x, top + index * block.font.line + block.font.rise, line, block.font, fill=255)
        self.y += height + self.gap

    def photo(self, box: marks.Box) -> None:
        left, top, right, bottom = box
        picture = None
        if self.badge.photo is not None:
            try:
                picture = open_photo(self.badge.photo, about=max(right - left, bottom - top))
            except PhotoError:
                picture = None
        pen = ImageDraw.Draw(self.canvas)
        if picture is not None:
            self.canvas.paste(dithered(picture, right - left, bottom - top), (left, top))
        else:
            width, height = right - left, bottom - top
            x, r = (left + right) / 2, width * 0.2
            y = top + height * 0.36
            line = self.mm(0.6)
            pen.ellipse((x - r, y - r, x + r, y + r), outline=0, width=line)
            pen.arc((left + width * 0.14, top + height * 0.64, right - width * 0.14, top + height * 1.36), 180, 360, fill=0, width=line)
            pen.rectangle((left, bottom, right, self.canvas.height - 1), fill=255)
        pen.rectangle((left, top, right - 1, bottom - 1), outline=0, width=self.mm(0.4))

    def until(self, left: int, right: int, bottom: int, *, top: int | None = None) -> None:
        """"Valid until" and the time, large; with the day when it is not the badge's own."""
        top = self.y if top is None else top
        until = self.badge.valid_until
        clock = f"{until:%H:%M}"
        label = self.words.valid_until
        if until.date() != self.badge.date:
            label = f"{label} {day(until.date(), self.badge.language)}"
        small = fit(label, width_limit=right - left, lines=2, largest=self.mm(4), smallest=self.mm(2.4))
        if bottom - top < self.mm(14):
            big = Font(min(self.mm(9), bottom - top))
            time_width = text.width(clock, big)
            small = fit(label, width_limit=right - left - time_width - self.gap, lines=1, largest=self.mm(5), smallest=self.mm(2.4))
            base = top + big.rise
            text.draw(self.canvas, left, base, small.lines[0], small.font)
            text.draw(self.canvas, right - time_width, base, clock, big)
            return
        big = fit(clock, width_limit=right - left, lines=1, largest=self.mm(12), smallest=self.mm(4)).font
        y = top
        for line in small.lines:
            text.draw(self.canvas, left, y + small.font.rise, line, small.font)
            y += small.font.line
        text.draw(self.canvas, left, y + big.rise, clock, big)

    def facts(self, left: int, right: int) -> None:
        badge = self.badge
        rows = [("", badge.school, True)]
        rows += [(self.words.host, badge.host, True)] if clean(badge.host) else []
        rows += [("", badge.purpose, False)] if clean(badge.purpose) else []
        zones = " · ".join(filter(None, (clean(zone) for zone in badge.zones)))
        rows += [(self.words.zones, zones, False)] if zones else []
        for label, value, bold in rows:
            said = f"{label}: {clean(value)}" if label else clean(value)
            block = fit(said, width_limit=right - left, lines=2, largest=self.mm(4.4), smallest=self.mm(3.2), bold=bold)
            self.block(block, left, right)
            self.y += self.mm(0.6)
        self.y += self.gap // 2

    def code_at(self, left: int, top: int, right: int) -> int:
        if not self.badge.token:
            return top
        image = marks.code(self.badge.token, room=right - left, dpi=self.media.dpi)
        self.canvas.paste(image, (left + (right - left - image.width) // 2, top))
        return top + image.height

    def code_below(self, left: int, right: int) -> None:
        self.y = self.code_at(left, self.y, right)

    def number(self) -> None:
        if clean(self.badge.number):
            block = fit(self.badge.number, width_limit=self.right - self.left, lines=1,
                        largest=self.mm(3), smallest=self.mm(2), bold=False)  # fmt: skip
            self.block(block, self.left, self.right, align="center")

    def block(self, block: Block, left: int, right: int, *, align: str = "start") -> None:
        """Draw lines and move down; "start" is the left edge, or the right one for right-to-left text."""
        for line in block.lines:
            wide = text.width(line, block.font)
            x = left
            if align == "center":
                x = (left + right - wide) // 2
            elif text.right_to_left(line):
                x = right - wide
            text.draw(self.canvas, x, self.y + block.font.rise, line, block.font)
            self.y += block.font.line

    def finished(self) -> Image.Image:
        bottom = self.y + self.mm(self.media.margin_mm)
        if bottom > self.canvas.height:
            over = round((bottom - self.canvas.height) / self.media.dpi * 25.4)
            raise MediaTooSmall(f"the badge needs {over} mm more than {self.media.name} has")
        image = self.canvas if self.media.length else self.canvas.crop((0, 0, self.media.width, bottom))
        dots = image.convert("1", dither=Image.Dither.NONE)
        dots.info["dpi"] = (self.media.dpi, self.media.dpi)
        return dots

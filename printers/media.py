"""Paper and printers, as data."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

import msgspec

from .errors import UnknownName

_T = TypeVar("_T")


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """A paper and what a print head reaches of it.

    `width` is the printable width in dots, `dpi` the head's resolution, `length` the printable length in dots of a
    die-cut label or None for a roll; margins are in millimeters within the printable area.
    """

    name: str
    paper_mm: float
    width: int
    dpi: int
    length: int | None = None
    margin_mm: float = 1.0

    @property
    def wide(self) -> bool:
        """Whether photo and code stand side by side."""
        return self.width / self.dpi * 25.4 >= 66

    def dots(self, mm: float) -> int:
        """Millimeters as dots of this head."""
        return round(mm * self.dpi / 25.4)


class Family(StrEnum):
    """The language a printer speaks."""

    ESCPOS = "escpos"
    ZPL = "zpl"
    BROTHER = "brother-ql"
    PDF = "pdf"
    PNG = "png"


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What a family of printers can do.

    `driver` names the printer in the driver's own table where it has one. `answers` says that the printer tells its
    state; `confirms` that it also says when it has worked through all it was sent, so that `printed` is its own word.
    """

    name: str
    family: Family
    media: tuple[str, ...]
    title: str
    driver: str = ""
    cuts: bool = True
    answers: bool = True
    confirms: bool = True


def _by_name(*items: Media) -> Mapping[str, Media]:
    return MappingProxyType({item.name: item for item in items})


# Printable widths: a "58 mm" head prints 48 mm, an "80 mm" head 72 mm (older Epson heads: 512 dots at 180 dpi).
MEDIA: Mapping[str, Media] = _by_name(
    Media(name="58mm", paper_mm=58, width=384, dpi=203),
    Media(name="62mm", paper_mm=62, width=696, dpi=300),
    Media(name="80mm", paper_mm=80, width=576, dpi=203),
    Media(name="80mm-180dpi", paper_mm=80, width=512, dpi=180),
    Media(name="102mm", paper_mm=102, width=812, dpi=203),
    Media(name="102x76mm", paper_mm=102, width=812, dpi=203, length=609, margin_mm=2.0),
    Media(name="102x76mm-300dpi", paper_mm=102, width=1200, dpi=300, length=900, margin_mm=2.0),
    Media(name="102x152mm", paper_mm=102, width=812, dpi=203, length=1218, margin_mm=2.0),
)

_ROLLS_80 = ("80mm", "58mm")
_LABELS = ("102mm", "102x76mm", "102x152mm")

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            Profile(name="epson-tm", family=Family.ESCPOS, media=_ROLLS_80, driver="TM-T20II",
                    title="Epson TM-T20, TM-T88VI, TM-m30 (203 dpi)"),
            Profile(name="epson-tm-t88v", family=Family.ESCPOS, media=("80mm-180dpi",), driver="TM-T88V",
                    title="Epson TM-T88II to TM-T88V (180 dpi)"),
            Profile(name="escpos-80", family=Family.ESCPOS, media=_ROLLS_80, driver="NT-80-V-UL", confirms=False,
                    title="Other 80 mm receipt printers that speak ESC/POS"),
            Profile(name="escpos-58", family=Family.ESCPOS, media=("58mm",), driver="POS-5890", cuts=False, confirms=False,
                    title="Small 58 mm receipt printers that speak ESC/POS"),
            Profile(name="escpos-blind", family=Family.ESCPOS, media=_ROLLS_80, driver="NT-80-V-UL", answers=False, confirms=False,
                    title="ESC/POS printers that never answer (one-way adapters)"),
            Profile(name="zebra", family=Family.ZPL, media=_LABELS, cuts=False, title="Zebra label printers, 203 dpi (ZPL)"),
            Profile(name="zebra-300", family=Family.ZPL, media=("102x76mm-300dpi",), cuts=False,
                    title="Zebra label printers, 300 dpi (ZPL)"),
            Profile(name="brother-ql", family=Family.BROTHER, media=("62mm",), title="Brother QL-800, 810W, 820NWB (62 mm roll), by USB"),
            Profile(name="brother-ql-lan", family=Family.BROTHER, media=("62mm",), answers=False, confirms=False,
                    title="The same over its network port, on which it takes badges and says nothing"),
            Profile(name="pdf", family=Family.PDF, media=tuple(MEDIA), cuts=False, answers=False, confirms=False,
                    title="An ordinary printer: one page of PDF at true size"),
            Profile(name="png", family=Family.PNG, media=tuple(MEDIA), cuts=False, answers=False, confirms=False,
                    title="A picture file"),
        )
    }
)  # fmt: skip


def media_named(name: str) -> Media:
    """Return the media of this name. Raises `UnknownName` with the nearest right one."""
    return _named(MEDIA, name, "media")


def profile_named(name: str) -> Profile:
    """Return the printer profile of this name. Raises `UnknownName` with the nearest right one."""
    return _named(PROFILES, name, "printer profile")


def _named(table: Mapping[str, _T], name: str, what: str) -> _T:
    try:
        return table[name]
    except KeyError:
        near = difflib.get_close_matches(name, table, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UnknownName(f"no {what} is named {name!r}{hint} There are: {', '.join(table)}") from None

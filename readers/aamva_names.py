"""Names on AAMVA cards: three layouts over twenty-five years, and five orders within the oldest.

- since version 4: DCS family, DAC first, DAD middle (blank-separated);
- versions 2 and 3: DCS family, DCT all given names, separated by comma or blank;
- version 1: DAA everything. Seen: "LAST,FIRST,MIDDLE,SUFFIX", "LAST,FIRST MIDDLE", "LAST, FIRST MIDDLE",
  "FIRST MIDDLE LAST" (Pennsylvania), "FIRST,MIDDLE,LAST" (Colorado); or DAB, DAC, DAD.
"""

from __future__ import annotations

import re

import msgspec

from .aamva_data import GIVEN_NAMES_IN_ONE, PLACEHOLDERS, SUFFIX
from .document import DocumentWarning, NamePart

__all__ = ["Names", "read_names"]

_DIVIDER = re.compile(r"[,@$]")
_WIDTHS: tuple[tuple[str, int, NamePart, str], ...] = (
    ("DCS", 40, "family_name", "DDE"),
    ("DAC", 40, "given_name", "DDF"),
    ("DAD", 40, "middle_names", "DDG"),
    ("DCT", 80, "given_name", "DDF"),
    ("DAA", 125, "family_name", "DDE"),
)


class Names(msgspec.Struct, frozen=True):
    family_name: str | None = None
    given_name: str | None = None
    middle_names: tuple[str, ...] = ()
    suffix: str | None = None
    truncated: tuple[NamePart, ...] = ()


def read_names(elements: dict[str, str], issuer: str, version: int, warnings: list[DocumentWarning]) -> Names:
    """The name's parts, by whichever layout the card uses; both None when it has none."""
    family = _part(elements.get("DCS")) or _part(elements.get("DAB"))
    suffix = _part(elements.get("DCU")) or _part(elements.get("DAE"))
    if family is None and "DAA" in elements:
        family, given, middle, from_name = _one_field(elements["DAA"], issuer, warnings)
        suffix = suffix or from_name
    else:
        given, middle = _given(elements, issuer, warnings)
        if family is not None and "," in family:
            head, _, tail = family.partition(",")
            if SUFFIX.fullmatch(tail.strip()) and suffix is None:
                family, suffix = head.strip(), tail.strip()
        if family is None and any(elements.get(key, "").strip() for key in ("DCS", "DAB")):
            warnings.append(DocumentWarning("name_cleaned", "family_name"))
        if given is None and any(elements.get(key, "").strip() for key in ("DAC", "DCT")):
            warnings.append(DocumentWarning("name_cleaned", "given_name"))
    if family is None:
        warnings.append(DocumentWarning("element_missing", "family_name"))
    if given is None:
        warnings.append(DocumentWarning("element_missing", "given_name"))
    return Names(family, given, middle, suffix, _truncated(elements))


def _part(value: str | None) -> str | None:
    """A name part without padding and Ontario's trailing commas; None for a placeholder."""
    if value is None:
        return None
    value = " ".join(value.split())
    if value[-1:] == "," or value[:1] == ",":
        value = value.strip(",").strip()
    return None if value.upper() in PLACEHOLDERS else value


def _words(value: str | None) -> tuple[str, ...]:
    """Given names, by commas where there are any, by blanks otherwise."""
    part = _part(value)
    if part is None:
        return ()
    pieces = _DIVIDER.split(part) if _DIVIDER.search(part) else part.split(" ")
    return tuple(piece for piece in map(str.strip, pieces) if piece and piece.upper() not in PLACEHOLDERS)


def _given(elements: dict[str, str], issuer: str, warnings: list[DocumentWarning]) -> tuple[str | None, tuple[str, ...]]:
    middle_field = _part(elements.get("DAD"))
    middle = tuple(middle_field.split(" ")) if middle_field else ()
    if "DAC" in elements:
        first = _part(elements["DAC"])
        if first is not None and not middle and ("," in first or (issuer in GIVEN_NAMES_IN_ONE and " " in first)):
            words = _words(first)
            return words[0], words[1:]
        return first, middle
    words = _words(elements.get("DCT"))
    if not words:
        return None, middle
    if middle:
        # DCT holds every given name: a middle name beside it belongs to no layout.
        warnings.append(DocumentWarning("name_order_guessed"))
        return " ".join(words), middle
    return words[0], words[1:]


def _one_field(
    value: str, issuer: str, warnings: list[DocumentWarning]
) -> tuple[str | None, str | None, tuple[str, ...], str | None]:
    """Family, first, middle, suffix out of version 1's single name field."""
    if not _DIVIDER.search(value):
        words = value.split()
        suffix = words.pop() if len(words) > 2 and SUFFIX.fullmatch(words[-1]) else None
        warnings.append(DocumentWarning("name_order_guessed"))
        if len(words) < 2:
            return (words[0] if words else None), None, (), suffix
        return words[-1], words[0], tuple(words[1:-1]), suffix
    parts = [_part(piece) for piece in _DIVIDER.split(value)]
    if issuer == "CO" and len(parts) == 3:
        first, second, third = parts
        return third, first, tuple((second or "").split()), None
    family = parts[0]
    if len(parts) == 2:
        words = (parts[1] or "").split()
        suffix = words.pop() if len(words) > 1 and SUFFIX.fullmatch(words[-1]) else None
        return family, (words[0] if words else None), tuple(words[1:]), suffix
    middle, suffix = parts[2], parts[3] if len(parts) > 3 else None
    if suffix is None and middle is not None and SUFFIX.fullmatch(middle) and len(middle) > 1:
        middle, suffix = None, middle
    return family, parts[1], tuple((middle or "").split()), suffix


def _truncated(elements: dict[str, str]) -> tuple[NamePart, ...]:
    """Parts that the card marks "T", or that fill their field to its last character."""
    found: list[NamePart] = []
    for key, width, part, flag in _WIDTHS:
        value = elements.get(key)
        if value is None or part in found:
            continue
        full = len(value) >= width and not value[width - 1].isspace()
        if full or (flag in elements and elements[flag].strip() == "T"):
            found.append(part)
    return tuple(found)

"""From names as lists write them to `Name`, and the other facts of a person to the codes of `Entry`."""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal

from watchlists.normalize import fold
from watchlists.records import Name, NameKind, Sex

MAX_NAME: Final = 512
"""Characters in a part of a name. The longest in the UN's and OFAC's lists has 49."""

SUFFIXES: Final = {"JR": "Jr", "SR": "Sr", "II": "II", "III": "III", "IV": "IV", "V": "V", "2ND": "II", "3RD": "III", "4TH": "IV"}
TITLES: Final = frozenset({"DR", "MR", "MRS", "MS", "PROF", "H.E"})
"""Left out before a whole name. Only what is nobody's name: there are people called Prince, Haji and Sheikh."""
PARTICLES: Final = frozenset({
    "al", "el", "ul", "ad", "bin", "ibn", "ben", "bint", "abu", "abd", "da", "das", "de", "del", "della", "den",
    "der", "di", "do", "dos", "du", "la", "le", "las", "los", "st", "saint", "san", "santa", "ter", "ten", "van",
    "von", "vom", "zu", "zum", "y", "e", "af", "av", "ould", "wald", "walad",
})  # fmt: skip
"""Words that begin a family name rather than stand before it: `de la Cruz`, `van der Berg`, `bin Laden`."""
_COMPOUND: Final = frozenset(
    "欧阳 歐陽 司马 司馬 诸葛 諸葛 上官 东方 東方 夏侯 皇甫 尉迟 尉遲 公孙 公孫 慕容 令狐 남궁 황보 제갈 사공 선우".split()
)
_SPACE: Final = re.compile(r"\s+")

EYES: Final = {
    "BLK": "BLK", "BLACK": "BLK", "BLU": "BLU", "BLUE": "BLU", "BRO": "BRO", "BROWN": "BRO", "BRN": "BRO", "GRY": "GRY",
    "GRAY": "GRY", "GREY": "GRY", "GRN": "GRN", "GREEN": "GRN", "HAZ": "HAZ", "HAZEL": "HAZ", "MAR": "MAR", "MAROON": "MAR",
    "PNK": "PNK", "PINK": "PNK", "DIC": "DIC", "DICHROMATIC": "DIC", "MUL": "DIC", "MULTICOLORED": "DIC",
}  # fmt: skip
"""Eye colors as registries and NCIC write them, to AAMVA's codes (DL/ID Card Design Standard 2020, annex D, DAY)."""
UNKNOWN_WORDS: Final = frozenset({"", "UNK", "UNKNOWN", "XXX", "U", "N/A", "NA", "NONE", "NULL", "NOT AVAILABLE", "-"})

Order = Literal["family-first", "given-first"]


def clean(text: str) -> str:
    """NFC, control characters out, runs of white space to one blank."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()  # nearly every cell; the rest costs ten times as much
    text = unicodedata.normalize("NFC", text)
    return _SPACE.sub(" ", "".join(c if c.isprintable() else " " if c.isspace() else "" for c in text)).strip()


def person(family: str, given: str = "", middle: str = "", suffix: str = "", kind: NameKind = "primary") -> Name | None:
    """A name from its parts, or None when no part has a letter. A lone given name stands as the family name.

    A suffix written behind the family or the given name (`SALI JR.`) is moved to its place.
    """
    family, given, middle, suffix = clean(family), clean(given), clean(middle), clean(suffix)
    if not suffix:
        family, suffix = _take_suffix(family)
    if not suffix:
        given, suffix = _take_suffix(given)
    if not _has_letter(family):
        family, given, middle = (given, middle, "") if _has_letter(given) else (middle, "", "")
    if not _has_letter(family):
        return None
    return Name(family=family, given=given, middle=middle, suffix=SUFFIXES.get(_bare(suffix), suffix), kind=kind)


def split_name(text: str, kind: NameKind = "primary", order: Order = "given-first") -> Name | None:
    """A whole name in one string.

    `LAST, First Middle, Jr.` is split at its commas. Without one, the last word (with the particles before it) is the family name,
    or the first word when the order is `family-first`. Chinese and Korean without blanks: the first character, or a compound surname.
    None when there is no letter in it.
    """
    text = clean(text)
    if "," in text:
        family, *rest = [part.strip() for part in text.split(",")]
        suffix = rest.pop() if len(rest) > 1 and _bare(rest[-1]) in SUFFIXES else ""
        if rest and not suffix and len(rest) == 1 and _bare(rest[0]) in SUFFIXES:
            found = split_name(family, kind, order)
            return found and Name(found.family, found.given, found.middle, SUFFIXES[_bare(rest[0])], kind)
        words, behind = _take_suffix_words(" ".join(rest).split())
        return person(family, " ".join(words[:1]), " ".join(words[1:]), suffix or behind, kind)
    words, suffix = _take_suffix_words(text.split())
    if len(words) > 2 and _bare(words[0]) in TITLES:
        words = words[1:]
    if not words:
        return None
    if len(words) == 1:
        family, given = _split_cjk(words[0])
        return person(family, given, "", suffix, kind)
    if order == "family-first":
        return person(words[0], words[1] if len(words) > 1 else "", " ".join(words[2:]), suffix, kind)
    begins = len(words) - 1
    while begins > 1 and words[begins - 1].lower().rstrip("-.") in PARTICLES:
        begins -= 1
    return person(" ".join(words[begins:]), words[0], " ".join(words[1:begins]), suffix, kind)


def sex(text: str) -> Sex | None:
    """`M`, `F`, `X`, or None for unknown.

    Raises:
        ValueError: it is none of the words for them.
    """
    word = text.strip().upper()
    if word in UNKNOWN_WORDS:
        return None
    codes: dict[str, Sex] = {
        "M": "M", "MALE": "M", "1": "M", "F": "F", "FEMALE": "F", "2": "F", "X": "X", "9": "X",
        "NON-BINARY": "X", "NONBINARY": "X", "OTHER": "X",
    }  # fmt: skip
    if word not in codes:
        raise ValueError("it is not M, F, X or U")
    return codes[word]


def eye_color(text: str) -> str | None:
    """An eye color as AAMVA's three letters, or None for unknown.

    Raises:
        ValueError: no such color.
    """
    word = text.strip().upper()
    if word in UNKNOWN_WORDS:
        return None
    if word not in EYES:
        raise ValueError("it is no eye color of the AAMVA table (BLK BLU BRO DIC GRY GRN HAZ MAR PNK)")
    return EYES[word]


HeightUnit = Literal["auto", "cm", "inches", "feet-inches"]
_FEET: Final = re.compile(r"(\d)\s*(?:'|’|ft\.?|feet|-)\s*(\d{1,2})?\s*(?:\"|”|''|in\.?|inches)?", re.IGNORECASE)


def height_cm(text: str, unit: HeightUnit = "auto") -> int | None:
    """A height in centimeters: `5'11"`, `5-11`, `511` (feet-inches, as NCIC writes it), `71 in`, `180 cm`.

    Raises:
        ValueError: not a height, or no grown or growing person's (50-250 cm).
    """
    word = text.strip().lower()
    if word.upper() in UNKNOWN_WORDS or re.fullmatch(r"0+(\.0*)?", word):
        return None
    centimeters: float | None = None
    if found := _FEET.fullmatch(word):
        feet, inches = int(found[1]), int(found[2] or 0)
        centimeters = (feet * 12 + inches) * 2.54 if inches < 12 else None
    elif found := re.fullmatch(r"(\d{2,3})(?:\.\d+)?\s*(cm|in\.?|inches|\"|)", word):
        number, written = int(found[1]), found[2]
        if written == "cm" or (unit == "cm" and not written):
            centimeters = number
        elif written or unit == "inches":
            centimeters = number * 2.54
        elif unit in ("feet-inches", "auto") and len(found[1]) == 3 and number % 100 < 12:
            centimeters = (number // 100 * 12 + number % 100) * 2.54
    if centimeters is None or not 50 <= round(centimeters) <= 250:
        raise ValueError("it is not a height")
    return round(centimeters)


def too_long(name: Name) -> bool:
    """Whether a part of the name is longer than any name: a broken row, or an attempt to fill the memory."""
    return any(len(part) > MAX_NAME for part in (name.family, name.given, name.middle, name.suffix))


def comparable(names: tuple[Name, ...]) -> bool:
    """Whether any of the names can be compared at all.

    An index refuses to be built over an entry that no comparison could ever find, so such a row is to be refused alone, with its line.
    """
    return any(fold(part) for name in names for part in (name.family, name.given, name.middle))


def script_letters(text: str) -> bool:
    """Whether its letters are all of a script other than Latin, as original spellings in parentheses are."""
    letters = [c for c in text if c.isalpha()]
    return bool(letters) and not any(unicodedata.name(c, "").startswith("LATIN") for c in letters)


def _has_letter(text: str) -> bool:
    return text.isalpha() or any(c.isalpha() for c in text)


def _bare(word: str) -> str:
    return word.strip(" .,").upper()


def _take_suffix(part: str) -> tuple[str, str]:
    if " " not in part:
        return part, ""
    words, suffix = _take_suffix_words(part.split())
    return " ".join(words), suffix


def _take_suffix_words(words: list[str]) -> tuple[list[str], str]:
    # "V" alone is more often a middle initial than a fifth of the name.
    if len(words) > 1 and (last := _bare(words[-1])) in SUFFIXES and last != "V":
        return words[:-1], SUFFIXES[last]
    return words, ""


def _split_cjk(word: str) -> tuple[str, str]:
    ideographs = all("一" <= c <= "鿿" for c in word)
    if not (2 <= len(word) <= 5 and (ideographs or all("가" <= c <= "힣" for c in word))):
        return word, ""
    cut = 2 if word[:2] in _COMPOUND and len(word) > 2 else 1
    return word[:cut], word[cut:]

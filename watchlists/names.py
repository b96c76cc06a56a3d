"""Which names are another form of the same name: nicknames and transliteration groups.

Nicknames come from PyPI `nicknames` (Apache-2.0) and count for given names only; transliteration groups are ours
(`data/transliterations.txt`, written by hand) and count for family names too.
"""

from __future__ import annotations

import functools
import importlib.resources

from nicknames import NickNamer

from . import hangul
from .normalize import PARTICLES, fold
from .records import Name
from .score import BACKGROUND_ROWS


@functools.cache
def nicknames() -> dict[str, frozenset[str]]:
    """For each given name, in A-Z, the names that may stand for it, both ways."""
    pairs: dict[str, set[str]] = {}
    for canonical, nicks in NickNamer().nickname_lookup.items():
        a = fold(canonical).replace(" ", "")
        for nick in nicks:
            b = fold(nick).replace(" ", "")
            if a and b and a != b:
                pairs.setdefault(a, set()).add(b)
                pairs.setdefault(b, set()).add(a)
    return {name: frozenset(others) for name, others in pairs.items()}


@functools.cache
def transliterations() -> dict[str, frozenset[str]]:
    """For each name of a transliteration group, in A-Z, the other spellings of its groups."""
    text = importlib.resources.files(__package__).joinpath("data/transliterations.txt").read_text("utf-8")
    groups: dict[str, set[str]] = {}
    for line in text.splitlines():
        words = [fold(word).replace(" ", "") for word in line.partition("#")[0].split(",")]
        words = [word for word in words if word]
        for word in words:
            groups.setdefault(word, set()).update(other for other in words if other != word)
    return {name: frozenset(others) for name, others in groups.items() if others}


@functools.cache
def background() -> tuple[dict[str, int], dict[str, int]]:
    """How many of `score.BACKGROUND_ROWS` people bear a family name, and a given name.

    These imaginary rows are counted with every registry's own, so that a barred list of three entries knows that SMITH
    is a common name. In a registry of a million they weigh nothing.
    """
    text = importlib.resources.files(__package__).joinpath("data/frequencies.txt").read_text("utf-8")
    family: dict[str, int] = {}
    given: dict[str, int] = {}
    for line in text.splitlines():
        head, _, words = line.partition("#")[0].partition(":")
        if words:
            kind, count = head.split()
            scaled = int(count) * BACKGROUND_ROWS // 20_000  # what the file counts by
            (family if kind == "family" else given).update(dict.fromkeys(words.split(), scaled))
    return family, given


_HAN = ("\u3400", "\u9fff")
_COMPOUND = frozenset("欧阳 歐陽 司马 司馬 诸葛 諸葛 上官 东方 東方 夏侯 皇甫 尉迟 尉遲 公孙 公孫 慕容 令狐".split()) | hangul.COMPOUND
_BEGIN_FAMILY = PARTICLES - {"DO", "ST", "LE", "TEN"}


def parse_full(text: str) -> Name:
    """A full name of one field in parts: `FAMILY, Given`, else the last word, with the particles before it, is the family name.

    Names in Chinese characters or Hangul without a blank begin with it, and so do three words of which the first is a Korean
    surname and the others are Korean syllables. A guess: sources that give the parts should be read by their parts.
    """
    text = text.strip()
    if "," in text:
        family, _, given = text.partition(",")
        return Name(family.strip(), given.strip())
    words = text.split()
    if not words:
        return Name("")
    if len(words) == 1 and 2 <= len(text) <= 5 and all(_HAN[0] <= c <= _HAN[1] or hangul.is_hangul(c) for c in text):
        cut = 2 if text[:2] in _COMPOUND and len(text) > 2 else 1
        return Name(text[:cut], text[cut:])
    folded = [fold(word) for word in words]
    if len(words) == 3 and folded[0] in hangul.SURNAMES and all(word in _korean() for word in folded[1:]):
        return Name(words[0], " ".join(words[1:]))
    begins = len(words) - 1
    while begins > 0 and folded[begins - 1] in _BEGIN_FAMILY:
        begins -= 1
    return Name(" ".join(words[begins:]), " ".join(words[:begins]))


@functools.cache
def _korean() -> frozenset[str]:
    """Every spelling of a Korean syllable that is known."""
    groups = transliterations()
    return frozenset(other for word in hangul.SYLLABLES for other in (word, *groups.get(word, ())))

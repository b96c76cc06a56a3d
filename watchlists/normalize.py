"""Folding: any name in any script to tokens of A-Z, the same way for a registry and for a visitor.

`_kernel.c` does the ASCII half of this again, for speed; `tests/watchlists/test_kernel.py` holds the two together.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from anyascii import anyascii

from .hangul import is_hangul, spelled

MAX_TEXT = 512  # characters of a field that are looked at; real names end long before, and hostile ones must cost nothing
MAX_TOKEN = 32  # letters of a token that are kept
MAX_TOKENS = 8  # tokens of a field that are looked at

# What a scanner or an OCR engine reads for a letter, as the letter it most likely was.
_DIGITS = "OIZEASGTBG"
# Apostrophes of every kind join (O'BRIEN is OBRIEN); everything else that is no letter separates.
_JOINING = "'`’‘ʼʻʿʾ´′ʹ"
_ASCII: dict[int, str | None] = dict.fromkeys(range(128), " ")
_ASCII.update({ord(c): c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"})
_ASCII.update({ord(c.lower()): c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"})
_ASCII.update({ord(str(i)): c for i, c in enumerate(_DIGITS)})
_ASCII.update({ord("'"): None, ord("`"): None})

# Dropped where another word follows (DE LA CRUZ is CRUZ, but a man may be called De): what registries and licenses
# write, leave out and fuse at will. The joined spelling is kept beside, so DELACRUZ still agrees.
PARTICLES = frozenset(
    [
        "AL", "EL", "DE", "LA", "DEL", "LOS", "LAS", "VAN", "VON", "DER", "DEN", "BEN", "BIN", "BINT", "IBN", "ABU",
        "ABD", "UL", "DI", "DA", "DOS", "DAS", "DO", "DU", "LE", "ST", "SAN", "MC", "MAC", "TER", "TEN", "ZU",
    ]
)
# As they look after folding, where 2ND and 3RD have become letters.
SUFFIXES = {"JR": 1, "SR": 2, "II": 3, "III": 4, "IV": 5, "ZND": 3, "ERD": 4, "JUNIOR": 1, "SENIOR": 2}


class NameTokens(NamedTuple):
    """A name as it is compared: two surnames, the surname run together, given, middle, given run together."""

    s1: str
    s2: str
    sj: str
    g1: str
    g2: str
    gj: str
    suffix: int


# Hangul syllables, and everything of ASCII, in runs; words of other scripts whole; Chinese characters and the rest one by one.
_RUNS = re.compile(r"[가-힣]+|[\x00-\x7f]+|[\u0590-\u06ff]+|.", re.DOTALL)
# What stands before an Arabic name, as it is written in Latin: without its short vowels ABD AL-RAHMAN would not be known again.
_ARABIC = {"عبد": "ABD", "ابو": "ABU", "أبو": "ABU", "بن": "BIN", "ابن": "IBN", "بنت": "BINT"}


def _latin(run: str) -> str:
    if run.isascii():
        return run
    if is_hangul(run[0]):
        return f" {spelled(run)} "
    if run in _ARABIC:
        return _ARABIC[run]
    if "\u3400" <= run[0] <= "\u9fff":  # a syllable each: XI JIN PING, whose run together is kept beside it
        return f" {anyascii(run)} "
    return "".join("" if char in _JOINING else anyascii(char) if unicodedata.category(char)[0] in "LMN" else " " for char in run)


def fold(text: str) -> str:
    """Fold `text` to upper-case A-Z words separated by single spaces.

    Letters of other scripts are transliterated one by one (AnyASCII), Hangul as Koreans spell it, Chinese characters as a word each;
    digits become the letter they are misread for; symbols, emoji and control characters separate. Only the first 512 characters
    count.
    """
    text = text[:MAX_TEXT]
    if not text.isascii():
        text = "".join(_latin(run) for run in _RUNS.findall(text))[:MAX_TEXT]
        if not text.isascii():  # what AnyASCII does not know it leaves out, but let no later version surprise us
            text = text.encode("ascii", "ignore").decode()
    return " ".join(text.translate(_ASCII).split())


def tokens(text: str) -> list[str]:
    """The words of a folded field, at most 8 of at most 32 letters."""
    return [word[:MAX_TOKEN] for word in fold(text).split()[:MAX_TOKENS]]


def suffix_code(text: str) -> int:
    """JR 1, SR 2, II 3, III 4, IV 5; anything else 0."""
    words = tokens(text)
    return SUFFIXES.get(words[0], 0) if words else 0


def name_tokens(family: str, given: str, middle: str, suffix: str) -> NameTokens:
    """A name in parts, as the tokens that are compared."""
    words = tokens(family)
    code = suffix_code(suffix)
    if len(words) > 1 and words[-1] in SUFFIXES:
        code = code or SUFFIXES[words[-1]]
        words = words[:-1]
    joined = "".join(words)[:MAX_TOKEN]
    core = [word for i, word in enumerate(words) if i + 1 == len(words) or word not in PARTICLES]
    s1 = core[0] if core else ""
    s2 = core[1] if len(core) > 1 else ""
    givens, middles = tokens(given), tokens(middle)
    if len(givens) >= 2 and givens[0].startswith("ABD"):  # Abd al Rahman is one name
        givens = ["".join(givens)[:MAX_TOKEN]]
    g1 = givens[0] if givens else ""
    g2 = givens[1] if len(givens) > 1 else (middles[0] if middles else "")
    gj = "".join(givens)[:MAX_TOKEN] if len(givens) > 1 else ""
    return NameTokens(s1, s2, joined if joined != s1 else "", g1, g2, gj, code)


_VOWELS = frozenset("AEIOUY")
_SOUNDS = {
    "B": "B", "C": "K", "D": "T", "F": "F", "G": "G", "J": "J", "K": "K", "L": "L", "M": "M", "N": "N", "P": "P",
    "Q": "K", "R": "R", "S": "S", "T": "T", "V": "F", "W": "F", "X": "S", "Z": "S",
}  # fmt: skip


def sound(word: str) -> str:
    """How a token of A-Z sounds, roughly and in any European tongue: consonant classes, repeats dropped.

    Empty for words of fewer than two sounds, which say too little. (A plain reduction of Metaphone's ideas:
    PH, V and W are F, CK is K, SCH and SH are X, C and G are soft before E, I, Y, TS and TZ are S.)
    """
    out = ""
    last = ""
    i = 0
    n = len(word)
    while i < n and len(out) < 12:
        c = word[i]
        d = word[i + 1] if i + 1 < n else ""
        code = ""
        if c in _VOWELS:
            code = "A" if i == 0 else ""
        elif c == "P" and d == "H":
            code, i = "F", i + 1
        elif c == "C" and d == "H":
            code, i = "X", i + 1
        elif c == "C" and d == "K":
            code, i = "K", i + 1
        elif c == "C" and d in ("E", "I", "Y"):
            code = "S"
        elif c == "G" and d == "H":
            i += 1
        elif c == "G" and d in ("E", "I", "Y"):
            code = "J"
        elif c == "S" and word[i + 1 : i + 3] == "CH":
            code, i = "X", i + 2
        elif c == "S" and d == "H":
            code, i = "X", i + 1
        elif c == "T" and d in ("S", "Z"):
            code, i = "S", i + 1
        else:
            code = _SOUNDS.get(c, "")  # H is silent
        if code:
            if code != last:
                out += code
            last = code
        elif c != "H":
            last = ""
        i += 1
    return out if len(out) >= 2 else ""

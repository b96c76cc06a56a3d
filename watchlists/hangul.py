"""Korean syllables as Koreans write themselves in Latin letters, which is seldom as a transliteration would.

AnyASCII gives the Revised Romanization letter by letter: 박 is BAG and 이 is I. Passports say PARK and LEE. The spelling chosen
here is the commonest on passports; the others stand beside it in `data/transliterations.txt`.
"""

from __future__ import annotations

from typing import Final

from anyascii import anyascii

# fmt: off
_SURNAMES: Final = dict(zip(
    "김이박최정강조윤장임한오서신권황안송전홍유류고문양손배백허노남심하곽성차주우구나민진지엄변채원천방공현함여염추도석선설마길연위표명기반왕금옥육인맹제탁국어은편용",
    "KIM LEE PARK CHOI JUNG KANG CHO YOON JANG LIM HAN OH SEO SHIN KWON HWANG AHN SONG JEON HONG YOO RYU KO MOON YANG SON BAE BAEK HUR NOH "
    "NAM SHIM HA KWAK SUNG CHA JOO WOO KOO NA MIN JIN JI EOM BYUN CHAE WON CHEON BANG KONG HYUN HAM YEO YEOM CHOO DO SEOK SUN SEOL MA GIL "
    "YEON WI PYO MYUNG KI BAN WANG KEUM OK YUK IN MAENG JE TAK KOOK EO EUN PYEON YONG".split(), strict=True,
))
_GIVEN: Final = dict(zip(
    "정은지민호영현경준수희선진훈숙순미혜연원태철상동재승규석기광용일남옥자춘복명병형환빈아나라슬예율건근균창찬덕대도욱웅완익학해향화효후성우윤인주하한서신유종",
    "JUNG EUN JI MIN HO YOUNG HYUN KYUNG JUN SOO HEE SUN JIN HOON SOOK SOON MI HYE YEON WON TAE CHUL SANG DONG JAE SEUNG KYU SUK KI KWANG "
    "YONG IL NAM OK JA CHOON BOK MYUNG BYUNG HYUNG HWAN BIN AH NA RA SEUL YE YUL GUN KEUN KYUN CHANG CHAN DUK DAE DO WOOK WOONG WAN IK HAK "
    "HAE HYANG HWA HYO HOO SUNG WOO YOON IN JOO HA HAN SEO SHIN YOO JONG".split(), strict=True,
))
# fmt: on
COMPOUND: Final = frozenset(("남궁", "황보", "제갈", "사공", "선우"))
"""Surnames of two syllables."""
SURNAMES: Final = frozenset((*_SURNAMES.values(), "YI", "RHEE", "PAK", "CHOE", "CHUNG", "JEONG", "CHANG", "RIM", "YUN", "AN", "RI", "GIM"))
"""The spellings above and the other usual ones of the commonest surnames."""
SYLLABLES: Final = frozenset(_GIVEN.values()) - {"I"}


def is_hangul(char: str) -> bool:
    """Whether it is a whole Hangul syllable."""
    return "가" <= char <= "힣"


def spelled(run: str) -> str:
    """A run of Hangul syllables as words of A-Z, one a syllable; alone, or first of three or more, a syllable is a surname."""
    out = []
    for place, char in enumerate(run):
        as_surname = place == 0 and len(run) != 2 and run[:2] not in COMPOUND
        tables = (_SURNAMES, _GIVEN) if as_surname else (_GIVEN, _SURNAMES)
        out.append(tables[0].get(char) or ("I" if char == "이" else tables[1].get(char)) or anyascii(char).upper())
    return " ".join(out)

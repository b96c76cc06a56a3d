"""What a badge says: plain facts, no drawing."""

from __future__ import annotations

import datetime as dt
import re
from enum import StrEnum

import msgspec

from .errors import BadgeError

TOKEN_ALPHABET = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")
"""QR alphanumeric mode (ISO/IEC 18004:2024, 7.4.4): 5.5 bits a character, so base45 (RFC 9285) fits in the fewest modules."""

_MAX_TOKEN = 400
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufff9-\uffff]+")
# A lone surrogate cannot be written as UTF-8 and no font draws it.
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# Embeddings, overrides and isolates could turn a neighbor's text round; direction is worked out from the letters alone.
_BIDI_CONTROL = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Category(StrEnum):
    """What kind of visitor this is. Each has a shape and a pattern of its own, since thermal paper has no color."""

    VISITOR = "visitor"
    GUARDIAN = "guardian"
    VOLUNTEER = "volunteer"
    CONTRACTOR = "contractor"
    DELIVERY = "delivery"
    SUBSTITUTE = "substitute"
    OFFICIAL = "official"


class Badge(msgspec.Struct, frozen=True, kw_only=True):
    """What a badge says.

    `date` is the day it is for, in the school's own calendar, and `valid_until` a moment with its zone (the school's:
    its clock time is printed as it stands). `token` is the text of the QR code, of the characters QR alphanumeric mode
    knows (`VB1:` and base45); an empty token prints no code. `photo` is any picture file Pillow reads (JPEG, PNG,
    WebP …), or None. `language` chooses the words the badge itself adds ("Valid until"): en, es, vi, ar, zh.
    `category_label` and `escort_label` replace those words.

    Raises `BadgeError` where it could not be printed truthfully: no name, a time without a zone, a token of other
    characters. Control characters in texts become spaces: nothing in a name can act on a printer, for all text is
    drawn as dots.
    """

    name: str
    school: str
    date: dt.date
    valid_until: dt.datetime
    host: str = ""
    zones: tuple[str, ...] = ()
    escort: bool = False
    escort_label: str = ""
    category: Category = Category.VISITOR
    category_label: str = ""
    purpose: str = ""
    number: str = ""
    token: str = ""
    photo: bytes | None = None
    language: str = "en"

    def __post_init__(self) -> None:
        if not clean(self.name):
            raise BadgeError("a badge needs a name")
        if self.valid_until.tzinfo is None:
            raise BadgeError("valid_until needs a time zone")
        if not TOKEN_ALPHABET.issuperset(self.token):
            raise BadgeError("the token holds characters outside QR alphanumeric mode (0-9 A-Z space $%*+-./:)")
        if len(self.token) > _MAX_TOKEN:
            raise BadgeError(f"the token has {len(self.token)} characters; at most {_MAX_TOKEN} scan from paper")

    def __repr__(self) -> str:
        """Say what kind of badge this is, and nothing of whom it is for."""
        photo = "no photo" if self.photo is None else "photo"
        return f"<Badge {self.category.value}, {photo}{', escort' if self.escort else ''}, until {self.valid_until:%H:%M}>"


def clean(text: str) -> str:
    """The text as it may be printed: one line, no control characters, spaces collapsed, at most 300 characters."""
    text = _BIDI_CONTROL.sub("", _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text)))
    return " ".join(text.split())[:300].rstrip()

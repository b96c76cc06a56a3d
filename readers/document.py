"""What a scan can be: an identity document, one of our tokens, or a plain card number.

Values are frozen and decoded facts only; nothing here opens a device. Every ``repr`` leaves personal values out, so a
document that ends up in a traceback or a log line tells what kind of thing it was and nothing about whose.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

__all__ = [
    "Address",
    "BadgeToken",
    "CardNumber",
    "DocumentWarning",
    "IdDocument",
    "InvitationToken",
    "Kind",
    "NamePart",
    "Reading",
    "Sex",
    "Verification",
    "WarningCode",
]

Kind = Literal[
    "driver_license", "id_card", "enhanced_license", "passport", "passport_card", "visa", "travel_document", "crew", "piv"
]
Sex = Literal["M", "F", "X"]
NamePart = Literal["family_name", "given_name", "middle_names"]
Verification = Literal["none", "check_digits", "signature", "chip"]

WarningCode = Literal[
    "expired",
    "under_age",
    "not_yet_issued",
    "check_digit_wrong",
    "character_mended",
    "offset_mended",
    "separators_lost",
    "line_joined",
    "date_order_guessed",
    "century_guessed",
    "date_unreadable",
    "name_order_guessed",
    "name_cleaned",
    "element_missing",
    "element_malformed",
    "element_repeated",
    "issuer_unknown",
    "issuer_mismatch",
    "version_unknown",
    "signature_not_verified",
    "chip_not_verified",
    "no_expiry",
]

_SENTENCES: dict[str, str] = {
    "expired": "The document has expired.",
    "under_age": "The holder is younger than eighteen.",
    "not_yet_issued": "The date of issue lies in the future.",
    "check_digit_wrong": "A check digit does not match: compare with the document.",
    "character_mended": "A character was misread and put right; a check digit proves it.",
    "offset_mended": "The barcode's own table of contents is wrong; the fields were found by their names.",
    "separators_lost": "The scanner lost the separators between fields: compare with the document.",
    "line_joined": "A line without a field name was found: compare with the document.",
    "date_order_guessed": "Dates are not in the order this issuer should use: compare with the document.",
    "century_guessed": "The century of a two-digit year was chosen by plausibility.",
    "date_unreadable": "A date could not be read.",
    "name_order_guessed": "The order of the name's parts was guessed: compare with the document.",
    "name_cleaned": "A placeholder was left out of the name.",
    "element_missing": "A required field is missing.",
    "element_malformed": "A field does not look like what it should hold: compare with the document.",
    "element_repeated": "A field occurs twice with different values: compare with the document.",
    "issuer_unknown": "The issuer number is not registered.",
    "issuer_mismatch": "The issuer and the address or country do not agree.",
    "version_unknown": "The document follows a version of the standard this program does not know.",
    "signature_not_verified": "The barcode carries a signature that was not verified.",
    "chip_not_verified": "The card's chip was read but proved nothing.",
    "no_expiry": "The document states no date of expiry.",
}


class DocumentWarning(msgspec.Struct, frozen=True):
    """Something a person should know about a document that was read. ``field`` names the field, never its value."""

    code: WarningCode
    field: str | None = None

    @property
    def text(self) -> str:
        """An English sentence for the desk."""
        sentence = _SENTENCES[self.code]
        return f"{sentence[:-1]} ({self.field.replace('_', ' ')})." if self.field else sentence


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A postal address as the document gives it.

    ``street`` is the first line, ``street2`` the second when there is one. ``region`` is the jurisdiction's two letters.
    ``postal_code`` is without separators and without an all-zero extension ("370115509", "95035", "T4G7A7");
    ``postal_code_display`` is how a person writes it.
    """

    street: str | None = None
    street2: str | None = None
    city: str | None = None
    region: str | None = None
    postal_code: str | None = None

    @property
    def postal_code_display(self) -> str | None:
        """"37011-5509", "95035", "T4G 7A7"."""
        code = self.postal_code
        if code is None:
            return None
        if len(code) == 9 and code.isdigit():
            return f"{code[:5]}-{code[5:]}"
        if len(code) == 6 and code[0].isalpha() and code[1].isdigit():
            return f"{code[:3]} {code[3:]}"
        return code

    def __repr__(self) -> str:
        return "Address(…)"


class IdDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One identity document, as far as it could be read.

    ``issuer`` is the jurisdiction's postal letters for AAMVA ("TN"), the three ICAO letters for travel documents, the
    agency for PIV; ``country`` is ISO 3166-1 alpha-3 (or an ICAO code such as "D"→"DEU", "UTO"). ``truncated`` names the
    name parts that the document itself says are cut short, or that fill their field to its last character.
    ``verification`` says how far it was proved: ``none`` (a barcode anyone can print), ``check_digits`` (consistent with
    itself, still no proof), ``signature`` (signed data), ``chip`` (the chip answered a challenge with a trusted key).
    ``photo`` is an encoded picture where the source holds one.
    """

    kind: Kind
    issuer: str
    country: str
    number: str | None = None
    family_name: str | None = None
    given_name: str | None = None
    middle_names: tuple[str, ...] = ()
    suffix: str | None = None
    truncated: tuple[NamePart, ...] = ()
    birth_date: date | None = None
    sex: Sex | None = None
    issue_date: date | None = None
    expiry_date: date | None = None
    address: Address | None = None
    height_cm: int | None = None
    eye_color: str | None = None
    nationality: str | None = None
    photo: bytes | None = None
    verification: Verification = "none"
    warnings: tuple[DocumentWarning, ...] = ()

    @property
    def full_name(self) -> str:
        """Given, middle and family names and suffix, in the order of speech."""
        parts = (self.given_name, *self.middle_names, self.family_name, self.suffix)
        return " ".join(part for part in parts if part)

    def warned(self, code: WarningCode) -> bool:
        """Whether a warning of that code was given."""
        return any(warning.code == code for warning in self.warnings)

    def age_on(self, day: date) -> int | None:
        """Whole years at ``day``; None without a birth date. A 29 February birthday counts from 1 March."""
        born = self.birth_date
        if born is None:
            return None
        return day.year - born.year - ((day.month, day.day) < (born.month, born.day))

    def __repr__(self) -> str:
        codes = ",".join(warning.code for warning in self.warnings)
        return f"IdDocument(kind={self.kind!r}, issuer={self.issuer!r}, verification={self.verification!r}, warnings=[{codes}])"


class BadgeToken(msgspec.Struct, frozen=True, tag="badge"):
    """A badge of this house ("VB1:…"): recognised and handed on; who signed it is for the service to check."""

    token: str

    def __repr__(self) -> str:
        return "BadgeToken(…)"


class InvitationToken(msgspec.Struct, frozen=True, tag="invitation"):
    """An invitation of this house ("VI1:…"), handed on unverified like a badge."""

    token: str

    def __repr__(self) -> str:
        return "InvitationToken(…)"


class CardNumber(msgspec.Struct, frozen=True, tag="card_number"):
    """A plain line a scanner or a badge holds: a number that identifies and proves nothing."""

    number: str

    def __repr__(self) -> str:
        return "CardNumber(…)"


Reading = IdDocument | BadgeToken | InvitationToken | CardNumber

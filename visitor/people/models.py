"""What is known of a person, and how a document becomes it.

Names are kept readable (the desk and the badge need them); birth date, address and the rest are sealed; a document's
number is kept as a keyed hash only.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from typing import Literal
from uuid import UUID

import msgspec

from readers import IdDocument

Part = Literal["family", "given", "middle"]
_PARTS: dict[str, Part] = {"family_name": "family", "given_name": "given", "middle_names": "middle"}


class Address(msgspec.Struct, frozen=True):
    """A person's address. `region` is a state's two letters where there is one."""

    street: str = ""
    city: str = ""
    region: str = ""
    postal_code: str = ""

    def __repr__(self) -> str:
        return "Address(…)"


class PersonFacts(msgspec.Struct, frozen=True):
    """A person as a document or the desk tells it; what cannot be said is empty or None.

    `document_number` lives only while a request does: `document_hash`, the keyed hash that registries' ids are compared
    by, is what is kept (see `People.hashed`). `truncated` names the parts of the name that the document itself cut.
    """

    family_name: str
    given_name: str = ""
    middle_names: str = ""
    suffix: str = ""
    birth_date: date | None = None
    sex: Literal["M", "F", "X"] | None = None
    address: Address | None = None
    height_cm: int | None = None
    eye_color: str | None = None
    document_issuer: str = ""
    document_number: str = ""
    document_hash: str = ""
    truncated: frozenset[Part] = frozenset()

    def __repr__(self) -> str:
        return "PersonFacts(…)"


class Identity(msgspec.Struct, frozen=True):
    """The identity key of a person: the same at every school of the district.

    A `weak` one (no document: folded name and birth date) says who somebody claims to be. It finds a person again, but
    nothing that was decided about one person may be carried over to another by it.
    """

    key: bytes
    weak: bool

    def __repr__(self) -> str:
        return f"Identity(weak={self.weak})"


class Person(msgspec.Struct, frozen=True):
    """A row of `people` without what is sealed."""

    site_id: UUID
    id: UUID
    identity_key: bytes
    weak: bool
    family_name: str
    given_name: str
    first_seen: datetime
    last_seen: datetime
    has_photo: bool

    @property
    def identity(self) -> Identity:
        return Identity(self.identity_key, self.weak)

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.family_name}".strip()

    def __repr__(self) -> str:
        return f"Person(id={self.id})"


class PersonSecrets(msgspec.Struct, frozen=True):
    """What is sealed of a person and shown to the desk only."""

    birth_date: date | None
    address: Address | None

    def __repr__(self) -> str:
        return "PersonSecrets(…)"


def facts_of(document: IdDocument | None) -> PersonFacts:
    """The facts of a document; all empty without one."""
    if document is None:
        return PersonFacts("")
    place = document.address
    # What stands where a number should ("NONE", a row of blanks) is shared by many: it finds nobody again.
    numbered = not any(w.code == "element_malformed" and w.field == "number" for w in document.warnings)
    return PersonFacts(
        family_name=_plain(document.family_name),
        given_name=_plain(document.given_name),
        middle_names=_plain(" ".join(document.middle_names)),
        suffix=_plain(document.suffix),
        birth_date=document.birth_date,
        sex=document.sex,
        address=None
        if place is None
        else Address(
            street=_plain(" ".join(filter(None, (place.street, place.street2)))),
            city=_plain(place.city), region=_plain(place.region), postal_code=_plain(place.postal_code),
        ),
        height_cm=document.height_cm,
        eye_color=_plain(document.eye_color) or None,
        document_issuer=_plain(document.issuer),
        document_number=_plain(document.number) if numbered else "",
        truncated=frozenset(_PARTS[part] for part in document.truncated),
    )


def _plain(text: str | None) -> str:
    """Text as a database and a page take it: no control characters or halves of a character, at most 200 of the rest."""
    return " ".join("".join(c if c.isprintable() else " " for c in text or "").split())[:200]


def identity_of(facts: PersonFacts, mac: Callable[..., bytes]) -> Identity:
    """The identity of a person under a keyed hash over text parts (`KeyRing.identity_key`).

    The issuer belongs to the number: two states give out the same one. Letters and digits only, since a license prints
    hyphens that its barcode leaves out.
    """
    number = canonical(facts.document_number)
    if number:
        return Identity(mac("document", canonical(facts.document_issuer), number), weak=False)
    born = facts.birth_date.isoformat() if facts.birth_date else ""
    return Identity(mac("name", folded(facts.family_name), folded(facts.given_name), born), weak=True)


def canonical(number: str) -> str:
    """A document number or issuer as it is hashed: upper case, letters and digits."""
    return "".join(c for c in unicodedata.normalize("NFKC", number).upper() if c.isalnum())


def folded(name: str) -> str:
    """A name without accents, case and anything that is no letter, so that GARCÍA-LÓPEZ and Garcia Lopez are one."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return "".join(c for c in plain.casefold() if c.isalpha())

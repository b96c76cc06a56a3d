"""What a registry says about a person, what a visitor says about himself, and what came of comparing them.

All are frozen msgspec Structs. A repr never shows a name or a birth date, so that a traceback or a log line
can not leak one.
"""

from __future__ import annotations

import datetime
from typing import Any, Literal

import msgspec

Sex = Literal["M", "F", "X"]
NameKind = Literal["primary", "alias", "weak"]
Band = Literal["red", "amber"]


class Name(msgspec.Struct, frozen=True):
    """A name in the parts a license or a registry gives; `weak` marks an alias the source itself calls weak."""

    family: str
    given: str = ""
    middle: str = ""
    suffix: str = ""
    kind: NameKind = "primary"

    def __repr__(self) -> str:
        return f"<Name {self.kind}>"


class Address(msgspec.Struct, frozen=True):
    """An address; for matching only `postal_code` and `region` (a state's two letters) count."""

    street: str = ""
    city: str = ""
    region: str = ""
    postal_code: str = ""
    country: str = ""

    def __repr__(self) -> str:
        return "<Address>"


class Entry(msgspec.Struct, frozen=True):
    """One person of a registry.

    `birth_dates` are EDTF level 0 with `~` of level 1: `1970-03-02`, `1970-03`, `1970`, `1970/1975`, `1970~`.
    `id_hashes` are whatever keyed hash of an identity document's number the deployer uses, as text. `height_cm` outside 50 to 250 and
    colors that are none of AAMVA's are taken as not known.
    """

    id: str
    names: tuple[Name, ...]
    birth_dates: tuple[str, ...] = ()
    sex: Sex | None = None
    addresses: tuple[Address, ...] = ()
    height_cm: int | None = None
    eye_color: str | None = None
    id_hashes: tuple[str, ...] = ()
    photo: str | None = None
    category: str = ""
    fields: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Entry {self.id!r}, {len(self.names)} names>"


class Subject(msgspec.Struct, frozen=True):
    """The person to be screened, as a document or a kiosk form tells it.

    `truncated` names the parts the document itself marks as cut (AAMVA DDE/DDF/DDG = T): any of
    `family`, `given`, `middle`.
    """

    name: Name
    birth_date: datetime.date | None = None
    sex: Sex | None = None
    address: Address | None = None
    height_cm: int | None = None
    eye_color: str | None = None
    id_hashes: tuple[str, ...] = ()
    truncated: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return "<Subject>"


HIGHEST = 1000.0  # bits; nothing scores more than about 80


class Thresholds(msgspec.Struct, frozen=True):
    """Bits of evidence from which a match is shown (`amber`) and from which it is strong (`red`)."""

    amber: float = 20.0
    red: float = 26.0

    def __post_init__(self) -> None:
        if not 1.0 <= self.amber <= self.red <= HIGHEST:
            raise ValueError(f"thresholds must satisfy 1 <= amber <= red <= {HIGHEST:.0f}")


class Match(msgspec.Struct, frozen=True):
    """A possible match of a subject with an entry of one list.

    `bits` is the sum of `evidence` (bits per field, log2(m/u), negative where the field speaks against).
    `contradictions` are the fields of `evidence` that speak clearly against. `revision` is that of the list as
    screened. `digest` is stable over restarts and rebuilds: it binds what the subject showed to what the entry said,
    and changes when either does, so a clearance can be bound to it. `matched` is the entry's name that agreed best,
    folded to A-Z; `subject` is kept for `Matcher.explain`.
    """

    entry_id: str
    bits: float
    evidence: dict[str, float]
    band: Band
    contradictions: tuple[str, ...] = ()
    list: str = ""
    revision: str = ""
    digest: str = ""
    matched: Name = Name("")
    birth_date: str = ""
    subject: Subject | None = None

    def __repr__(self) -> str:
        return f"<Match {self.list}:{self.entry_id} {self.bits:.1f} bits {self.band}>"


class Reason(msgspec.Struct, frozen=True):
    """One piece of evidence in words: its field, its bits and a sentence for a clerk in each language."""

    field: str
    bits: float
    en: str
    es: str

    def __repr__(self) -> str:
        return f"<Reason {self.field} {self.bits:+.1f}>"


class Explanation(msgspec.Struct, frozen=True):
    """Why a match was shown: a summary and the evidence, the strongest first."""

    entry_id: str
    list: str
    bits: float
    band: Band
    summary_en: str
    summary_es: str
    reasons: tuple[Reason, ...]

    def sentences(self, language: str = "en") -> tuple[str, ...]:
        """The summary and every reason as sentences, in `en` or `es`."""
        spanish = language.startswith("es")
        first = self.summary_es if spanish else self.summary_en
        return (first, *(reason.es if spanish else reason.en for reason in self.reasons))

    def __repr__(self) -> str:
        return f"<Explanation {self.list}:{self.entry_id} {self.bits:.1f} bits>"


def to_builtins(value: Any) -> Any:
    """A record as plain dictionaries and lists, for JSON."""
    return msgspec.to_builtins(value)

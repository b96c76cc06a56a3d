"""A visit's states and what may follow what; what a visitor is told; the rows and the inputs.

    held → on_site | awaiting_escort | refused | cancelled
    awaiting_escort → on_site | checked_out | cancelled
    on_site → checked_out | presumed_left | removed

`approved` is a visit approved ahead of its arrival (invitations); at the front office approval puts the visitor on site, or
makes the visit wait for its escort, in the same transaction.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from readers import Address, IdDocument
from visitor.errors import BadInput, Conflict, Forbidden

Status = Literal[
    "held", "approved", "awaiting_escort", "on_site", "refused", "cancelled", "checked_out", "presumed_left", "removed"
]
OPEN: frozenset[Status] = frozenset({"held", "approved", "awaiting_escort", "on_site"})
PRESENT: frozenset[Status] = frozenset({"approved", "awaiting_escort", "on_site"})
FOLLOWS: dict[Status, frozenset[Status]] = {
    "held": frozenset({"approved", "on_site", "awaiting_escort", "refused", "cancelled"}),
    "approved": frozenset({"on_site", "awaiting_escort", "cancelled", "checked_out"}),
    "awaiting_escort": frozenset({"on_site", "cancelled", "checked_out", "removed", "presumed_left"}),
    "on_site": frozenset({"checked_out", "presumed_left", "removed"}),
    "refused": frozenset(),
    "cancelled": frozenset(),
    "checked_out": frozenset(),
    "presumed_left": frozenset(),
    "removed": frozenset(),
}
Source = Literal["barcode", "card", "camera", "serial"]
Language = Literal["en", "es"]


class UnreadableScan(BadInput):
    type = "unreadable-scan"
    title = "The scan holds no identity document"


class NotADocument(BadInput):
    type = "not-a-document"
    title = "That is not an identity document"


class UnknownPurpose(BadInput):
    type = "unknown-purpose"
    title = "There is no such purpose"


class UnknownHost(BadInput):
    type = "unknown-host"
    title = "There is no such host at this school"


class AlreadyOnSite(Conflict):
    type = "already-on-site"
    title = "This person is checked in already"


class NotOnSite(Conflict):
    type = "not-on-site"
    title = "This visitor is not here"


class WrongState(Conflict):
    type = "wrong-state"
    title = "The visit is not in a state that allows this"


class ScreeningUndecided(Conflict):
    type = "screening-undecided"
    title = "Decide the possible match first"


class KeyReused(Conflict):
    type = "idempotency-key-reused"
    title = "This Idempotency-Key was used for another request"


class SiteClosed(Conflict):
    type = "site-closed"
    title = "The school takes no visitors at this moment"


class ReasonMissing(BadInput):
    type = "reason-missing"
    title = "Give a reason"


class WrongStation(Forbidden):
    type = "not-this-station"
    title = "A station acts only for itself"


class Scan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a device read: raw bytes in base64, or the id of a reading that this node made itself."""

    data: bytes = b""
    source: Source = "barcode"
    reading_id: UUID | None = None


class DocumentInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A document's facts, typed by a person or sent by a device that read them itself.

    Nothing here is believed to be proved: `verification` and `warnings` are accepted and ignored.
    """

    family_name: str
    given_name: str = ""
    birth_date: date | None = None
    kind: str = "driver_license"
    issuer: str = ""
    country: str = ""
    number: str | None = None
    middle_names: tuple[str, ...] = ()
    suffix: str | None = None
    truncated: tuple[str, ...] = ()
    sex: Literal["M", "F", "X"] | None = None
    issue_date: date | None = None
    expiry_date: date | None = None
    address: Address | None = None
    height_cm: int | None = None
    eye_color: str | None = None
    nationality: str | None = None
    photo: bytes | None = None
    verification: str = "none"
    warnings: tuple[Any, ...] = ()

    def document(self) -> IdDocument:
        """Raises BadInput for names that cannot be names or a kind that does not exist."""
        family, given = _plain(self.family_name), _plain(self.given_name)
        if not family and not given:
            raise BadInput("Give at least a family name.")
        if self.birth_date is not None and not date(1880, 1, 1) <= self.birth_date <= date.today():  # noqa: DTZ011  a day either way
            raise BadInput("The date of birth cannot be right.")
        fields = {
            **{f: getattr(self, f) for f in ("kind", "issuer", "country", "suffix", "sex", "issue_date", "expiry_date", "address")},
            **{f: getattr(self, f) for f in ("height_cm", "eye_color", "nationality", "birth_date")},
            "number": (self.number or "").strip() or None,
            "middle_names": tuple(_plain(m) for m in self.middle_names),
            "truncated": self.truncated,
            "family_name": family or None,
            "given_name": given or None,
        }
        try:
            return msgspec.convert(fields, IdDocument)
        except msgspec.ValidationError as e:
            raise BadInput("The document has a kind or a part that is not known.") from e


class CheckIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /check-ins`: a scan or a document, why, and whom to see."""

    station_id: UUID
    purpose: str
    host_id: UUID | None = None
    scan: Scan | None = None
    document: DocumentInput | None = None
    photo: bytes | None = None
    language: Language = "en"


class Visit(msgspec.Struct, frozen=True):
    """A row of `visits`."""

    site_id: UUID
    id: UUID
    person_id: UUID
    station_id: UUID
    host_id: UUID | None
    purpose: str
    policy_id: UUID
    status: Status
    held_reason: str
    document: dict[str, Any]
    zones: list[UUID]
    escort_required: bool
    checked_in_at: datetime
    valid_until: datetime
    decided_at: datetime | None
    decided_by: str
    decision_reason: str
    ended_at: datetime | None
    ended_by: str


class OnSite(msgspec.Struct, frozen=True):
    """Who is here, for the desk, the hall and responders."""

    site_id: UUID
    visit_id: UUID
    person_id: UUID
    name: str
    status: Status
    held_reason: str
    purpose: str
    host_id: UUID | None
    host: str
    zones: list[UUID]
    escort_required: bool
    escort: str
    badge_number: int | None
    checked_in_at: datetime
    valid_until: datetime
    screening: str
    screened_at: datetime | None
    last_place: str
    last_seen: datetime | None
    has_photo: bool


def may_follow(before: Status, after: Status) -> bool:
    return after in FOLLOWS[before]


def message(status: Status, given_name: str, language: Language) -> str:
    """What a visitor is told. Whatever the reason for waiting, the words are the same."""
    name = given_name.title() if given_name.isupper() else given_name
    said = f", {name}" if name else ""
    if language == "es":
        texts = {
            "on_site": f"Bienvenido{said}. Su credencial se está imprimiendo.",
            "awaiting_escort": f"Gracias{said}. Su credencial se está imprimiendo. Espere aquí a su acompañante.",
            "checked_out": f"Gracias{said}. Su visita ha terminado. ¡Hasta pronto!",
        }
        wait = f"Gracias{said}. Espere un momento, por favor; enseguida le atenderá la oficina."
    else:
        texts = {
            "on_site": f"Welcome{said}. Your badge is printing.",
            "awaiting_escort": f"Thank you{said}. Your badge is printing. Please wait here for your escort.",
            "checked_out": f"Thank you{said}. You are checked out. See you soon.",
        }
        wait = f"Thank you{said}. Please wait a moment; the front office will be with you."
    return texts.get(status, wait)


def document_facts(document: IdDocument | None) -> dict[str, Any]:
    """What a visit keeps of its document: nothing that names the person."""
    if document is None:
        return {"kind": "none", "issuer": "", "verification": "none", "warnings": [], "expiry_date": None}
    return {
        "kind": document.kind,
        "issuer": document.issuer,
        "verification": document.verification,
        "warnings": [{"code": w.code, "field": w.field} for w in document.warnings],
        "expiry_date": document.expiry_date.isoformat() if document.expiry_date else None,
    }


def _plain(text: str) -> str:
    """A name as typed, without control characters and runs of blanks, at most 200 characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]

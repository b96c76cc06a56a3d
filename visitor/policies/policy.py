"""Whether a visitor is cleared, held for staff or refused: pure, over facts that others found.

Order matters only for which reason is named first; every reason by itself is enough to hold.

| what | verdict |
|---|---|
| lockdown or evacuation | refused `incident` |
| hold, secure, shelter | held `incident` |
| a possible match | held `possible-match` |
| not screened | held `screening-unavailable` |
| the purpose asks for a document, and there is none | held `no-document` |
| the document has expired | held `document-expired` |
| the document was read with doubt | held `document-doubtful` |
| the purpose asks for more proof than the document gave | held `document-not-proved` |
| screened without a birth date, and no chip vouches for the person | held `no-birth-date` |
| under age | held `under-age` |
| the purpose is always decided by staff | held `needs-staff` |
| else | approved |
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from readers import IdDocument
from visitor.policies.models import Proof, Purpose
from visitor.screening.models import Clear, PossibleMatch, Unavailable, Verdict
from visitor.sites.models import State

# A document so read may name somebody else, or the date of another day: a person compares it with the paper.
DOUBTS: Final = frozenset(
    {
        "check_digit_wrong", "separators_lost", "line_joined", "date_order_guessed", "date_unreadable", "name_order_guessed",
        "element_malformed", "element_repeated", "issuer_mismatch", "not_yet_issued",
    }
)
_PROOFS: Final[tuple[Proof, ...]] = ("none", "check_digits", "signature", "chip")

SENTENCES: Final[dict[str, str]] = {
    "possible-match": "Possible match on a list. Decide it first.",
    "screening-unavailable": "This visitor could not be screened. Check the lists, or decide yourself with a reason.",
    "no-document": "No ID was scanned. Check who this is.",
    "document-expired": "The ID has expired.",
    "document-doubtful": "The ID could not be read without doubt. Compare it with the person.",
    "document-not-proved": "This purpose asks for an ID that proves itself. Check it, or ask for another.",
    "no-birth-date": "Without a date of birth the lists could be searched by name only. Ask for an ID that shows one.",
    "under-age": "The visitor is under age.",
    "needs-staff": "This purpose is always decided by the front office.",
    "incident": "An incident is declared at this school.",
}


class Approved(msgspec.Struct, frozen=True):
    """Cleared: where the visitor may go, until when, and whether only with an escort."""

    zones: tuple[str, ...]
    valid_until: datetime
    escort_required: bool


class Held(msgspec.Struct, frozen=True):
    """Staff decide. `detail` adds what is known beyond the code's own sentence (why screening was not available)."""

    reason: str
    detail: str = ""

    @property
    def sentence(self) -> str:
        return f"{SENTENCES[self.reason]} {self.detail}".strip()


class Refused(msgspec.Struct, frozen=True):
    reason: str

    @property
    def sentence(self) -> str:
        return SENTENCES[self.reason]


Decision = Approved | Held | Refused


class Plan(msgspec.Struct, frozen=True):
    """What a purpose grants once the visit is approved, by the policy or by staff."""

    zones: tuple[str, ...]
    valid_until: datetime
    escort_required: bool


class DocumentFacts(msgspec.Struct, frozen=True):
    """What the rule needs of a document, and nothing that names the person."""

    proof: Proof = "none"
    expiry_date: date | None = None
    birth_date: date | None = None
    warnings: frozenset[str] = frozenset()

    @classmethod
    def of(cls, document: IdDocument | None) -> DocumentFacts | None:
        if document is None:
            return None
        return cls(document.verification, document.expiry_date, document.birth_date, frozenset(w.code for w in document.warnings))

    def __repr__(self) -> str:
        return f"DocumentFacts(proof={self.proof!r})"


def decide(
    purpose: Purpose, verdict: Verdict, document: DocumentFacts | None, state: State, now: datetime, zone: ZoneInfo, *, known: bool = False
) -> Decision:
    """The policy's verdict. `now` is aware, `zone` the school's; `known`: this person has been here before, by document."""
    if state in ("lockdown", "evacuate"):
        return Refused("incident")
    if state != "normal":
        return Held("incident")
    if (reason := held_by(verdict)) is not None:
        return Held(reason, verdict.detail if isinstance(verdict, Unavailable) else "")
    today = now.astimezone(zone).date()
    if (reason := _held_by_document(purpose, verdict, document, today)) is not None:
        return Held(reason)
    if not purpose.auto_approve:
        return Held("needs-staff")
    granted = plan(purpose, now, zone, known=known)
    return Approved(granted.zones, granted.valid_until, granted.escort_required)


def held_by(verdict: Verdict) -> str | None:
    """The code by which a screening alone holds a visitor; None when it does not."""
    if isinstance(verdict, PossibleMatch):
        return "possible-match"
    return None if isinstance(verdict, Clear) else "screening-unavailable"


def plan(purpose: Purpose, now: datetime, zone: ZoneInfo, *, known: bool = False) -> Plan:
    """Zones, end and escort of a visit approved at `now`. No stay runs past the school's midnight."""
    local = now.astimezone(zone)
    midnight = datetime.combine(local.date() + timedelta(days=1), time(), zone)
    end = min(now + timedelta(minutes=purpose.minutes), midnight.astimezone(now.tzinfo))
    escort = purpose.escort == "always" or (purpose.escort == "unless-known" and not known)
    return Plan(purpose.zones, end, escort)


def _held_by_document(purpose: Purpose, verdict: Verdict, document: DocumentFacts | None, today: date) -> str | None:
    by_name_only = isinstance(verdict, Clear) and verdict.by_name_only
    if document is None:
        if purpose.document_required:
            return "no-document"
        return "no-birth-date" if by_name_only else None
    if document.expiry_date is not None and document.expiry_date < today:
        return "document-expired"
    if document.warnings & DOUBTS:
        return "document-doubtful"
    if _PROOFS.index(document.proof) < _PROOFS.index(purpose.proof):
        return "document-not-proved"
    if by_name_only and document.proof != "chip":
        return "no-birth-date"
    if not purpose.minors_alone and document.birth_date is not None and _age(document.birth_date, today) < 18:
        return "under-age"
    return None


def _age(born: date, day: date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))

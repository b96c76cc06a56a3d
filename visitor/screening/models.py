"""Verdicts, their rows, and what may be decided of them.

    clear | possible_match → confirmed | cleared | escalated       escalated → confirmed | cleared
    unavailable → screened again (a new row; `superseded_by` names it)
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from visitor.errors import BadInput, Conflict, NotFound
from visitor.people.models import Identity, PersonFacts
from visitor.registries.models import CANNOT_SCREEN
from watchlists import Address, Name, Subject

Outcome = Literal["clear", "possible_match", "unavailable", "confirmed", "cleared", "escalated"]
Decided = Literal["cleared", "confirmed", "escalated"]
Band = Literal["red", "amber"]

UNAVAILABLE: Final[dict[str, str]] = {**CANNOT_SCREEN, "no-name": "The document gives no name to search for."}
"""Why a visitor could not be screened, for the desk."""


class AlreadyDecided(Conflict):
    type = "already-decided"
    title = "This screening was decided already"


class NothingToDecide(Conflict):
    type = "nothing-to-decide"
    title = "This screening has no match to decide"


class NoSuchScreening(NotFound):
    type = "unknown-screening"
    title = "There is no such screening at a school of yours"


class DecisionReason(BadInput):
    type = "reason-missing"
    title = "Give a reason"


class MatchRow(msgspec.Struct, frozen=True):
    """A possible match as the desk sees it: bits of evidence in total and by field, and the same in words.

    `digest` binds what the visitor showed to what the entry said (hexadecimal). `cleared_before` names the clearance that
    settled the same match at an earlier visit. The words may quote names and dates, so they are sealed where they are kept.
    """

    id: UUID
    entry_id: str
    list: str
    bits: float
    band: Band
    evidence: dict[str, float]
    contradictions: tuple[str, ...]
    sentences_en: tuple[str, ...]
    sentences_es: tuple[str, ...]
    digest: str
    revision: int = 0
    cleared_before: UUID | None = None

    def __repr__(self) -> str:
        return f"MatchRow({self.list}, {self.bits:.1f} bits, {self.band})"


class Clear(msgspec.Struct, frozen=True):
    """No open match. `by_name_only`: there was no birth date, so a common name would not have shown. `matches`: cleared before."""

    revisions: dict[str, int]
    matches: tuple[MatchRow, ...] = ()
    by_name_only: bool = False
    identity: Identity | None = None


class PossibleMatch(msgspec.Struct, frozen=True):
    """At least one open match; `matches` has those settled before as well, marked."""

    revisions: dict[str, int]
    matches: tuple[MatchRow, ...]
    identity: Identity | None = None

    @property
    def open(self) -> tuple[MatchRow, ...]:
        return tuple(m for m in self.matches if m.cleared_before is None)


class Unavailable(msgspec.Struct, frozen=True):
    """Nobody can say: `reason` is a key of UNAVAILABLE, `detail` a sentence for the desk."""

    revisions: dict[str, int]
    reason: str
    detail: str
    identity: Identity | None = None


Verdict = Clear | PossibleMatch | Unavailable


class ScreeningRow(msgspec.Struct, frozen=True):
    """A row of `screenings`, its matches opened."""

    site_id: UUID
    id: UUID
    visit_id: UUID
    outcome: Outcome
    reason: str
    revisions: dict[str, int]
    matches: tuple[MatchRow, ...]
    screened_at: datetime
    decided_at: datetime | None
    decided_by: str
    superseded_by: UUID | None

    @property
    def undecided(self) -> bool:
        """Whether a match waits for a person's word."""
        return self.outcome in ("possible_match", "escalated")


class DecisionInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    outcome: Decided
    reason: str


def outcome_of(verdict: Verdict) -> Outcome:
    if isinstance(verdict, Clear):
        return "clear"
    return "possible_match" if isinstance(verdict, PossibleMatch) else "unavailable"


def subject_of(facts: PersonFacts) -> Subject:
    """What the matcher compares of a person."""
    place = facts.address
    return Subject(
        Name(facts.family_name, facts.given_name, facts.middle_names, facts.suffix),
        facts.birth_date,
        facts.sex,
        None if place is None else Address(place.street, place.city, place.region, place.postal_code),
        facts.height_cm,
        facts.eye_color,
        (facts.document_hash,) if facts.document_hash else (),
        facts.truncated,
    )


def may_decide(outcome: Outcome) -> None:
    """Raise where the screening is not one a person decides."""
    if outcome in ("confirmed", "cleared"):
        raise AlreadyDecided("Somebody decided this screening already. Look at the visit again.")
    if outcome == "clear":
        raise NothingToDecide("This screening found nothing to decide.")
    if outcome == "unavailable":
        raise NothingToDecide("This visitor could not be screened: there is no match to decide. Approve or refuse the visit with a reason.")

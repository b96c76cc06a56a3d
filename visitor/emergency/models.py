"""An incident, what was frozen when it was declared, and who is on site now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from visitor.errors import BadInput, Conflict
from visitor.security import Principal
from visitor.sites.models import State
from visitor.visits.models import OnSite

# The five actions of the Standard Response Protocol (i love u guys foundation, SRP 2021), without "normal".
IncidentState = Literal["hold", "secure", "lockdown", "evacuate", "shelter"]
Source = Literal["desk", "phone", "panic", "api"]
Outcome = Literal["resolved", "cancelled"]
# Why one officer's credential ends before its incident: a code, since it goes into the audit.
Withdrawal = Literal["lost", "stolen", "not-needed", "mistake"]

# Who counts as in the building: badge given, or at the front office waiting for the escort.
ON_SITE = frozenset({"on_site", "awaiting_escort"})
MAX_NOTE = 1000


class AlreadyDeclared(Conflict):
    type = "incident-already-declared"
    title = "An incident is declared at this school already"


class IncidentOver(Conflict):
    type = "incident-over"
    title = "This incident was resolved already"


class ReasonNeeded(BadInput):
    type = "reason-needed"
    title = "Give a reason"


class FrozenVisit(msgspec.Struct, frozen=True):
    """One visit as it stood when the incident was declared: ids and places only, so that the evidence names nobody."""

    visit_id: UUID
    status: str
    place: str
    at: datetime | None


class Incident(msgspec.Struct, frozen=True):
    site_id: UUID
    id: UUID
    state: IncidentState
    exercise: bool
    note: str
    source: Source
    declared_by: str
    declared_at: datetime
    snapshot: tuple[FrozenVisit, ...]
    resolved_at: datetime | None
    resolved_by: str
    outcome: Literal["", "resolved", "cancelled"]

    @property
    def open(self) -> bool:
        return self.resolved_at is None

    @property
    def view(self) -> IncidentView:
        return IncidentView(
            site_id=self.site_id, id=self.id, state=self.state, exercise=self.exercise, note=self.note, source=self.source,
            declared_by=self.declared_by, declared_at=self.declared_at, resolved_at=self.resolved_at, resolved_by=self.resolved_by,
            outcome=self.outcome, on_site_when_declared=sum(v.status in ON_SITE for v in self.snapshot),
        )


class IncidentView(msgspec.Struct, frozen=True):
    """For pages and the API: the frozen list as a count, its rows are asked for with the incident itself."""

    site_id: UUID
    id: UUID
    state: IncidentState
    exercise: bool
    note: str
    source: Source
    declared_by: str
    declared_at: datetime
    resolved_at: datetime | None
    resolved_by: str
    outcome: Literal["", "resolved", "cancelled"]
    on_site_when_declared: int


class PersonHere(msgspec.Struct, frozen=True):
    """One line of the on-site list: whom responders look for, and where they were seen last."""

    visit_id: UUID
    name: str
    status: str
    purpose: str
    host: str
    zones: tuple[str, ...]
    escort_required: bool
    escort: str
    badge_number: int | None
    checked_in_at: datetime
    valid_until: datetime
    overdue: bool
    last_place: str
    last_seen: datetime | None
    photo: str | None


class OnSiteList(msgspec.Struct, frozen=True):
    """`people` are in the building on a badge; `waiting` stand at the front office, not decided yet."""

    people: tuple[PersonHere, ...]
    waiting: tuple[PersonHere, ...]


class FrozenPerson(msgspec.Struct, frozen=True):
    """A line of the frozen list with the name put back, and where that visit stands now."""

    visit_id: UUID
    name: str
    status: str
    place: str
    at: datetime | None
    status_now: str
    ended_at: datetime | None


class IssuedCredential(msgspec.Struct, frozen=True):
    """An emergency credential as the respond page lists it: to whom and until when, never the token."""

    id: UUID
    officer_id: UUID
    officer: str
    state: Literal["pending", "active", "ended"]
    valid_from: datetime
    valid_until: datetime
    ended_at: datetime | None
    ended_reason: str


def here(row: OnSite, zones: Sequence[str], now: datetime) -> PersonHere:
    return PersonHere(
        visit_id=row.visit_id, name=row.name, status=row.status, purpose=row.purpose, host=row.host, zones=tuple(zones),
        escort_required=row.escort_required, escort=row.escort, badge_number=row.badge_number, checked_in_at=row.checked_in_at,
        valid_until=row.valid_until, overdue=now >= row.valid_until, last_place=row.last_place, last_seen=row.last_seen,
        photo=f"/api/v1/visits/{row.visit_id}/photo" if row.has_photo else None,
    )


def source_of(principal: Principal, site_id: UUID) -> Source:
    """Where a declaration came from, told by who makes it: a station's button, a desk, a phone, a machine."""
    if principal.kind == "station":
        return "panic"
    if principal.kind == "token":
        return "api"
    return "desk" if principal.may(site_id, "desk") else "phone"


class SiteShown(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    address: str


class OnSiteAnswer(msgspec.Struct, frozen=True):
    """The live list with the site's state. `count` is of `people`; `waiting` stand at the front office, not decided yet."""

    site: SiteShown
    state: State
    exercise: bool
    since: datetime
    incident: IncidentView | None
    count: int
    people: tuple[PersonHere, ...]
    waiting: tuple[PersonHere, ...]

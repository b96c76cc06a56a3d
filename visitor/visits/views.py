"""What each caller is shown of a visit: a station a message, the desk everything it decides with."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from visitor.accounts.service import Accounts
from visitor.badges.models import BadgeRow
from visitor.badges.service import Badges
from visitor.errors import NotFound
from visitor.people.models import Person, PersonFacts
from visitor.people.service import People
from visitor.policies.policy import SENTENCES
from visitor.screening.models import ScreeningRow
from visitor.screening.service import Screening
from visitor.security import Principal
from visitor.sites.service import Sites
from visitor.visits import models
from visitor.visits.models import Language, Visit
from visitor.visits.service import Fresh


class StationView(msgspec.Struct, frozen=True):
    """All that a visitor may see."""

    id: UUID
    status: str
    message: str


class VisitorView(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    family_name: str
    given_name: str
    birth_date: str | None
    first_visit: bool
    photo: str | None


class BadgeView(msgspec.Struct, frozen=True):
    id: UUID
    token: str
    number: int
    status: str


class ScreeningView(msgspec.Struct, frozen=True):
    id: UUID
    outcome: str
    reason: str
    decided: bool
    matches: list[dict[str, Any]]


class DeskView(msgspec.Struct, frozen=True):
    id: UUID
    status: str
    message: str
    reason: str
    reason_text: str
    site_id: UUID
    station_id: UUID
    visitor: VisitorView
    purpose: str
    host_id: UUID | None
    host: str
    document: dict[str, Any]
    escort_required: bool
    zones: list[str]
    checked_in_at: datetime
    valid_until: datetime
    decided_at: datetime | None
    decision_reason: str
    badge: BadgeView | None
    screening: ScreeningView | None


class Views:
    def __init__(self, sites: Sites, accounts: Accounts, people: People, screening: Screening, badges: Badges) -> None:
        self._sites = sites
        self._accounts = accounts
        self._people = people
        self._screening = screening
        self._badges = badges

    async def of(
        self, principal: Principal, visit: Visit, given_name: str | None = None, language: Language = "en", fresh: Fresh | None = None
    ) -> StationView | DeskView:
        """The view that fits the caller: matches and reasons go to the desk only."""
        if not principal.may(visit.site_id, "desk", "admin"):
            if given_name is None:
                given_name = (await self._people.person(visit.site_id, visit.person_id)).given_name
            return StationView(visit.id, self._told(visit), models.message(visit.status, given_name, language))
        return await self.desk(visit, language, fresh)

    @staticmethod
    def _told(visit: Visit) -> str:
        """A refusal looks like waiting at the kiosk: a person tells it, not a screen."""
        return "held" if visit.status == "refused" else visit.status

    async def desk(self, visit: Visit, language: Language = "en", fresh: Fresh | None = None) -> DeskView:
        """Everything; `fresh` is what the request itself has just written."""
        if fresh is None:
            return (await self.listed([visit], language))[0]
        hosts: dict[UUID, str] = {}
        if visit.host_id is not None:
            with contextlib.suppress(NotFound):
                hosts[visit.host_id] = (await self._accounts.staff_member(visit.host_id)).name
        return self._desk(visit, language, fresh.person, fresh.facts, fresh.badge, _host(visit, hosts), fresh.screening)

    async def listed(self, visits: Sequence[Visit], language: Language = "en") -> list[DeskView]:
        """Everything of these visits, in their order: a query for each kind of thing, however many visits there are."""
        keys = [(visit.site_id, visit.id) for visit in visits]
        people = await self._people.many((visit.site_id, visit.person_id) for visit in visits)
        badges = await self._badges.live_of(keys)
        screenings = await self._screening.latest_of(keys)
        hosts = await self._accounts.staff_names({visit.host_id for visit in visits if visit.host_id is not None})
        return [
            self._desk(visit, language, *people[visit.person_id], badges.get(visit.id), _host(visit, hosts), screenings.get(visit.id))
            for visit in visits
        ]

    def _desk(
        self, visit: Visit, language: Language, person: Person, facts: PersonFacts, badge: BadgeRow | None, host: str,
        screening: ScreeningRow | None,
    ) -> DeskView:
        return DeskView(
            id=visit.id, status=visit.status, message=models.message(visit.status, person.given_name, language),
            reason=visit.held_reason,
            reason_text=SENTENCES.get(visit.held_reason, ""), site_id=visit.site_id, station_id=visit.station_id,
            visitor=VisitorView(
                id=person.id, name=f"{person.given_name} {person.family_name}".strip(), family_name=person.family_name,
                given_name=person.given_name, birth_date=facts.birth_date.isoformat() if facts.birth_date else None,
                first_visit=person.first_seen >= visit.checked_in_at,
                photo=f"/api/v1/visits/{visit.id}/photo" if person.has_photo else None,
            ),
            purpose=visit.purpose, host_id=visit.host_id, host=host, document=visit.document, escort_required=visit.escort_required,
            zones=self._sites.zone_names(visit.zones), checked_in_at=visit.checked_in_at, valid_until=visit.valid_until,
            decided_at=visit.decided_at, decision_reason=visit.decision_reason,
            badge=None if badge is None else BadgeView(badge.id, self._badges.token(badge), badge.number, badge.status),
            screening=None if screening is None else _screened(screening),
        )


def _host(visit: Visit, names: Mapping[UUID, str]) -> str:
    return "" if visit.host_id is None else names.get(visit.host_id, "(no longer here)")


def _screened(row: ScreeningRow) -> ScreeningView:
    return ScreeningView(row.id, row.outcome, row.reason, not row.undecided, [msgspec.to_builtins(m) for m in row.matches])

"""A badge check's verdict, judged by a pure function, and a challenge of somebody without a badge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from visitor.errors import Conflict

CheckVerdict = Literal["here-legitimately", "not-here"]

# What the phone says beside the four words of its verdict: a sentence that a person can act on. The codes are stable.
REASONS: dict[str, str] = {
    "ok": "This visitor may be here.",
    "with-escort": "This visitor may be here with the escort. Make sure that the escort is beside them.",
    "unknown-badge": "This is no badge of this district. Walk the person to the front office.",
    "emergency-credential": "This is an officer's emergency credential, not a visitor's badge.",
    "other-site": "This badge is for another school. Walk the person to the front office.",
    "void": "This badge was replaced by a newer one. Ask for the new badge, or walk the person to the front office.",
    "checked-out": "This visitor has checked out. Walk the person to the front office.",
    "removed": "This visitor was sent away. Call the front office.",
    "not-approved": "This visit was not approved. Walk the person to the front office.",
    "awaiting-escort": "The escort has not accepted yet. The visitor waits at the front office.",
    "expired": "The visit's time is over. Walk the person to the front office.",
    "outside-zone": "This visitor may be at the school, but not here. Show the way, or call the front office.",
}
MAX_TEXT = 1000
MAX_PLACE = 200


class ChallengeOver(Conflict):
    type = "challenge-closed"
    title = "This challenge was closed already"


class BadgeFacts(msgspec.Struct, frozen=True):
    """Everything about a badge that a check is judged by and that the phone shows."""

    site_id: UUID
    badge_id: UUID
    badge_number: int
    badge_status: str
    expires_at: datetime
    visit_id: UUID
    visit_status: str
    purpose: str
    zones: tuple[UUID, ...]
    escort_required: bool
    valid_until: datetime
    checked_in_at: datetime
    given_name: str
    family_name: str
    has_photo: bool
    host: str
    host_place: str
    escort: str
    escort_place: str


class VisitorShown(msgspec.Struct, frozen=True):
    visit_id: UUID
    name: str
    initials: str
    photo: str | None
    host: str
    host_place: str
    zones: tuple[str, ...]
    purpose: str
    badge_number: int
    checked_in_at: datetime
    valid_until: datetime


class EscortShown(msgspec.Struct, frozen=True):
    required: bool
    name: str
    place: str


class CheckAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the phone shows. Nothing of the person where the badge is not this school's."""

    verdict: CheckVerdict
    reason: str
    message: str
    checked_at: datetime
    visitor: VisitorShown | None = None
    escort: EscortShown | None = None
    minutes_left: int | None = None
    incident: str | None = None


class Challenge(msgspec.Struct, frozen=True):
    site_id: UUID
    id: UUID
    place: str
    description: str
    outcome: str
    at: datetime
    by_whom: str
    closed_at: datetime | None
    closed_by: str


_ENDED: Mapping[str, str] = {
    "checked_out": "checked-out", "presumed_left": "checked-out", "removed": "removed", "refused": "not-approved",
    "cancelled": "not-approved", "held": "not-approved", "approved": "not-approved",
}


def judge(facts: BadgeFacts, zone_of_place: UUID | None, now: datetime) -> tuple[CheckVerdict, str]:
    """Whether the bearer may be at this place now. `zone_of_place` is the zone that the checker stands in, when it is one.

    The order is that of what to do about it: a visit that is over comes before a badge that was replaced.
    """
    if facts.visit_status in _ENDED:
        return "not-here", _ENDED[facts.visit_status]
    if facts.badge_status == "void":
        return "not-here", "void"
    if now >= min(facts.valid_until, facts.expires_at):
        return "not-here", "expired"
    if facts.visit_status == "awaiting_escort" or (facts.escort_required and not facts.escort):
        return "not-here", "awaiting-escort"
    if zone_of_place is not None and zone_of_place not in facts.zones:
        return "not-here", "outside-zone"
    return "here-legitimately", "with-escort" if facts.escort_required else "ok"


def shown(facts: BadgeFacts, zones: Sequence[str]) -> VisitorShown:
    given, family = facts.given_name.strip(), facts.family_name.strip()
    return VisitorShown(
        visit_id=facts.visit_id, name=f"{given} {family}".strip(), initials=(given[:1] + family[:1]).upper(),
        photo=f"/api/v1/visits/{facts.visit_id}/photo" if facts.has_photo else None, host=facts.host, host_place=facts.host_place,
        zones=tuple(zones), purpose=facts.purpose, badge_number=facts.badge_number, checked_in_at=facts.checked_in_at,
        valid_until=facts.valid_until,
    )

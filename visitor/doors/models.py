"""What a door knows when somebody taps: the access table, the door, and the two verdicts. No names: ids and codes only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from visitor.keys import Claims

Holder = Literal["", "visit", "staff", "officer"]
# "starting": not answered yet since this process took it over; "elsewhere": another process of this database has it;
# "none": the door has no reader of ours, its taps come by HTTP.
ReaderState = Literal["online", "starting", "lost", "elsewhere", "none"]

# How long an escort's tap stands for the visitors with them, at the same reader.
ESCORT_WINDOW = timedelta(seconds=15)

# Every reason a verdict may give, and what it says to the person who reads it. The codes are stable.
REASONS: dict[str, str] = {
    "ok": "Open.",
    "police": "Open for the police while the incident lasts.",
    "incident": "An incident is declared at this school: visitors cannot open doors now. Follow the staff's instructions.",
    "unknown-badge": "This is no badge of this district. Ask at the front office.",
    "unknown-card": "This card is not known here. Ask at the front office.",
    "unreadable": "The badge or card could not be read. Hold it still and try again.",
    "other-site": "This badge or card is for another school. Check in at the front office here.",
    "awaiting-escort": "The escort has not accepted yet. Wait at the front office.",
    "not-yet": "This badge or card is not valid yet.",
    "expired": "The time on this badge or card is over. Go to the front office.",
    "ended": "This visit is over: the badge opens nothing any more. Check in again at the front office.",
    "void": "This badge was replaced. Use the new one.",
    "outside-zone": "This badge does not open this door. Ask at the front office.",
    "escort-first": "The escort taps first, then the visitor, at the same reader.",
    "no-incident": "This card opens doors only while an incident is declared here.",
    "incident-over": "This emergency credential ended with its incident.",
    "revoked": "This card was withdrawn.",
    "not-recorded": "The door could not record this opening and stays closed. Use a key, and tell the front office.",
    "relay-failed": "The badge is good, but the lock does not answer. Use a key, and tell the front office.",
}


class Granted(msgspec.Struct, frozen=True):
    """The door opens. `reason` is "ok", or "police" for the opening that an incident allows."""

    reason: str = "ok"
    holder: Holder = ""
    visit_id: UUID | None = None
    credential_id: UUID | None = None
    standing_id: UUID | None = None
    staff_id: UUID | None = None


class Denied(msgspec.Struct, frozen=True):
    """The door stays closed, with a code of REASONS that a person can act on."""

    reason: str
    holder: Holder = ""
    visit_id: UUID | None = None
    credential_id: UUID | None = None
    standing_id: UUID | None = None


Verdict = Granted | Denied


class TokenRead(msgspec.Struct, frozen=True):
    """A badge or emergency token whose signature is good; whether it still counts is for `decide`."""

    claims: Claims


class KeyedCard(msgspec.Struct, frozen=True):
    """A card, as the keyed hash by which standing credentials are kept."""

    identifier: bytes


class NotOurs(msgspec.Struct, frozen=True):
    """Something was presented that is no token of this district: `reason` is a code of REASONS."""

    reason: str


Read = TokenRead | KeyedCard | NotOurs


class VisitCredential(msgspec.Struct, frozen=True):
    """What one visit's badge opens. `badge_id` is the badge that counts (None: there is none), `void_badges` those replaced;
    `escort_id` is the member of staff who accepted to escort, if anyone did."""

    id: UUID
    site_id: UUID
    visit_id: UUID
    badge_id: UUID | None
    void_badges: tuple[UUID, ...]
    zones: frozenset[UUID]
    escorted: bool
    escort_id: UUID | None
    state: Literal["pending", "active", "ended"]
    valid_from: datetime
    valid_until: datetime


class EmergencyCredential(msgspec.Struct, frozen=True):
    """An officer's credential for one incident at one site."""

    id: UUID
    site_id: UUID
    incident_id: UUID
    state: Literal["pending", "active", "ended"]
    valid_from: datetime
    valid_until: datetime


class StandingCredential(msgspec.Struct, frozen=True):
    """A card carried always: an officer's (`site_id` None) or a member of staff's."""

    id: UUID
    identifier: bytes
    officer_id: UUID | None
    staff_id: UUID | None
    site_id: UUID | None
    valid_from: datetime
    valid_until: datetime | None
    revoked: bool


class AccessTable:
    """Every credential that could be presented now or was lately, by what a reader gives. Replaced site by site, row by row.

    Ended credentials stay for a day, so that a badge tapped after check-out is told so instead of being unknown.
    """

    def __init__(self) -> None:
        self.visits: dict[UUID, VisitCredential] = {}  # by credential id
        self.emergency: dict[UUID, EmergencyCredential] = {}  # by credential id
        self.standing: dict[bytes, StandingCredential] = {}  # by card
        self._badges: dict[UUID, UUID] = {}  # badge, void ones too → credential id
        self._visits: dict[UUID, UUID] = {}  # visit → credential id

    def put(self, row: VisitCredential | EmergencyCredential) -> None:
        """Add a credential or replace it by its id."""
        if isinstance(row, EmergencyCredential):
            self.emergency[row.id] = row
            return
        self.visits[row.id] = row
        self._visits[row.visit_id] = row.id
        for badge_id in (*row.void_badges, row.badge_id):
            if badge_id is not None:
                self._badges[badge_id] = row.id

    def put_site(self, site_id: UUID, rows: Iterable[VisitCredential | EmergencyCredential]) -> None:
        """Replace all visit and emergency credentials of a site."""
        self.visits = {k: c for k, c in self.visits.items() if c.site_id != site_id}
        self.emergency = {k: c for k, c in self.emergency.items() if c.site_id != site_id}
        self._badges = {k: c for k, c in self._badges.items() if c in self.visits}
        self._visits = {k: c for k, c in self._visits.items() if c in self.visits}
        for row in rows:
            self.put(row)

    def put_standing(self, rows: Iterable[StandingCredential]) -> None:
        """Replace all standing credentials; of two rows with one card the one not revoked counts."""
        table: dict[bytes, StandingCredential] = {}
        for row in rows:
            if row.identifier not in table or table[row.identifier].revoked:
                table[row.identifier] = row
        self.standing = table

    def of_badge(self, badge_id: UUID) -> VisitCredential | None:
        """The credential that this badge carries or, once void, carried."""
        credential_id = self._badges.get(badge_id)
        return None if credential_id is None else self.visits.get(credential_id)

    def of_visit(self, visit_id: UUID) -> VisitCredential | None:
        credential_id = self._visits.get(visit_id)
        return None if credential_id is None else self.visits.get(credential_id)

    def __len__(self) -> int:
        return len(self.visits) + len(self.emergency) + len(self.standing)


class DoorView(msgspec.Struct, frozen=True):
    """The door as `decide` sees it: where it leads, and which staff opened it lately (staff id → when)."""

    id: UUID
    site_id: UUID
    zone_id: UUID
    staff_taps: Mapping[UUID, datetime] = {}


class DoorEvent(msgspec.Struct, frozen=True):
    """One tap as the journal keeps it. `source` is who brought it: `token:…`, `station:…` or `reader`."""

    id: UUID
    site_id: UUID
    door_id: UUID
    at: datetime
    verdict: Literal["granted", "denied"]
    reason: str
    holder: Holder
    visit_id: UUID | None
    credential_id: UUID | None
    standing_id: UUID | None
    source: str


class LastTap(msgspec.Struct, frozen=True):
    at: datetime
    verdict: Literal["granted", "denied"]
    reason: str
    holder: Holder
    visit_id: UUID | None


class DoorState(msgspec.Struct, frozen=True):
    """A door for the desk and for responders; `trouble` is a sentence for a person, or ""."""

    id: UUID
    site_id: UUID
    name: str
    zone: str
    reader_state: ReaderState
    trouble: str
    last_tap: LastTap | None


class TapAnswer(msgspec.Struct, frozen=True):
    """What a controller is told: no ids of visitors, only the verdict and what to say."""

    verdict: Literal["granted", "denied"]
    reason: str
    message: str

"""The decision at a door, exhaustively and by a state machine: pure, so no database here."""

from __future__ import annotations

import ast
import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

import visitor.doors.decision
from visitor.doors.decision import decide
from visitor.doors.models import (
    ESCORT_WINDOW,
    REASONS,
    AccessTable,
    Denied,
    DoorView,
    EmergencyCredential,
    Granted,
    KeyedCard,
    NotOurs,
    StandingCredential,
    TokenRead,
    VisitCredential,
)
from visitor.keys import Claims
from visitor.sites.models import SiteState

NOW = datetime(2026, 5, 4, 15, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def uid(n: int) -> UUID:
    return UUID(int=n)


SITE, OTHER, ZONE, OTHER_ZONE, INCIDENT, OLD_INCIDENT, ESCORT = (uid(n) for n in range(1, 8))
STATES = ("normal", "hold", "secure", "lockdown", "evacuate", "shelter")
BADGE = uid(32)
DOOR = DoorView(uid(20), SITE, ZONE)


def state(name: str, incident: UUID | None = INCIDENT, site: UUID = SITE, exercise: bool = False) -> SiteState:
    return SiteState(site, name, exercise, None if name == "normal" else incident, NOW - HOUR)  # type: ignore[arg-type]


def credential(**changes: Any) -> VisitCredential:
    plain = VisitCredential(
        id=uid(30), site_id=SITE, visit_id=uid(31), badge_id=uid(32), void_badges=(uid(33),), zones=frozenset({ZONE}), escorted=False,
        escort_id=None, state="active", valid_from=NOW - HOUR, valid_until=NOW + HOUR,
    )
    return msgspec.structs.replace(plain, **changes)


def badge(id: UUID = BADGE, site: UUID = SITE, until: datetime = NOW + HOUR, kind: str = "badge") -> TokenRead:
    return TokenRead(Claims(kind, id, site, NOW - HOUR, until))


def table(*rows: Any, standing: tuple[StandingCredential, ...] = ()) -> AccessTable:
    made = AccessTable()
    for row in rows:
        made.put(row)
    made.put_standing(standing)
    return made


def card(**changes: Any) -> StandingCredential:
    plain = StandingCredential(
        id=uid(40), identifier=b"card", officer_id=None, staff_id=ESCORT, site_id=SITE, valid_from=NOW - HOUR, valid_until=None,
        revoked=False,
    )
    return msgspec.structs.replace(plain, **changes)


def officer(**changes: Any) -> StandingCredential:
    return card(officer_id=uid(41), staff_id=None, site_id=None, **changes)


def emergency(**changes: Any) -> EmergencyCredential:
    plain = EmergencyCredential(uid(50), SITE, INCIDENT, "active", NOW - HOUR, NOW + HOUR)
    return msgspec.structs.replace(plain, **changes)


def reason(read: Any, held: AccessTable, door: DoorView = DOOR, at: SiteState | None = None, now: datetime = NOW) -> str:
    verdict = decide(read, door, held, at or state("normal"), now)
    return ("+" if isinstance(verdict, Granted) else "-") + verdict.reason


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "+ok"),
        ({"site_id": OTHER}, "-other-site"),
        ({"state": "ended"}, "-ended"),
        ({"state": "pending"}, "-awaiting-escort"),
        ({"badge_id": uid(99), "void_badges": (uid(32),)}, "-void"),
        ({"badge_id": None, "void_badges": (uid(32),)}, "-void"),
        ({"badge_id": None, "void_badges": (uid(32),), "state": "ended"}, "-ended"),
        ({"valid_from": NOW + timedelta(seconds=1)}, "-not-yet"),
        ({"valid_from": NOW}, "+ok"),
        ({"valid_until": NOW}, "-expired"),
        ({"valid_until": NOW + timedelta(microseconds=1)}, "+ok"),
        ({"zones": frozenset({OTHER_ZONE})}, "-outside-zone"),
        ({"zones": frozenset()}, "-outside-zone"),
        ({"escorted": True}, "-awaiting-escort"),
        ({"escorted": True, "escort_id": ESCORT}, "-escort-first"),
    ],
)
def test_a_visitors_badge(changes: dict[str, Any], said: str) -> None:
    assert reason(badge(), table(credential(**changes))) == said


def test_the_tokens_own_end_counts_beside_the_rows() -> None:
    assert reason(badge(until=NOW), table(credential(valid_until=NOW + HOUR))) == "-expired"


def test_a_badge_that_the_table_does_not_hold() -> None:
    assert reason(badge(), table()) == "-unknown-badge"
    assert reason(badge(site=OTHER), table()) == "-other-site"
    assert reason(badge(until=NOW - HOUR), table()) == "-expired"
    assert reason(badge(kind="invitation"), table(credential())) == "-unknown-badge"
    assert reason(NotOurs("unknown-badge"), table(credential())) == "-unknown-badge"
    assert reason(KeyedCard(b"other"), table(standing=(card(),))) == "-unknown-card"


def test_a_badge_of_one_kind_never_passes_as_another() -> None:
    held = table(credential(), emergency())
    assert reason(badge(uid(50)), held, at=state("lockdown")) == "-unknown-badge"
    assert reason(badge(uid(32), kind="emergency"), held, at=state("lockdown")) == "-unknown-badge"


@pytest.mark.parametrize("site_state", STATES)
def test_each_holder_in_each_state(site_state: str) -> None:
    held = table(credential(), emergency(), standing=(card(), officer(identifier=b"officer", id=uid(42))))
    calm = site_state == "normal"
    at = state(site_state)
    assert reason(badge(), held, at=at) == ("+ok" if calm else "-incident")
    assert reason(KeyedCard(b"card"), held, at=at) == "+ok"
    assert reason(KeyedCard(b"officer"), held, at=at) == ("-no-incident" if calm else "+police")
    assert reason(badge(uid(50), kind="emergency"), held, at=at) == ("-incident-over" if calm else "+police")


@pytest.mark.parametrize("site_state", STATES[1:])
@pytest.mark.parametrize("zone", [ZONE, OTHER_ZONE, uid(77)])
@pytest.mark.parametrize("exercise", [False, True])
def test_the_police_open_every_controlled_door_of_the_site_whatever_its_zone(site_state: str, zone: UUID, exercise: bool) -> None:
    held = table(emergency(), standing=(officer(),))
    door = DoorView(uid(20), SITE, zone)
    at = state(site_state, exercise=exercise)
    assert reason(KeyedCard(b"card"), held, door, at) == "+police"
    assert reason(badge(uid(50), kind="emergency"), held, door, at) == "+police"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"site_id": OTHER}, "-other-site"),
        ({"incident_id": OLD_INCIDENT}, "-incident-over"),
        ({"state": "ended"}, "-incident-over"),
        ({"state": "pending"}, "-not-yet"),
        ({"valid_until": NOW}, "-expired"),
        ({"valid_from": NOW + HOUR}, "-not-yet"),
    ],
)
def test_an_emergency_credential_is_for_its_incident_site_and_time(changes: dict[str, Any], said: str) -> None:
    assert reason(badge(uid(50), kind="emergency"), table(emergency(**changes)), at=state("lockdown")) == said


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (card(revoked=True), "-revoked"),
        (card(valid_until=NOW), "-expired"),
        (card(valid_from=NOW + HOUR), "-not-yet"),
        (card(site_id=OTHER), "-other-site"),
        (officer(revoked=True), "-revoked"),
        (officer(valid_until=NOW), "-expired"),
    ],
)
def test_a_standing_card_that_does_not_count(made: StandingCredential, said: str) -> None:
    assert reason(KeyedCard(b"card"), table(standing=(made,)), at=state("lockdown")) == said


def test_a_card_given_to_somebody_else_after_it_was_revoked_is_theirs() -> None:
    rows = (card(id=uid(1), revoked=True), card(id=uid(2), staff_id=uid(88)))
    for order in itertools.permutations(rows):
        verdict = decide(KeyedCard(b"card"), DOOR, table(standing=order), state("normal"), NOW)
        assert isinstance(verdict, Granted) and verdict.staff_id == uid(88)


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(0), "+ok"),
        (ESCORT_WINDOW, "+ok"),
        (ESCORT_WINDOW + timedelta(milliseconds=1), "-escort-first"),
        (-timedelta(milliseconds=1), "-escort-first"),
    ],
)
def test_an_escorted_visitor_opens_right_after_their_escort_only(ago: timedelta, said: str) -> None:
    held = table(credential(escorted=True, escort_id=ESCORT))
    assert reason(badge(), held, DoorView(uid(20), SITE, ZONE, {ESCORT: NOW - ago})) == said
    assert reason(badge(), held, DoorView(uid(20), SITE, ZONE, {uid(99): NOW})) == "-escort-first"


def test_the_state_of_another_site_is_never_taken_for_the_doors() -> None:
    assert isinstance(decide(badge(), DOOR, table(credential()), state("normal", site=OTHER), NOW), Denied)


def test_every_reason_has_a_sentence_that_a_person_can_act_on() -> None:
    source = ast.parse(Path(visitor.doors.decision.__file__).read_text("utf-8"))
    codes = {
        call.args[0].value
        for call in ast.walk(source)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ("Denied", "Granted", "no")
        and call.args and isinstance(call.args[0], ast.Constant)
    }
    assert codes and codes <= set(REASONS)
    assert all(text.endswith(".") and len(text) > 4 for text in REASONS.values())


def test_leaving_is_not_decided_here() -> None:
    """No read, door or verdict knows a direction: there is nothing that could hold anybody in."""
    fields = {name for cls in (DoorView, TokenRead, KeyedCard, NotOurs, Granted, Denied) for name in cls.__struct_fields__}
    assert not {f for f in fields if "egress" in f or "exit" in f or "direction" in f}


@given(st.binary(max_size=40), st.sampled_from(STATES))
@settings(max_examples=50)
def test_an_unknown_card_opens_nothing(identifier: bytes, name: str) -> None:
    held = table(credential(), emergency())
    assert isinstance(decide(KeyedCard(identifier), DOOR, held, state(name), NOW), Denied)


class Doors(RuleBasedStateMachine):
    """Visitors, escorts, officers and incidents at a site of two zones, against a model that only keeps what happened."""

    visits = Bundle("visits")
    officers = Bundle("officers")

    @initialize()
    def begin(self) -> None:
        self.now = NOW
        self.table = AccessTable()
        self.standing: list[StandingCredential] = [card(identifier=b"escort")]
        self.table.put_standing(self.standing)
        self.state = state("normal")
        self.taps: dict[UUID, dict[UUID, datetime]] = {ZONE: {}, OTHER_ZONE: {}}
        self.numbers = itertools.count(1000)
        self.incident: UUID | None = None

    def door(self, zone: UUID) -> DoorView:
        return DoorView(zone, SITE, zone, dict(self.taps[zone]))

    @rule(
        target=visits, zones=st.sets(st.sampled_from([ZONE, OTHER_ZONE])), escorted=st.booleans(),
        minutes=st.integers(1, 300), here=st.booleans(),
    )
    def check_in(self, zones: set[UUID], escorted: bool, minutes: int, here: bool) -> UUID:
        number = uid(next(self.numbers))
        self.table.put(
            VisitCredential(
                number, SITE if here else OTHER, number, number, (), frozenset(zones), escorted, None,
                "pending" if escorted else "active", self.now, self.now + timedelta(minutes=minutes),
            )
        )
        return number

    def change(self, visit: UUID, **changes: Any) -> None:
        self.table.put(msgspec.structs.replace(self.table.visits[visit], **changes))

    @rule(visit=visits)
    def escort_accepts(self, visit: UUID) -> None:
        row = self.table.visits[visit]
        if row.escorted and row.state == "pending":
            self.change(visit, state="active", escort_id=ESCORT)

    @rule(visit=visits)
    def check_out(self, visit: UUID) -> None:
        self.change(visit, state="ended", badge_id=None, void_badges=(visit,))

    @rule(visit=visits)
    def void_badge(self, visit: UUID) -> None:
        self.change(visit, badge_id=None, void_badges=(visit,))

    @rule(name=st.sampled_from(STATES[1:]), drill=st.booleans())
    def declare(self, name: str, drill: bool) -> None:
        if self.incident is None:
            self.incident = uid(next(self.numbers))
        self.state = state(name, self.incident, exercise=drill)

    @rule()
    def resolve(self) -> None:
        self.incident, self.state = None, state("normal")

    @rule(target=officers, has_card=st.booleans())
    def officer_comes(self, has_card: bool) -> tuple[bool, UUID, UUID | None]:
        number = uid(next(self.numbers))
        if has_card:
            self.standing.append(officer(identifier=number.bytes, id=number))
            self.table.put_standing(self.standing)
        elif self.incident is not None:
            until = self.now + 4 * HOUR
            self.table.put(EmergencyCredential(number, SITE, self.incident, "active", self.now, until))
        return has_card, number, self.incident

    @rule(minutes=st.integers(0, 90), seconds=st.integers(0, 59))
    def time_passes(self, minutes: int, seconds: int) -> None:
        self.now += timedelta(minutes=minutes, seconds=seconds)

    @rule(zone=st.sampled_from([ZONE, OTHER_ZONE]))
    def escort_taps(self, zone: UUID) -> None:
        verdict = decide(KeyedCard(b"escort"), self.door(zone), self.table, self.state, self.now)
        assert isinstance(verdict, Granted) and verdict.staff_id == ESCORT
        self.taps[zone][ESCORT] = self.now

    @rule(visit=visits, zone=st.sampled_from([ZONE, OTHER_ZONE]), wait=st.integers(0, 30))
    def visitor_taps(self, visit: UUID, zone: UUID, wait: int) -> None:
        self.now += timedelta(seconds=wait)
        row = self.table.visits[visit]
        read = TokenRead(Claims("badge", visit, row.site_id, row.valid_from, row.valid_until))
        verdict = decide(read, self.door(zone), self.table, self.state, self.now)
        if isinstance(verdict, Granted):
            assert self.incident is None and self.state.state == "normal"
            assert row.state == "active" and row.badge_id == visit and row.site_id == SITE
            assert zone in row.zones and row.valid_from <= self.now < row.valid_until
            if row.escorted:
                assert row.escort_id == ESCORT
                assert timedelta(0) <= self.now - self.taps[zone][ESCORT] <= ESCORT_WINDOW
        else:
            # And nobody is kept out who has every right: a door that denies everybody would pass the rest.
            rights = (
                self.incident is None and row.state == "active" and row.badge_id == visit and row.site_id == SITE and zone in row.zones
                and self.now < row.valid_until
            )
            escorted_in = not row.escorted or self.now - self.taps[zone].get(ESCORT, NOW - 10 * HOUR) <= ESCORT_WINDOW
            assert not (rights and escorted_in), verdict.reason

    @rule(who=officers, zone=st.sampled_from([ZONE, OTHER_ZONE]))
    def police_tap(self, who: tuple[bool, UUID, UUID | None], zone: UUID) -> None:
        has_card, number, issued_in = who
        row = self.table.emergency.get(number)
        read = KeyedCard(number.bytes) if has_card else TokenRead(Claims("emergency", number, SITE, NOW, self.now + HOUR))
        verdict = decide(read, self.door(zone), self.table, self.state, self.now)
        if self.incident is None:
            assert isinstance(verdict, Denied)
        elif has_card:
            assert isinstance(verdict, Granted) and verdict.reason == "police"
        else:
            lives = row is not None and issued_in == self.incident and self.now < row.valid_until
            assert isinstance(verdict, Granted) == lives

    @invariant()
    def another_schools_door_takes_nothing_of_ours(self) -> None:
        if not hasattr(self, "table"):
            return
        door = DoorView(uid(21), uid(9), ZONE)
        for row in self.table.visits.values():
            read = TokenRead(Claims("badge", row.id, row.site_id, row.valid_from, row.valid_until))
            assert isinstance(decide(read, door, self.table, state("normal", site=uid(9)), self.now), Denied)


TestDoors = Doors.TestCase
TestDoors.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

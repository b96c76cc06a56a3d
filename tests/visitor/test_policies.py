"""Policies: the pure rule row by row, and purposes as versions."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.listings import Listings
from visitor.errors import NotFound
from visitor.events import SYNC
from visitor.ids import new_id
from visitor.policies import store
from visitor.policies.models import DEFAULT, Purpose, PurposeProblem, check
from visitor.policies.policy import SENTENCES, Approved, DocumentFacts, Held, Refused, decide, held_by, plan
from visitor.screening.models import Clear, MatchRow, PossibleMatch, Unavailable

CHICAGO = ZoneInfo("America/Chicago")
NOON = datetime(2026, 3, 10, 17, 0, tzinfo=UTC)  # noon in Chicago
MEETING = Purpose("meeting", "Meeting", "Reunión", 120, ("Office", "Library"))
GOOD = DocumentFacts("none", date(2030, 1, 1), date(1980, 1, 1))
MATCH = MatchRow(new_id(), "F-1", "offenders", 31.0, "red", {"family": 20.0}, (), ("x",), ("x",), "00")
CLEAR = Clear({"offenders": 1})
FOUND = PossibleMatch({"offenders": 1}, (MATCH,))
AWAY = Unavailable({}, "list-stale", "A required list is too old.")


def ruled(
    purpose: Purpose = MEETING, verdict: Any = CLEAR, document: DocumentFacts | None = GOOD, state: Any = "normal", now: datetime = NOON,
    **known: bool,
) -> Any:
    return decide(purpose, verdict, document, state, now, CHICAGO, **known)


def changed(**fields: Any) -> DocumentFacts:
    return msgspec.structs.replace(GOOD, **fields)


def purpose(**fields: Any) -> Purpose:
    return msgspec.structs.replace(MEETING, **fields)


def test_a_clear_visitor_with_a_sound_document_is_approved() -> None:
    assert ruled() == Approved(("Office", "Library"), NOON + timedelta(hours=2), escort_required=False)


@pytest.mark.parametrize(
    ("given_facts", "reason"),
    [
        ({"verdict": FOUND}, "possible-match"),
        ({"verdict": AWAY}, "screening-unavailable"),
        ({"document": None}, "no-document"),
        ({"document": changed(expiry_date=date(2026, 3, 9))}, "document-expired"),
        ({"document": changed(warnings=frozenset({"check_digit_wrong"}))}, "document-doubtful"),
        ({"purpose": purpose(proof="chip")}, "document-not-proved"),
        ({"purpose": purpose(proof="signature"), "document": changed(proof="check_digits")}, "document-not-proved"),
        ({"verdict": Clear({}, by_name_only=True), "document": changed(birth_date=None)}, "no-birth-date"),
        ({"verdict": Clear({}, by_name_only=True), "document": None, "purpose": purpose(document_required=False)}, "no-birth-date"),
        ({"document": changed(birth_date=date(2008, 3, 11))}, "under-age"),
        ({"purpose": purpose(auto_approve=False)}, "needs-staff"),
        ({"state": "hold"}, "incident"),
        ({"state": "secure"}, "incident"),
        ({"state": "shelter"}, "incident"),
    ],
)
def test_each_reason_by_itself_holds(given_facts: dict[str, Any], reason: str) -> None:
    verdict = ruled(**given_facts)
    assert isinstance(verdict, Held) and verdict.reason == reason and verdict.sentence.startswith(SENTENCES[reason])


def test_what_is_enough_is_not_held() -> None:
    for facts in (
        {"document": changed(expiry_date=date(2026, 3, 10))},
        {"document": changed(expiry_date=None)},
        {"document": changed(birth_date=date(2008, 3, 10))},
        {"document": changed(birth_date=date(2015, 1, 1)), "purpose": purpose(minors_alone=True)},
        {"document": changed(warnings=frozenset({"century_guessed", "no_expiry"}))},
        {"document": changed(proof="chip"), "purpose": purpose(proof="signature")},
        {"document": changed(proof="chip", birth_date=None), "verdict": Clear({}, by_name_only=True)},
        {"document": None, "purpose": purpose(document_required=False)},
        {"verdict": Clear({"offenders": 1}, (msgspec.structs.replace(MATCH, cleared_before=new_id()),))},
    ):
        assert isinstance(ruled(**facts), Approved), facts


def test_the_reason_for_no_screening_reaches_the_desk() -> None:
    assert ruled(verdict=AWAY).sentence.endswith("A required list is too old.")


def test_nobody_is_let_in_during_a_lockdown_or_an_evacuation() -> None:
    assert ruled(state="lockdown") == Refused("incident") == ruled(state="evacuate", verdict=FOUND)


@given(
    st.sampled_from([FOUND, AWAY]), st.sampled_from(["normal", "hold", "secure", "lockdown", "evacuate", "shelter"]),
    st.sampled_from(DEFAULT), st.booleans(), st.booleans(),
)
def test_no_combination_approves_whoever_is_not_clear(verdict: Any, state: Any, one: Purpose, documented: bool, known: bool) -> None:
    open_to_all = msgspec.structs.replace(one, auto_approve=True, document_required=False)
    assert not isinstance(ruled(open_to_all, verdict, GOOD if documented else None, state, known=known), Approved)


def test_no_stay_runs_past_the_schools_midnight() -> None:
    late = datetime(2026, 3, 11, 4, 30, tzinfo=UTC)  # half past eleven in the evening in Chicago
    assert plan(purpose(minutes=240), late, CHICAGO).valid_until == datetime(2026, 3, 11, 5, 0, tzinfo=UTC)
    # The night the clocks go forward has 23 hours: its midnight is an hour of UTC earlier than the one before.
    before = datetime(2026, 3, 8, 20, 0, tzinfo=UTC)
    assert plan(purpose(minutes=1440), before, CHICAGO).valid_until == datetime(2026, 3, 9, 5, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("escort", "known", "needed"),
    [("never", False, False), ("always", True, True), ("unless-known", False, True), ("unless-known", True, False)],
)
def test_an_escort_is_asked_where_the_purpose_says(escort: Any, known: bool, needed: bool) -> None:
    verdict = ruled(purpose(escort=escort), known=known)
    assert isinstance(verdict, Approved) and verdict.escort_required is needed


def test_a_screening_holds_by_its_own_code() -> None:
    assert (held_by(CLEAR), held_by(FOUND), held_by(AWAY)) == (None, "possible-match", "screening-unavailable")


@pytest.mark.parametrize(
    "wrong",
    [
        (), (MEETING, MEETING), (purpose(key="Meeting!"),), (purpose(key=""),), (purpose(label_es=" "),), (purpose(minutes=0),),
        (purpose(minutes=100_000),), (purpose(zones=("",)),), tuple(purpose(key=f"p{i}") for i in range(51)),
    ],
    ids=["none", "twice", "odd key", "no key", "no Spanish", "no time", "too long", "empty zone", "too many"],
)
def test_purposes_that_could_not_be_offered_are_refused(wrong: tuple[Purpose, ...]) -> None:
    with pytest.raises(PurposeProblem):
        check(wrong)


async def test_a_new_district_has_the_usual_purposes(lists: Listings) -> None:
    policy = await lists.node.policies.current()
    assert policy.version == 1 and [p.key for p in policy.purposes] == ["meeting", "pickup", "volunteer", "delivery", "contractor"]
    check(policy.purposes)


async def test_a_change_is_the_next_version_and_the_old_one_stays_readable(lists: Listings) -> None:
    policies = lists.node.policies
    before = await policies.current()
    admin = await lists.client("admin")
    answer = await admin.put("/api/v1/purposes", json={"purposes": [{"key": "tour", "label_en": "Tour", "label_es": "Visita guiada"}]})
    assert answer.status_code == 200 and answer.json()["version"] == 2
    station = await lists.client("desk", lists.site.id)
    shown = (await station.get("/api/v1/purposes")).json()
    assert [p["key"] for p in shown["purposes"]] == ["tour"] and shown["purposes"][0]["escort"] == "never"
    assert await policies.version(before.id) == before
    async with lists.node.db.connection() as conn:
        row = await conn.fetchrow("select actor, detail from audit where action = 'policy.set'")
    assert row["actor"].startswith("token:") and row["detail"] == {"version": 2, "purposes": 1}
    with pytest.raises(NotFound):
        await policies.version(new_id())


async def test_purposes_take_an_administrator_of_every_school(lists: Listings) -> None:
    body = {"purposes": [{"key": "tour", "label_en": "Tour", "label_es": "Visita"}]}
    for role, site in (("desk", None), ("hall", None), ("admin", lists.site.id)):
        assert (await (await lists.client(role, site)).put("/api/v1/purposes", json=body)).status_code == 403
    wrong = await (await lists.client("admin")).put("/api/v1/purposes", json={"purposes": [{**body["purposes"][0], "minute": 5}]})
    assert wrong.status_code == 400 and (await lists.node.policies.current()).version == 1


async def test_an_older_reading_of_the_purposes_never_takes_the_place_of_a_newer_one(
    lists: Listings, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies, read = lists.node.policies, store.current
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def held_back(conn: Any) -> Any:
        found = await read(conn)
        if not begun.is_set():
            begun.set()
            await go_on.wait()
        return found

    async def change() -> None:
        async with lists.node.db.transaction() as tx:
            await policies.set(tx, (MEETING,), "system")

    monkeypatch.setattr(store, "current", held_back)
    older = asyncio.create_task(lists.node.bus.tell(SYNC))
    await begun.wait()
    newer = asyncio.create_task(change())
    await asyncio.wait({newer}, timeout=0.5)  # it may wait for the older one, or be in force before it ends
    go_on.set()
    await asyncio.gather(older, newer)
    assert (await policies.current()).version == 2


async def test_two_starts_at_once_write_one_first_version(lists: Listings) -> None:
    async with lists.node.db.transaction() as tx:
        await tx.conn.execute("delete from policies")
    await asyncio.gather(*(lists.node.policies.start() for _ in range(4)))
    async with lists.node.db.connection() as conn:
        assert await conn.fetchval("select count(*) from policies") == 1

"""The hall: whether a badge's bearer may be here, and people without one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from visitor.hall.models import REASONS, BadgeFacts, judge
from visitor.ids import new_id

NOW = datetime(2026, 5, 4, 15, 0, tzinfo=UTC)
HERE, ELSEWHERE = UUID(int=1), UUID(int=2)
FACTS = BadgeFacts(
    site_id=UUID(int=9), badge_id=UUID(int=3), badge_number=7, badge_status="printed", expires_at=NOW + timedelta(hours=1),
    visit_id=UUID(int=4), visit_status="on_site", purpose="meeting", zones=(HERE,), escort_required=False,
    valid_until=NOW + timedelta(hours=1), checked_in_at=NOW, given_name="Aisha", family_name="Bello", has_photo=False, host="",
    host_place="", escort="", escort_place="",
)


@pytest.mark.parametrize(
    ("changes", "zone", "said"),
    [
        ({}, None, "+ok"),
        ({}, HERE, "+ok"),
        ({}, ELSEWHERE, "-outside-zone"),
        ({"badge_status": "issued"}, None, "+ok"),
        ({"badge_status": "void"}, None, "-void"),
        ({"badge_status": "void", "visit_status": "checked_out"}, None, "-checked-out"),
        ({"visit_status": "checked_out"}, None, "-checked-out"),
        ({"visit_status": "presumed_left"}, None, "-checked-out"),
        ({"visit_status": "removed"}, None, "-removed"),
        ({"visit_status": "refused"}, None, "-not-approved"),
        ({"visit_status": "cancelled"}, None, "-not-approved"),
        ({"visit_status": "held"}, None, "-not-approved"),
        ({"visit_status": "awaiting_escort", "escort_required": True}, None, "-awaiting-escort"),
        ({"escort_required": True}, None, "-awaiting-escort"),
        ({"escort_required": True, "escort": "Pat"}, HERE, "+with-escort"),
        ({"valid_until": NOW}, None, "-expired"),
        ({"expires_at": NOW}, None, "-expired"),
    ],
)
def test_whether_a_bearer_may_be_here(changes: dict[str, Any], zone: UUID | None, said: str) -> None:
    verdict, reason = judge(msgspec.structs.replace(FACTS, **changes), zone, NOW)
    assert ("+" if verdict == "here-legitimately" else "-") + reason == said
    assert reason in REASONS


async def check(school: Any, token: str, place: str = "", role: str = "hall", site: Any = None) -> dict[str, Any]:
    body = {"token": token, "site_id": str((site or school.site).id), "place": place}
    answer = await school.post("/api/v1/badge-checks", body, role=role)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_the_phone_is_told_everything_it_shows(school: Any) -> None:
    visit = await school.visit(zones=["Office", "Library"], minutes=48.5)
    answer = await check(school, visit.token, str(school.zones["Library"].id))
    assert (answer["verdict"], answer["reason"]) == ("here-legitimately", "ok")
    assert answer["minutes_left"] == 48 and answer["message"] == REASONS["ok"]
    shown = answer["visitor"]
    assert shown["name"] == "Aisha Bello" and shown["initials"] == "AB" and shown["host"] == "Pat Lindqvist"
    assert shown["zones"] == ["Office", "Library"] and shown["purpose"] == "meeting" and shown["photo"] is None
    assert answer["escort"] == {"required": False, "name": "", "place": ""}


async def test_a_zone_is_held_against_the_visits_zones_and_words_are_only_kept(school: Any) -> None:
    visit = await school.visit(zones=["Office"])
    assert (await check(school, visit.token, str(school.zones["Library"].id).upper()))["reason"] == "outside-zone"
    assert (await check(school, visit.token, str(school.zones["Office"].id)))["reason"] == "ok"
    assert (await check(school, visit.token, "Library"))["reason"] == "ok"
    assert (await check(school, visit.token, str(new_id())))["reason"] == "ok"
    async with school.node.db.connection() as conn:
        kept = [r["place"] for r in await conn.fetch("select place from badge_checks order by id")]
    assert kept[:3] == ["Library", "Office", "Library"]


async def test_an_escorted_visitor_is_shown_with_the_escorts_name(school: Any) -> None:
    visit = await school.visit(escorted=True)
    assert (await check(school, visit.token))["reason"] == "awaiting-escort"
    await school.accept_escort(visit)
    answer = await check(school, visit.token)
    assert (answer["verdict"], answer["reason"]) == ("here-legitimately", "with-escort")
    assert answer["escort"] == {"required": True, "name": "Pat Lindqvist", "place": "Room 12"}


async def test_after_check_out_and_reprint_the_old_badge_says_why_it_does_not_count(school: Any) -> None:
    visit = await school.visit()
    new = await school.reprint(visit)
    assert (await check(school, visit.token))["reason"] == "void"
    assert (await check(school, new))["verdict"] == "here-legitimately"
    await school.end(visit)
    answer = await check(school, new)
    assert (answer["verdict"], answer["reason"]) == ("not-here", "checked-out")
    assert answer["visitor"]["name"] == "Aisha Bello" and "minutes_left" not in answer


async def test_another_schools_badge_shows_nobody(school: Any) -> None:
    visit = await school.visit()
    async with school.node.db.transaction() as tx:
        school.tokens["other_hall"] = await school.node.accounts.machine_token(tx, "h", "hall", school.other.id)
    answer = await check(school, visit.token, role="other_hall", site=school.other)
    assert (answer["verdict"], answer["reason"]) == ("not-here", "other-site")
    assert "visitor" not in answer and "Bello" not in str(answer)
    body = {"token": visit.token, "site_id": str(school.site.id), "place": ""}
    assert (await school.post("/api/v1/badge-checks", body, role="other_hall")).status_code == 404


@pytest.mark.parametrize("token", ["", "hello", "VB1:", "VB1:00", "https://example.org/", "VB1:" + "9" * 4000, "\u0000☃"])
async def test_anything_may_be_scanned(school: Any, token: str) -> None:
    answer = await check(school, token)
    assert (answer["verdict"], answer["reason"]) == ("not-here", "unknown-badge")


async def test_an_officers_credential_is_no_visitors_badge(school: Any) -> None:
    incident = await school.declare("lockdown")
    issued = await school.emergency_credential(incident)
    assert (await check(school, issued["token"]))["reason"] == "emergency-credential"


async def test_a_check_is_kept_where_the_visitor_was_seen_and_in_the_audit(school: Any) -> None:
    visit = await school.visit()
    await check(school, visit.token, "  Gym,   east door ")
    await check(school, "nonsense", "Gym")
    people = (await school.get(f"/api/v1/sites/{school.site.id}/on-site", role="respond")).json()["people"]
    assert people[0]["last_place"] == "Gym, east door" and people[0]["last_seen"]
    async with school.node.db.connection() as conn:
        rows = await conn.fetch("select verdict, reason, visit_id from badge_checks order by id")
        logged = await conn.fetch("select detail from audit where action = 'badge_check.made' order by id")
    assert [(r["verdict"], r["visit_id"]) for r in rows] == [("here-legitimately", visit.id), ("not-here", None)]
    assert logged[0]["detail"]["visit"] == str(visit.id) and len(logged) == 2


async def test_during_an_incident_the_phone_is_told_of_it(school: Any) -> None:
    visit = await school.visit()
    await school.declare("hold")
    answer = await check(school, visit.token)
    assert answer["incident"] == "hold" and answer["verdict"] == "here-legitimately"


async def test_a_person_without_a_badge_reaches_the_desk_which_closes_it(school: Any) -> None:
    async with school.node.bus.subscribe() as told:
        body = {"site_id": str(school.site.id), "place": "Gym", "description": "tall, red jacket", "outcome": "walked-to-office"}
        made = await school.post("/api/v1/challenges", body, role="hall")
        assert made.status_code == 201
        seen = []
        while not told.empty():
            seen.append(told.get_nowait().topic)
        assert "challenges" in seen
    challenge = made.json()["challenge"]
    listed = (await school.get(f"/api/v1/challenges?site={school.site.id}", role="desk")).json()["challenges"]
    assert [c["id"] for c in listed] == [challenge["id"]] and listed[0]["description"] == "tall, red jacket"
    path = f"/api/v1/challenges/{challenge['id']}/close"
    assert (await school.post(path, {}, role="hall")).status_code == 403
    assert (await school.post(path, {}, role="other_desk")).status_code == 404
    assert (await school.post(path, {}, role="desk")).status_code == 200
    again = await school.post(path, {}, role="desk")
    assert again.status_code == 409 and again.json()["type"] == "challenge-closed"
    assert (await school.get(f"/api/v1/challenges?site={school.site.id}", role="desk")).json()["challenges"] == []
    assert len((await school.get(f"/api/v1/challenges?site={school.site.id}&all=true", role="desk")).json()["challenges"]) == 1
    async with school.node.db.connection() as conn:
        details = await conn.fetch("select detail from audit where subject_kind = 'challenge'")
    assert len(details) == 2 and "jacket" not in str([dict(d) for d in details])


@pytest.mark.parametrize("field", ["place", "description", "outcome"])
async def test_text_that_the_database_cannot_hold_is_refused_not_a_defect(school: Any, field: str) -> None:
    body = {"site_id": str(school.site.id), "place": "Gym", "description": "", "outcome": "", field: "a\u0000b"}
    answer = await school.post("/api/v1/challenges", body, role="hall")
    assert answer.status_code == 400 and answer.json()["type"] == "bad-input"
    async with school.node.db.connection() as conn:
        assert await conn.fetchval("select count(*) from audit where subject_kind = 'challenge'") == 0


async def test_a_challenge_needs_a_place_and_a_school_of_ones_own(school: Any) -> None:
    body = {"site_id": str(school.site.id), "place": "  ", "description": "", "outcome": ""}
    assert (await school.post("/api/v1/challenges", body, role="hall")).status_code == 400
    assert (await school.post("/api/v1/challenges", {**body, "place": "x" * 300}, role="hall")).status_code == 400
    assert (await school.post("/api/v1/challenges", {**body, "place": "Gym"}, role="other_desk")).status_code == 404
    assert (await school.post("/api/v1/challenges", {**body, "place": "Gym", "site_id": str(new_id())}, role="hall")).status_code == 404

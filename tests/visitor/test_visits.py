"""The journey of a visit through the API: check-in, screening, decision, badge, escort, check-out."""

from __future__ import annotations

import asyncio
import base64
import json
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.waiting import until
from visitor.visits.models import FOLLOWS, OPEN, message

MATCH = {"family_name": "Reyes", "given_name": "Daniel", "middle_names": ["Ortega"], "birth_date": "1986-03-14", "sex": "M", "number": "X1"}


@pytest.fixture
def school(oak_school: Any) -> Any:
    return oak_school


async def _checked_in(school: Any, client: str = "desk", **document: Any) -> dict[str, Any]:
    answer = await school.clients[client].post("/api/v1/check-ins", json=school.check_in_body(**document))
    assert answer.status_code == 201, answer.text
    visit: dict[str, Any] = answer.json()["visit"]
    return visit


async def test_a_clear_visitor_is_on_site_with_a_badge(school: Any) -> None:
    visit = await _checked_in(school)
    assert visit["status"] == "on_site" and visit["screening"]["outcome"] == "clear" and visit["screening"]["matches"] == []
    assert visit["badge"]["token"].startswith("VB1:") and visit["zones"] == ["Office", "Library"] and not visit["escort_required"]
    assert visit["message"] == "Welcome, Julia. Your badge is printing."
    again = (await school.desk.get(f"/api/v1/visits/{visit['id']}")).json()["visit"]
    assert again == visit


async def test_a_list_of_visits_costs_the_same_queries_however_long_it_is(school: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: ContextVar[list[str] | None] = ContextVar("asked", default=None)  # the node's own loops ask things too, in theirs
    execute = asyncpg.Connection._execute

    async def counted(self: Any, query: str, *rest: Any, **options: Any) -> Any:
        if (queries := asked.get()) is not None:
            queries.append(query)
        return await execute(self, query, *rest, **options)

    async def listed() -> tuple[list[dict[str, Any]], int]:
        await school.desk.get("/api/v1/visits")  # from here on the token is known
        queries: list[str] = []
        before = asked.set(queries)
        try:
            visits = (await school.desk.get("/api/v1/visits")).json()["visits"]
        finally:
            asked.reset(before)
        return visits, len(queries)

    first = await _checked_in(school, **MATCH)
    monkeypatch.setattr(asyncpg.Connection, "_execute", counted)
    monkeypatch.setattr("visitor.accounts.service._CACHE_SECONDS", 3600.0)
    one, few = await listed()
    assert [visit["id"] for visit in one] == [first["id"]] and 0 < few < 10
    made = [first]
    for number in range(6):
        document = {"family_name": f"Visitor {'ABCDEF'[number]}", "number": f"N{number}"}
        body = school.check_in_body(**document) | ({"host_id": None, "purpose": "delivery"} if number % 2 else {})
        made.append((await school.desk.post("/api/v1/check-ins", json=body)).json()["visit"])
    await school.desk.post(f"/api/v1/visits/{made[1]['id']}/check-out")
    async with school.node.db.transaction() as tx:
        await tx.conn.execute("update staff set retired_at = now() where id = $1", school.host)
        tx.notify("staff", school.oak, school.host)
    many, as_many = await listed()
    assert as_many == few and [visit["id"] for visit in many] == [visit["id"] for visit in reversed(made)]
    assert {visit["host"] for visit in many} == {"", "(no longer here)"}
    for visit in many:
        assert (await school.desk.get(f"/api/v1/visits/{visit['id']}")).json()["visit"] == visit
    assert {(visit["status"], visit["badge"] is None) for visit in many} == {("held", True), ("checked_out", True), ("on_site", False)}
    assert [visit["screening"]["matches"] != [] for visit in many] == [False] * 6 + [True]


async def test_a_station_is_told_a_message_and_nothing_else(school: Any) -> None:
    for document in ({}, MATCH):
        visit = await _checked_in(school, "station", **document)
        assert set(visit) == {"id", "status", "message"}
    assert visit["status"] == "held" and visit["message"] == "Thank you, Daniel. Please wait a moment; the front office will be with you."
    seen = (await school.station.get(f"/api/v1/visits/{visit['id']}")).json()["visit"]
    assert set(seen) == {"id", "status", "message"}


async def test_a_possible_match_is_decided_before_the_visit(school: Any) -> None:
    visit = await _checked_in(school, **MATCH)
    assert visit["status"] == "held" and visit["reason"] == "possible-match" and visit["badge"] is None
    match = visit["screening"]["matches"][0]
    assert match["entry_id"] == "F-1" and match["list"] == "offenders" and match["bits"] > 20 and match["evidence"]
    path = f"/api/v1/visits/{visit['id']}"
    early = await school.desk.post(f"{path}/approve", json={"reason": "known to us"})
    assert early.status_code == 409 and early.json()["type"] == "screening-undecided"
    decided = await school.desk.post(
        f"/api/v1/screenings/{visit['screening']['id']}/decision", json={"outcome": "cleared", "reason": "another person, photo compared"}
    )
    assert decided.status_code == 200, decided.text
    approved = await school.desk.post(f"{path}/approve", json={"reason": "not the same person"})
    assert approved.status_code == 200 and approved.json()["visit"]["status"] == "on_site"
    assert approved.json()["visit"]["badge"]["token"].startswith("VB1:")


async def test_a_confirmed_match_can_only_be_refused(school: Any) -> None:
    visit = await _checked_in(school, **MATCH)
    path = f"/api/v1/visits/{visit['id']}"
    await school.desk.post(f"/api/v1/screenings/{visit['screening']['id']}/decision", json={"outcome": "confirmed", "reason": "same person"})
    assert (await school.desk.post(f"{path}/approve", json={"reason": "let in anyway"})).status_code == 409
    refused = (await school.desk.post(f"{path}/refuse", json={"reason": "on the registry"})).json()["visit"]
    assert refused["status"] == "refused" and refused["badge"] is None
    told = (await school.station.get(path)).json()["visit"]
    assert told["status"] == "held" and "wait a moment" in told["message"]


async def test_the_same_key_gives_the_same_visit_and_another_body_is_refused(school: Any) -> None:
    headers, body = {"idempotency-key": "k-1"}, school.check_in_body()
    first = await school.station.post("/api/v1/check-ins", json=body, headers=headers)
    second = await school.station.post("/api/v1/check-ins", json=body, headers=headers)
    assert first.status_code == second.status_code == 201 and first.json() == second.json()
    other = await school.station.post("/api/v1/check-ins", json=school.check_in_body(number="T7"), headers=headers)
    assert other.status_code == 409 and other.json()["type"] == "idempotency-key-reused"


async def test_a_new_key_for_somebody_on_site_is_a_conflict(school: Any) -> None:
    await _checked_in(school)
    again = await school.desk.post("/api/v1/check-ins", json=school.check_in_body(), headers={"idempotency-key": "k-2"})
    assert again.status_code == 409 and again.json()["type"] == "already-on-site"


async def test_twenty_taps_at_once_make_one_visit(school: Any) -> None:
    body = school.check_in_body()
    same = await asyncio.gather(
        *(school.desk.post("/api/v1/check-ins", json=body, headers={"idempotency-key": "one"}) for _ in range(10)),
    )
    assert {a.status_code for a in same} == {201} and len({a.json()["visit"]["id"] for a in same}) == 1
    different = await asyncio.gather(
        *(school.desk.post("/api/v1/check-ins", json=school.check_in_body(number="T9"), headers={"idempotency-key": str(i)}) for i in range(10)),
    )
    assert sorted(a.status_code for a in different) == [201] + [409] * 9
    async with school.node.db.connection() as conn:
        assert await conn.fetchval("select count(*) from visits") == 2
        assert await conn.fetchval("select count(*) from badges") == 2


async def test_an_escorted_visitor_waits_until_somebody_accepts(school: Any) -> None:
    body = {**school.check_in_body(number="C1"), "purpose": "contractor"}
    visit = (await school.desk.post("/api/v1/check-ins", json=body)).json()["visit"]
    assert visit["status"] == "awaiting_escort" and visit["escort_required"]
    door = school.doors_by_zone["Plant room"]
    tap = await school.clients["doors"].post(f"/api/v1/doors/{door}/taps", json={"token": visit["badge"]["token"]})
    assert tap.json()["verdict"] == "denied"
    stranger = await school.hall.post(f"/api/v1/visits/{visit['id']}/escort/accept", json={"staff_id": str(school.elm_host)})
    assert stranger.status_code in (400, 403, 404, 409)
    accepted = await school.hall.post(f"/api/v1/visits/{visit['id']}/escort/accept", json={"staff_id": str(school.host)})
    assert accepted.status_code == 200 and accepted.json()["visit"]["status"] == "on_site"
    twice = await school.hall.post(f"/api/v1/visits/{visit['id']}/escort/accept", json={"staff_id": str(school.host)})
    assert twice.status_code == 409


async def test_the_badge_opens_the_permitted_doors_and_no_other_and_dies_with_the_visit(school: Any) -> None:
    visit = await _checked_in(school)
    token, doors = visit["badge"]["token"], school.clients["doors"]

    async def tap(zone: str) -> str:
        answer = await doors.post(f"/api/v1/doors/{school.doors_by_zone[zone]}/taps", json={"token": token})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["verdict"])

    assert [await tap(z) for z in ("Office", "Library", "Plant room")] == ["granted", "granted", "denied"]
    check = await school.hall.post("/api/v1/badge-checks", json={"token": token, "site_id": str(school.oak), "place": "east hall"})
    assert check.json()["verdict"] == "here-legitimately"
    out = await school.station.post("/api/v1/check-outs", json={"station_id": str(school.kiosk), "token": token})
    assert out.status_code == 200 and out.json()["visit"]["status"] == "checked_out"
    assert [await tap(z) for z in ("Office", "Library")] == ["denied", "denied"]
    check = await school.hall.post("/api/v1/badge-checks", json={"token": token, "site_id": str(school.oak), "place": "east hall"})
    assert check.json()["verdict"] == "not-here"
    twice = await school.desk.post(f"/api/v1/visits/{visit['id']}/check-out")
    assert twice.status_code == 409 and twice.json()["type"] == "not-on-site"


async def test_another_schools_visit_is_not_there(school: Any) -> None:
    visit = await _checked_in(school)
    elm = school.clients["elm_desk"]
    assert (await elm.get(f"/api/v1/visits/{visit['id']}")).json()["type"] == "not-found"
    assert (await elm.post(f"/api/v1/visits/{visit['id']}/check-out")).status_code == 404
    assert (await elm.get("/api/v1/visits")).json()["visits"] == []
    assert (await elm.get(f"/api/v1/visits?site={school.oak}")).status_code == 404
    wrong = await school.clients["elm_station"].post("/api/v1/check-ins", json=school.check_in_body())
    assert wrong.status_code == 403 and wrong.json()["type"] == "not-this-station"


@pytest.mark.parametrize(
    ("change", "status", "type_"),
    [
        ({"station_id": "00000000-0000-7000-8000-000000000000"}, 400, "unknown-station"),
        ({"purpose": "party"}, 400, "unknown-purpose"),
        ({"host_id": None}, 400, "unknown-host"),
        ({"host_id": "00000000-0000-7000-8000-000000000000"}, 400, "unknown-host"),
        ({"photo": base64.b64encode(b"no image").decode()}, 400, "photo-not-an-image"),
        ({"photo": base64.b64encode(b"\xff\xd8" * 4_500_000).decode()}, 413, "photo-too-large"),
        ({"document": None}, 400, "bad-input"),
        ({"document": None, "scan": {"data": base64.b64encode(b"\x00\x01garbage").decode(), "source": "barcode"}}, 400, "unreadable-scan"),
        ({"document": None, "scan": {"data": "", "source": "barcode"}}, 400, "unreadable-scan"),
        ({"document": None, "scan": {"data": base64.b64encode(b"not a picture").decode(), "source": "camera"}}, 400, "unreadable-scan"),
        ({"document": None, "scan": {"data": "AAAA", "source": "telepathy"}}, 400, "bad-input"),
        ({"document": {"family_name": "\x00\x1f"}}, 400, "bad-input"),
        ({"document": {"family_name": "Ng", "birth_date": "2999-01-01"}}, 400, "bad-input"),
        ({"unknown": 1}, 400, "bad-input"),
    ],
)
async def test_bad_input_gets_its_own_problem_and_writes_nothing(school: Any, change: dict[str, Any], status: int, type_: str) -> None:
    body = {k: v for k, v in {**school.check_in_body(), **change}.items() if v is not None or k == "host_id"}
    answer = await school.desk.post("/api/v1/check-ins", json=body, headers={"idempotency-key": "x"})
    assert (answer.status_code, answer.json()["type"]) == (status, type_), answer.text
    assert answer.headers["content-type"] == "application/problem+json" and answer.json()["detail"]
    async with school.node.db.connection() as conn:
        for table in ("visits", "people", "screenings", "badges", "idempotency_keys", "print_jobs"):
            assert await conn.fetchval(f"select count(*) from {table}") == 0, table


async def test_a_fifty_megabyte_photo_is_refused_before_it_is_read(school: Any) -> None:
    body = json.dumps({**school.check_in_body(), "photo": "A" * 66_000_000})
    answer = await school.desk.post("/api/v1/check-ins", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 413 and answer.json()["type"] == "too-large"


async def test_without_a_list_nobody_is_cleared(school: Any) -> None:
    async with school.node.db.transaction() as tx:
        await tx.conn.execute("update watchlist_revisions set imported_at = now() - interval '90 days'")
        tx.notify("watchlists", school.oak, school.oak)
    visit = await _checked_in(school)
    assert visit["status"] == "held" and visit["reason"] == "screening-unavailable" and visit["screening"]["outcome"] == "unavailable"
    approved = await school.desk.post(f"/api/v1/visits/{visit['id']}/approve", json={"reason": "checked by phone with the district"})
    assert approved.status_code == 200 and approved.json()["visit"]["status"] == "on_site"


async def test_a_held_visitor_is_screened_again_when_the_list_comes_back(school: Any, tmp_path: Path) -> None:
    async with school.node.db.transaction() as tx:
        await tx.conn.execute("update watchlist_revisions set imported_at = now() - interval '90 days'")
        tx.notify("watchlists", school.oak, school.oak)
    visit = await _checked_in(school, **MATCH)
    assert visit["reason"] == "screening-unavailable"
    entry = {"id": "F-1", "names": [{"family": "REYES", "given": "DANIEL", "middle": "ORTEGA"}], "birth_dates": ["1986-03-14"], "sex": "M"}
    file = tmp_path / "again.jsonl"
    file.write_text(json.dumps(entry) + "\n")
    await school.node.registries.import_list("system", "offenders", "entries-jsonl", file, allow_shrink=True)
    now: dict[str, Any] = {}

    async def screened() -> bool:
        now.update((await school.desk.get(f"/api/v1/visits/{visit['id']}")).json()["visit"])
        return now["reason"] == "possible-match"

    await until(screened)
    assert now["reason"] == "possible-match" and now["status"] == "held" and now["screening"]["outcome"] == "possible_match"


async def test_a_reason_is_asked_for(school: Any) -> None:
    held = (await school.desk.post("/api/v1/check-ins", json={**school.check_in_body(number="D1"), "purpose": "delivery"})).json()["visit"]
    assert held["status"] == "held" and held["reason"] == "needs-staff"
    for reason in ("", "   "):
        answer = await school.desk.post(f"/api/v1/visits/{held['id']}/refuse", json={"reason": reason})
        assert answer.status_code == 400 and answer.json()["type"] == "reason-missing"


async def test_the_kiosk_closes_in_an_incident_and_the_desk_still_decides(school: Any) -> None:
    declared = await school.desk.post("/api/v1/incidents", json={"site_id": str(school.oak), "state": "secure", "exercise": True, "note": ""})
    assert declared.status_code == 201, declared.text
    closed = await school.station.post("/api/v1/check-ins", json=school.check_in_body())
    assert closed.status_code == 409 and closed.json()["type"] == "site-closed"
    visit = await _checked_in(school)
    assert visit["status"] == "held" and visit["reason"] == "incident"


async def test_every_step_lands_in_the_audit_without_personal_data(school: Any) -> None:
    visit = await _checked_in(school, **MATCH)
    await school.desk.post(f"/api/v1/screenings/{visit['screening']['id']}/decision", json={"outcome": "cleared", "reason": "not him"})
    await school.desk.post(f"/api/v1/visits/{visit['id']}/approve", json={"reason": "fine"})
    await school.desk.post(f"/api/v1/visits/{visit['id']}/check-out")
    async with school.node.db.connection() as conn:
        rows = await conn.fetch("select action, actor, detail::text as detail from audit order by id")
        jobs = await conn.fetchval("select string_agg(t::text, '') from print_jobs t")
        keys = await conn.fetchval("select string_agg(t::text, '') from idempotency_keys t")
    actions = [r["action"] for r in rows]
    for action in ("visit.checked_in", "screening.decided", "visit.approved", "badge.issued", "credential.issued", "visit.checked_out"):
        assert action in actions
    everything = " ".join(r["detail"] + r["actor"] for r in rows) + (jobs or "") + (keys or "")
    for personal in ("reyes", "daniel", "1986-03-14"):
        assert personal not in everything.lower()


async def test_a_retry_is_answered_though_what_it_named_is_gone(school: Any) -> None:
    body, key = school.check_in_body(), {"Idempotency-Key": "lost-answer"}
    first = await school.desk.post("/api/v1/check-ins", json=body, headers=key)
    async with school.node.db.transaction() as tx:
        await tx.conn.execute("update staff set retired_at = now() where id = $1", school.host)
        tx.notify("staff", school.oak, school.host)
    again = await school.desk.post("/api/v1/check-ins", json=body, headers=key)
    assert (first.status_code, again.status_code) == (201, 201) and again.json()["visit"]["id"] == first.json()["visit"]["id"]
    refused = await school.desk.post("/api/v1/check-ins", json=body, headers={"Idempotency-Key": "another"})
    assert refused.status_code >= 400


async def test_visits_that_nobody_ended_end_with_their_day(school: Any) -> None:
    from datetime import UTC, datetime, timedelta

    visit = await _checked_in(school)
    held = (await school.desk.post("/api/v1/check-ins", json={**school.check_in_body(number="D1"), "purpose": "delivery"})).json()["visit"]
    assert await school.node.visits.end_day() == 0
    assert await school.node.visits.end_day(datetime.now(UTC) + timedelta(days=1)) == 2
    assert (await school.desk.get(f"/api/v1/visits/{visit['id']}")).json()["visit"]["status"] == "presumed_left"
    assert (await school.desk.get(f"/api/v1/visits/{held['id']}")).json()["visit"]["status"] == "cancelled"


async def test_a_real_license_of_the_test_data_checks_in(school: Any, test_data: Path) -> None:
    rows = [json.loads(line) for line in (test_data / "aamva" / "payloads.jsonl").read_text("utf-8").splitlines()]
    done = 0
    for row in rows[:20]:
        data = base64.b64encode(row["payload"].encode("utf-8")).decode()
        body = {**school.check_in_body(), "scan": {"data": data, "source": "barcode"}}
        del body["document"]
        answer = await school.desk.post("/api/v1/check-ins", json=body)
        assert answer.status_code in (201, 400, 409), answer.text
        if answer.status_code == 201:
            visit = answer.json()["visit"]
            assert visit["visitor"]["family_name"] and visit["document"]["issuer"]
            done += 1
    assert done >= 10


@given(st.sampled_from(sorted(FOLLOWS)), st.text(max_size=40), st.sampled_from(["en", "es"]))
def test_a_visitor_never_reads_why(status: Any, name: str, language: Any) -> None:
    said = message(status, "", language).lower()
    assert not any(word in said for word in ("match", "denied", "offender", "flag", "refused", "registry", "alert", "lista"))
    assert message(status, name, language)


def test_nothing_follows_an_ended_visit() -> None:
    for status, after in FOLLOWS.items():
        assert bool(after) == (status in OPEN)
        assert all(a in FOLLOWS for a in after)

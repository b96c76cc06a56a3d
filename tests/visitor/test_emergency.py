"""Incidents on a real database: one transaction, one at a time, drills alike, credentials that end with them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from visitor.ids import new_id
from visitor.security import Grant, Principal


async def on_site(school: Any, role: str = "respond") -> dict[str, Any]:
    answer = await school.get(f"/api/v1/sites/{school.site.id}/on-site", role=role)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("state", ["hold", "secure", "lockdown", "evacuate", "shelter"])
async def test_declaring_sets_the_state_at_once_and_resolving_undoes_it(school: Any, state: str) -> None:
    incident = await school.declare(state)
    now = school.node.sites.state(school.site.id)
    assert (now.state, str(now.incident_id), now.exercise) == (state, incident, False)
    assert school.node.sites.state(school.other.id).state == "normal"
    answer = await school.post(f"/api/v1/incidents/{incident}/resolve", {}, role="respond")
    assert answer.status_code == 200 and answer.json()["incident"]["outcome"] == "resolved"
    now = school.node.sites.state(school.site.id)
    assert (now.state, now.incident_id) == ("normal", None)


async def test_a_second_declaration_is_refused_and_names_the_first(school: Any) -> None:
    incident = await school.declare("secure")
    body = {"site_id": str(school.site.id), "state": "lockdown", "exercise": False, "note": ""}
    answer = await school.post("/api/v1/incidents", body, role="desk")
    assert answer.status_code == 409 and answer.json()["type"] == "incident-already-declared"
    assert answer.json()["incident_id"] == incident and school.node.sites.state(school.site.id).state == "secure"


async def test_of_many_who_press_at_once_one_declares(school: Any) -> None:
    body = {"site_id": str(school.site.id), "state": "lockdown", "exercise": False, "note": ""}
    roles = ("desk", "hall", "respond", "admin", "station") * 2
    answers = await asyncio.gather(*(school.post("/api/v1/incidents", body, role=r) for r in roles))
    assert sorted(a.status_code for a in answers) == [201] + [409] * 9
    async with school.node.db.connection() as conn:
        assert await conn.fetchval("select count(*) from incidents") == 1
        assert await conn.fetchval("select count(*) from audit where action = 'incident.declared'") == 1


async def test_the_same_incident_may_change_its_instruction(school: Any) -> None:
    incident = await school.declare("hold")
    answer = await school.post(f"/api/v1/incidents/{incident}/state", {"state": "lockdown"}, role="hall")
    assert answer.status_code == 200 and answer.json()["incident"]["state"] == "lockdown"
    assert school.node.sites.state(school.site.id).state == "lockdown"
    issued = await school.emergency_credential(incident)
    await school.post(f"/api/v1/incidents/{incident}/state", {"state": "evacuate"}, role="desk")
    doors = school.node.doors
    verdict = await doors.tap(school.library_door.id, doors.read_token(issued["token"]), "reader")
    assert verdict.reason == "police"
    async with school.node.db.connection() as conn:
        changes = await conn.fetch("select detail from audit where action = 'incident.changed' order by id")
    assert [(c["detail"]["before"], c["detail"]["state"]) for c in changes] == [("hold", "lockdown"), ("lockdown", "evacuate")]


async def test_a_drill_is_the_same_and_says_so(school: Any) -> None:
    incident = await school.declare("lockdown", exercise=True)
    assert school.node.sites.state(school.site.id).exercise is True
    visit = await school.visit()
    doors = school.node.doors
    assert (await doors.tap(school.office_door.id, doors.read_token(visit.token), "reader")).reason == "incident"
    listed = (await school.get(f"/api/v1/incidents?site={school.site.id}", role="desk")).json()["incidents"]
    assert listed[0]["id"] == incident and listed[0]["exercise"] is True and listed[0]["resolved_at"] is None


@pytest.mark.parametrize(("role", "source"), [("station", "panic"), ("desk", "api"), ("hall", "api")])
async def test_where_a_declaration_came_from_is_kept(school: Any, role: str, source: str) -> None:
    body = {"site_id": str(school.site.id), "state": "hold", "exercise": True, "note": "test"}
    made = (await school.post("/api/v1/incidents", body, role=role)).json()["incident"]
    assert made["source"] == source


async def test_the_list_freezes_when_declared_and_the_live_one_goes_on(school: Any) -> None:
    first = await school.visit(family="Bello")
    waiting = await school.visit(family="Chen", status="held")
    doors = school.node.doors
    await doors.tap(school.office_door.id, doors.read_token(first.token), "reader")
    await school.drained()
    incident = await school.declare("evacuate")
    await school.end(first)
    later = await school.visit(family="Diop")
    found = (await school.get(f"/api/v1/incidents/{incident}", role="respond")).json()
    frozen = {p["visit_id"]: p for p in found["frozen"]}
    assert set(frozen) == {str(first.id), str(waiting.id)} and found["incident"]["on_site_when_declared"] == 1
    assert frozen[str(first.id)]["name"] == "Aisha Bello" and frozen[str(first.id)]["place"] == "Office door"
    assert frozen[str(first.id)]["status"] == "on_site" and frozen[str(first.id)]["status_now"] == "checked_out"
    live = await on_site(school)
    assert [p["visit_id"] for p in live["people"]] == [str(later.id)] and live["count"] == 1
    assert [p["visit_id"] for p in live["waiting"]] == [str(waiting.id)]
    assert live["state"] == "evacuate" and live["incident"]["id"] == incident
    async with school.node.db.connection() as conn:
        assert "Bello" not in str(await conn.fetchval("select snapshot::text from incidents"))


async def test_who_is_on_site_is_told_with_what_responders_need(school: Any) -> None:
    await school.visit(zones=["Office", "Library"], minutes=-5)
    live = await on_site(school)
    (person,) = live["people"]
    assert person["name"] == "Aisha Bello" and person["host"] == "Pat Lindqvist" and person["zones"] == ["Office", "Library"]
    assert person["overdue"] is True and person["badge_number"] == 1 and live["site"]["name"] == "Oak Elementary"
    assert live["state"] == "normal" and live["incident"] is None
    assert (await school.get(f"/api/v1/sites/{school.site.id}/on-site", role="hall")).status_code == 403
    assert (await school.get(f"/api/v1/sites/{school.site.id}/on-site", role="other_desk")).status_code == 404
    assert (await school.get(f"/api/v1/sites/{new_id()}/on-site", role="respond")).status_code == 404


async def test_an_emergency_credential_needs_the_role_a_reason_an_open_incident_and_an_officer(school: Any) -> None:
    incident = await school.declare("lockdown")
    path = f"/api/v1/officers/{school.officer.id}/emergency-credential"
    good = {"incident_id": incident, "reason": "entry team"}
    for role in ("desk", "hall", "station", "doors"):
        assert (await school.post(path, good, role=role)).status_code == 403
    assert (await school.post(path, {**good, "reason": "  "}, role="respond")).json()["type"] == "reason-needed"
    assert (await school.post(path, {**good, "incident_id": str(new_id())}, role="respond")).status_code == 404
    assert (await school.post(f"/api/v1/officers/{new_id()}/emergency-credential", good, role="respond")).status_code == 404
    issued = (await school.post(path, good, role="respond")).json()["credential"]
    until = datetime.fromisoformat(issued["until"])
    assert timedelta(hours=3, minutes=59) < until - datetime.now(UTC) <= timedelta(hours=4)
    await school.post(f"/api/v1/incidents/{incident}/resolve", {}, role="admin")
    over = await school.post(path, good, role="respond")
    assert over.status_code == 409 and over.json()["type"] == "incident-over"


async def test_a_new_credential_for_the_same_officer_ends_the_one_before(school: Any) -> None:
    incident = await school.declare("lockdown")
    first, second = await school.emergency_credential(incident), await school.emergency_credential(incident)
    doors = school.node.doors
    lost = await doors.tap(school.office_door.id, doors.read_token(first["token"]), "reader")
    held = await doors.tap(school.office_door.id, doors.read_token(second["token"]), "reader")
    assert (lost.reason, held.reason) == ("incident-over", "police")


async def test_a_lost_credential_is_withdrawn_at_once_and_the_others_go_on(school: Any) -> None:
    incident = await school.declare("lockdown")
    issued = await school.emergency_credential(incident)
    path = f"/api/v1/incidents/{incident}/credentials/{issued['id']}/end"
    assert (await school.post(path, {"reason": "lost"}, role="hall")).status_code == 403
    assert (await school.post(path, {"reason": "lost"}, role="other_desk")).status_code == 404
    assert (await school.post(path, {"reason": "Sgt. Diaz left it in the car"}, role="desk")).status_code == 400
    other = path.replace(issued["id"], str(new_id()))
    assert (await school.post(other, {"reason": "lost"}, role="desk")).status_code == 404
    assert (await school.post(path, {"reason": "lost"}, role="desk")).status_code == 200
    again = await school.post(path, {"reason": "lost"}, role="desk")
    assert again.status_code == 409 and again.json()["type"] == "no-credential"
    doors = school.node.doors
    assert (await doors.tap(school.office_door.id, doors.read_token(issued["token"]), "reader")).reason == "incident-over"
    assert (await doors.tap(school.office_door.id, doors.read_card(*school.officer_card), "reader")).reason == "police"
    listed = (await school.get(f"/api/v1/incidents/{incident}", role="respond")).json()["credentials"]
    assert [(c["officer"], c["state"], c["ended_reason"]) for c in listed] == [("Sgt. Diaz", "ended", "lost")]
    assert issued["token"] not in str(listed)


async def test_a_signed_in_person_must_have_given_the_password_lately(school: Any) -> None:
    from visitor.errors import Forbidden

    incident = await school.declare("lockdown")
    emergency = school.node.emergency
    grants = (Grant("respond", school.site.id),)
    now = datetime.now(UTC)
    stale = Principal("account", new_id(), "Cap. Reyes", grants, "c", now - timedelta(minutes=11))
    fresh = Principal("account", new_id(), "Cap. Reyes", grants, "c", now - timedelta(minutes=9))
    from uuid import UUID

    with pytest.raises(Forbidden, match="password again"):
        await emergency.issue_credential(stale, school.officer.id, UUID(incident), "entry")
    assert (await emergency.issue_credential(fresh, school.officer.id, UUID(incident), "entry")).token
    async with school.node.db.connection() as conn:
        assert await conn.fetchval("select count(*) from credentials where kind = 'emergency'") == 1


async def test_resolving_ends_what_was_issued_for_the_incident(school: Any) -> None:
    incident = await school.declare("lockdown")
    await school.emergency_credential(incident)
    await school.post(f"/api/v1/incidents/{incident}/resolve", {"outcome": "cancelled"}, role="desk")
    async with school.node.db.connection() as conn:
        row = await conn.fetchrow("select state, ended_reason from credentials where kind = 'emergency'")
        outcome = await conn.fetchval("select outcome from incidents")
        actions = [r["action"] for r in await conn.fetch("select action from audit where action like 'incident.%' order by id")]
    assert (row["state"], row["ended_reason"], outcome) == ("ended", "incident-resolved", "cancelled")
    assert actions == ["incident.declared", "incident.resolved"]
    again = await school.post(f"/api/v1/incidents/{incident}/resolve", {}, role="desk")
    assert again.status_code == 409 and again.json()["type"] == "incident-over"


async def test_who_may_declare_and_resolve(school: Any) -> None:
    body = {"site_id": str(school.site.id), "state": "lockdown", "exercise": False, "note": ""}
    assert (await school.post("/api/v1/incidents", body, role="other_desk")).status_code == 404
    assert (await school.post("/api/v1/incidents", body, role="doors")).status_code == 403
    assert (await school.post("/api/v1/incidents", {**body, "state": "normal"}, role="desk")).status_code == 400
    for note in ("x" * 1001, "\u0000"):
        assert (await school.post("/api/v1/incidents", {**body, "note": note}, role="desk")).status_code == 400
    assert (await school.post("/api/v1/incidents", {**body, "site_id": str(new_id())}, role="desk")).status_code == 404
    assert school.node.sites.state(school.site.id).state == "normal"
    incident = await school.declare("lockdown")
    for role in ("hall", "station"):
        assert (await school.post(f"/api/v1/incidents/{incident}/resolve", {}, role=role)).status_code == 403
    assert (await school.post(f"/api/v1/incidents/{incident}/resolve", {}, role="other_desk")).status_code == 404


async def test_a_failure_while_declaring_leaves_nothing_half_written(school: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from visitor import audit

    async def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("disk")

    monkeypatch.setattr(audit, "record", broken)
    body = {"site_id": str(school.site.id), "state": "lockdown", "exercise": False, "note": ""}
    assert (await school.post("/api/v1/incidents", body, role="desk")).status_code == 500
    monkeypatch.undo()
    assert school.node.sites.state(school.site.id).state == "normal"
    async with school.node.db.connection() as conn:
        assert await conn.fetchval("select count(*) from incidents") == 0
        assert await conn.fetchval("select count(*) from site_states") == 0


async def test_an_incident_holds_although_the_database_goes_away_right_after_it_was_declared(
    school: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = await school.visit()
    sites, doors = school.node.sites, school.node.doors

    async def away() -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(sites, "load", away)
    await school.declare("lockdown")
    assert sites.state(school.site.id).state == "lockdown"
    assert (await doors.tap(school.office_door.id, doors.read_token(visit.token), "reader")).reason == "incident"

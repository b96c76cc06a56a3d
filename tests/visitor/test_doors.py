"""Doors on a real database: taps by HTTP, the table kept true, what a full disk and a lost database leave."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any
from uuid import UUID

import pytest

from tests.waiting import until
from visitor.doors.access import Access
from visitor.doors.journal import JournalFull
from visitor.escorts.models import NotEscorted
from visitor.events import EventBus
from visitor.ids import new_id


async def tap(school: Any, door: Any, token: str = "", card: tuple[str, str] | None = None) -> tuple[str, str]:
    body = {"token": token} if card is None else {"card": {"format": card[0], "bits": card[1]}}
    role = "other_doors" if door.site_id == school.other.id else "doors"
    answer = await school.post(f"/api/v1/doors/{door.id}/taps", body, role=role)
    assert answer.status_code == 200, answer.text
    return answer.json()["verdict"], answer.json()["reason"]


async def events(school: Any) -> list[tuple[str, str]]:
    await school.drained()
    async with school.node.db.connection() as conn:
        return [(r["verdict"], r["reason"]) for r in await conn.fetch("select verdict, reason from door_events order by id")]


async def test_a_badge_opens_the_permitted_door_and_no_other(school: Any) -> None:
    visit = await school.visit(zones=["Office"])
    assert await tap(school, school.office_door, visit.token) == ("granted", "ok")
    assert await tap(school, school.library_door, visit.token) == ("denied", "outside-zone")
    assert await events(school) == [("granted", "ok"), ("denied", "outside-zone")]


async def test_the_tap_right_after_check_out_is_denied(school: Any) -> None:
    visit = await school.visit(zones=["Office"])
    assert await tap(school, school.office_door, visit.token) == ("granted", "ok")
    await school.end(visit)
    assert await tap(school, school.office_door, visit.token) == ("denied", "ended")


async def test_a_replaced_badge_opens_nothing_and_the_new_one_does(school: Any) -> None:
    visit = await school.visit(zones=["Office"])
    new = await school.reprint(visit)
    assert await tap(school, school.office_door, visit.token) == ("denied", "void")
    assert await tap(school, school.office_door, new) == ("granted", "ok")


async def test_a_badge_voided_without_another_opens_nothing(school: Any) -> None:
    visit = await school.visit(zones=["Office"])
    async with school.node.db.transaction() as tx:
        await tx.conn.execute("update badges set status = 'void', voided_at = now() where visit_id = $1", visit.id)
        tx.notify("badges", school.site.id, visit.badge_id)
    said = []

    async def closed() -> bool:
        said.append(await tap(school, school.office_door, visit.token))
        return said[-1] != ("granted", "ok")

    await until(closed)
    assert said[-1] == ("denied", "void")


async def test_another_schools_badge_is_told_so(school: Any) -> None:
    visit = await school.visit(zones=["Office"])
    assert await tap(school, school.other_door, visit.token) == ("denied", "other-site")


async def test_an_escorted_visitor_waits_for_the_escort_then_taps_after_them(school: Any) -> None:
    visit = await school.visit(zones=["Office"], escorted=True)
    assert await tap(school, school.office_door, visit.token) == ("denied", "awaiting-escort")
    await school.accept_escort(visit)
    assert await tap(school, school.office_door, visit.token) == ("denied", "escort-first")
    assert await tap(school, school.office_door, card=school.staff_card) == ("granted", "ok")
    assert await tap(school, school.library_door, visit.token) == ("denied", "outside-zone")
    assert await tap(school, school.office_door, visit.token) == ("granted", "ok")


async def test_the_escorts_tap_counts_at_their_own_reader_only(school: Any) -> None:
    visit = await school.visit(zones=["Office", "Library"], escorted=True)
    await school.accept_escort(visit)
    assert await tap(school, school.office_door, card=school.staff_card) == ("granted", "ok")
    assert await tap(school, school.library_door, visit.token) == ("denied", "escort-first")


async def test_incident_stops_visitors_lets_the_police_in_and_ends_with_it(school: Any) -> None:
    visit = await school.visit(zones=["Office"])
    assert await tap(school, school.library_door, card=school.officer_card) == ("denied", "no-incident")
    incident = await school.declare("lockdown")
    assert await tap(school, school.office_door, visit.token) == ("denied", "incident")
    assert await tap(school, school.library_door, card=school.officer_card) == ("granted", "police")
    assert await tap(school, school.other_door, card=school.officer_card) == ("denied", "no-incident")
    issued = await school.emergency_credential(incident)
    for door in (school.office_door, school.library_door):
        assert await tap(school, door, issued["token"]) == ("granted", "police")
    assert await tap(school, school.other_door, issued["token"]) == ("denied", "other-site")
    assert (await school.post(f"/api/v1/incidents/{incident}/resolve", {}, role="admin")).status_code == 200
    assert await tap(school, school.office_door, issued["token"]) == ("denied", "incident-over")
    assert await tap(school, school.library_door, card=school.officer_card) == ("denied", "no-incident")
    assert await tap(school, school.office_door, visit.token) == ("granted", "ok")


async def test_a_controllers_own_name_for_a_format_does_not_hide_a_known_card(school: Any) -> None:
    format, bits = school.staff_card
    assert await tap(school, school.office_door, card=("wiegand26", bits)) == ("granted", "ok")
    assert await tap(school, school.office_door, card=(format.lower(), bits)) == ("granted", "ok")
    assert await tap(school, school.office_door, card=("uid", f"{int(bits, 2):08X}")) == ("denied", "unknown-card")


async def test_a_revoked_card_opens_nothing(school: Any) -> None:
    async with school.node.db.transaction() as tx:
        await school.node.credentials.revoke_standing(tx, school.staff_standing, site_id=school.site.id, actor="system")
    assert await tap(school, school.office_door, card=school.staff_card) == ("denied", "revoked")


async def test_hostile_taps_are_answered_not_raised(school: Any) -> None:
    for token in ("", "x", "VB1:", "VB1:%%%", "VB1:" + "A" * 3000, "\0" * 50, "☃"):
        assert (await tap(school, school.office_door, token))[1] == "unknown-badge"
    path = f"/api/v1/doors/{school.office_door.id}/taps"
    for body in ({}, {"token": "x", "card": {"format": "a", "bits": "1"}}, {"card": {"format": "", "bits": ""}}, {"badge": "x"}):
        answer = await school.post(path, body, role="doors")
        assert answer.status_code == 400 and answer.json()["type"] != "internal", answer.text
    assert (await school.post(f"/api/v1/doors/{new_id()}/taps", {"token": "x"}, role="doors")).status_code == 404
    assert (await school.post(path, {"token": "x"}, role="desk")).status_code == 403
    assert (await school.post(path, {"token": "x"}, role="other_doors")).status_code == 404


async def test_every_tap_lands_in_the_audit_once_and_names_nobody(school: Any) -> None:
    visit = await school.visit(zones=["Office"], family="Unmistakable")
    await tap(school, school.office_door, visit.token)
    await tap(school, school.office_door, card=("H10301", "1" * 26))
    await school.drained()
    async with school.node.db.connection() as conn:
        rows = await conn.fetch("select action, actor, detail from audit where action like 'door.%' order by id")
    assert [r["action"] for r in rows] == ["door.granted", "door.denied"]
    assert rows[0]["detail"]["visit_id"] == str(visit.id) and rows[0]["actor"].startswith("token:")
    assert "Unmistakable" not in str([dict(r) for r in rows]) and "1" * 26 not in str([dict(r) for r in rows])


async def test_the_desk_sees_the_doors_and_their_last_taps(school: Any) -> None:
    visit = await school.visit(zones=["Office"])
    await tap(school, school.office_door, visit.token)
    doors = (await school.get(f"/api/v1/doors?site={school.site.id}", role="desk")).json()["doors"]
    by_name = {d["name"]: d for d in doors}
    assert by_name["Office door"]["last_tap"]["verdict"] == "granted" and by_name["Office door"]["zone"] == "Office"
    assert by_name["Library door"]["last_tap"] is None and by_name["Library door"]["reader_state"] == "none"
    await school.drained()
    found = (await school.get(f"/api/v1/door-events?site={school.site.id}", role="desk")).json()["events"]
    assert [e["reason"] for e in found] == ["ok"] and found[0]["visit_id"] == str(visit.id)
    assert (await school.get(f"/api/v1/doors?site={school.other.id}", role="desk")).status_code == 404


async def test_a_controller_is_still_believed_while_the_database_is_away(school: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    visit = await school.visit(zones=["Office"])
    incident = await school.declare("lockdown")
    issued = await school.emergency_credential(incident)
    await tap(school, school.office_door, visit.token)

    def away(*_: Any, **__: Any) -> Any:
        raise ConnectionRefusedError

    real = school.node.db.pool
    monkeypatch.setattr(school.node.db, "pool", type("Away", (), {"acquire": staticmethod(away)})())
    school.node.accounts._cache = {k: (0.0, p) for k, (_, p) in school.node.accounts._cache.items()}
    assert await tap(school, school.office_door, issued["token"]) == ("granted", "police")
    assert await tap(school, school.library_door, card=school.officer_card) == ("granted", "police")
    assert await tap(school, school.office_door, visit.token) == ("denied", "incident")
    body = {"site_id": str(school.site.id), "state": "hold", "exercise": False, "note": ""}
    assert (await school.post("/api/v1/incidents", body, role="desk")).status_code == 503
    unknown = await school.client.post(
        f"/api/v1/doors/{school.office_door.id}/taps", json={"token": "x"}, headers={"authorization": "Bearer vt_other"}
    )
    assert unknown.status_code == 503
    monkeypatch.setattr(school.node.db, "pool", real)
    await asyncio.wait_for(school.drained(), 60)
    assert await events(school) == [("denied", "incident"), ("granted", "police"), ("granted", "police"), ("denied", "incident")]


async def test_doors_go_on_while_the_database_is_away_and_lose_nothing(school: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from visitor.errors import Unavailable

    visit = await school.visit(zones=["Office"])
    await tap(school, school.office_door, visit.token)
    await school.drained()
    database = school.node.db
    acquire = database.pool.acquire

    def away(*_: Any, **__: Any) -> Any:
        raise ConnectionRefusedError

    monkeypatch.setattr(database, "pool", type("Away", (), {"acquire": staticmethod(away)})())
    # The token's own lookup needs the database: this tap comes from a reader at the door.
    doors = school.node.doors
    for _ in range(3):
        verdict = await doors.tap(school.office_door.id, doors.read_token(visit.token), "reader")
        assert verdict.reason == "ok"
    await doors.access._on_event(type("E", (), {"topic": "sync"})())
    assert "Doors work from the list" in doors.trouble()
    with pytest.raises(Unavailable):
        async with database.connection():
            pass
    monkeypatch.setattr(database, "pool", type("Back", (), {"acquire": staticmethod(acquire), "close": None})())
    monkeypatch.undo()
    await asyncio.wait_for(school.drained(), 60)
    assert await events(school) == [("granted", "ok")] * 4
    await until(lambda: doors.trouble() == "")


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_table_patched_by_notices_is_the_table_read_whole(school: Any, seed: int) -> None:
    """Whatever is done in whatever order: a patch that missed something would open or close a door wrongly until the next sync."""
    chance, node, site = random.Random(seed), school.node, school.site.id
    visits: list[Any] = []
    escorted: list[Any] = []
    cards: list[UUID] = []
    incident = ""

    async def one_step() -> None:
        nonlocal incident
        act = chance.choice(
            ["visit", "visit", "escorted", "accept", "hand over", "end", "reprint", "card", "revoke", "declare", "issue", "resolve"]
        )
        if act == "visit":
            visits.append(await school.visit(zones=chance.sample(["Office", "Library"], chance.randint(1, 2))))
        elif act == "escorted":
            escorted.append(await school.visit(escorted=True))
        elif act == "accept" and escorted:
            visits.append(escorted.pop())
            await school.accept_escort(visits[-1])
        elif act == "hand over" and visits:
            async with node.db.transaction() as tx:
                with contextlib.suppress(NotEscorted):
                    await node.escorts.hand_over(tx, site, chance.choice(visits).id, school.second.id)
        elif act == "end" and visits:
            await school.end(visits.pop(chance.randrange(len(visits))))
        elif act == "reprint" and visits:
            await school.reprint(chance.choice(visits))
        elif act == "card":
            async with node.db.transaction() as tx:
                who = chance.choice([{"staff_id": school.host.id}, {"officer_id": school.officer.id}])
                bits = f"{chance.getrandbits(26):026b}"
                made = await node.credentials.add_standing(tx, site_id=site, card_format="raw", bits=bits, actor="system", **who)
            cards.append(made.id)
        elif act == "revoke" and cards:
            async with node.db.transaction() as tx:
                await node.credentials.revoke_standing(tx, cards.pop(), site_id=site, actor="system")
        elif act == "declare" and not incident:
            incident = await school.declare("lockdown")
        elif act == "issue" and incident:
            await school.emergency_credential(incident)
        elif act == "resolve" and incident:
            await school.post(f"/api/v1/incidents/{incident}/resolve", {}, role="admin")
            incident = ""

    for _ in range(40):
        await one_step()
    # An incident's notice reads a site whole: end with what only its own notice tells.
    last = await school.visit(escorted=True)
    await school.accept_escort(last)
    async with node.db.transaction() as tx:
        await node.escorts.hand_over(tx, site, last.id, school.second.id)
    patched, access = node.doors.access.table, node.doors.access
    await until(lambda: not access._wanted and (access._soon is None or access._soon.done()))  # what is read "within a moment"
    await access.catch_up()  # waits for a reading under way
    fresh = Access(node.db, EventBus(node.db), lambda: [school.site.id, school.other.id])
    node.db.announce = node.bus._announce
    await fresh.load()
    assert patched.visits == fresh.table.visits and len(patched.visits) > 3
    assert patched.emergency == fresh.table.emergency
    assert patched.standing == fresh.table.standing
    assert patched._badges == fresh.table._badges


async def test_events_left_by_a_crash_are_drained_by_the_next_start_exactly_once(school: Any) -> None:
    """The rows were inserted but the mark was not written: the case that could double."""
    doors = school.node.doors
    visit = await school.visit(zones=["Office"])
    for _ in range(3):
        await tap(school, school.office_door, visit.token)
    await school.drained()
    await doors.stop()
    mark = school.node.settings.data / "doors" / "journal.drained"
    mark.write_text("0", "ascii")
    await doors.start()
    await school.drained()
    assert await events(school) == [("granted", "ok")] * 3
    async with school.node.db.connection() as conn:
        assert await conn.fetchval("select count(*) from audit where action = 'door.granted'") == 3


async def test_a_full_disk_keeps_visitors_out_only_when_the_database_cannot_keep_it_either(
    school: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = await school.visit(zones=["Office"])
    doors = school.node.doors

    async def full(_: Any) -> None:
        doors.journal.trouble = "No space left on device"
        raise JournalFull("No space left on device")

    monkeypatch.setattr(doors.journal, "append", full)
    monkeypatch.setattr("visitor.doors.service._DATABASE_SECONDS", 60.0)
    assert await tap(school, school.office_door, visit.token) == ("granted", "ok")
    assert await events(school) == [("granted", "ok")]
    health = (await client.get("/health")).json()
    assert health["status"] == "degraded" and "No space left on device" in health["degraded"]["doors"]

    await school.declare("lockdown")
    from visitor.doors import store

    async def unreachable(*_: Any) -> int:
        raise OSError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(store, "add_events", unreachable)
        assert await tap(school, school.office_door, card=school.staff_card) == ("denied", "not-recorded")
        assert await tap(school, school.office_door, card=school.officer_card) == ("granted", "police")
    monkeypatch.undo()
    await asyncio.wait_for(school.drained(), 60)
    # The refused staff tap is in no record; the police's came in as soon as something could keep it.
    assert await events(school) == [("granted", "ok"), ("granted", "police")]

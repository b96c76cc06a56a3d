"""Escorts on a real database: who is asked, who is first, who takes over."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from tests.front_office import FrontOffice
from tests.waiting import until, waits_for
from visitor import db
from visitor.errors import NotFound
from visitor.escorts.models import EscortRow, MayNotEscort, NoEscortAsked, NotEscorted
from visitor.ids import new_id


async def accept(office: FrontOffice, visit_id: UUID, staff_id: UUID) -> EscortRow:
    async with office.node.db.transaction() as tx:
        return await office.node.escorts.accept(tx, office.site.id, visit_id, staff_id, actor="account:x")


async def test_an_escort_is_asked_accepts_and_ends_and_the_audit_says_so(office: FrontOffice) -> None:
    visit = await office.visit(escorted=True)
    escorts = office.node.escorts
    [asked] = await escorts.open_for(office.site.id)
    assert (asked.visit_id, asked.staff_id, asked.state) == (visit.id, office.brandt.id, "asked")
    accepted = await accept(office, visit.id, office.brandt.id)
    assert (accepted.id, accepted.state, accepted.staff_id) == (asked.id, "accepted", office.brandt.id)
    assert [row.state for row in await escorts.open_for()] == ["accepted"]
    for _ in range(2):  # ending twice changes nothing
        async with office.node.db.transaction() as tx:
            await escorts.end(tx, office.site.id, visit.id)
    assert await escorts.open_for(office.site.id) == []
    assert await office.audited(asked.id) == ["escort.asked", "escort.accepted", "escort.ended"]


async def test_whoever_stands_there_first_may_accept_and_the_second_is_told(office: FrontOffice) -> None:
    visit = await office.visit(escorted=True)
    answers = await asyncio.gather(
        *(accept(office, visit.id, member.id) for member in (office.okafor, office.brandt)), return_exceptions=True
    )
    assert sorted(type(a).__name__ for a in answers) == ["EscortRow", "NoEscortAsked"]
    [row] = await office.node.escorts.of_visit(office.site.id, visit.id)
    assert row.state == "accepted"


async def test_nobody_accepts_where_no_escort_was_asked(office: FrontOffice) -> None:
    visit = await office.visit()
    with pytest.raises(NoEscortAsked):
        await accept(office, visit.id, office.brandt.id)


async def test_only_staff_of_the_school_who_may_escort_accept(office: FrontOffice) -> None:
    visit = await office.visit(escorted=True)
    for member in (office.cook, office.stranger):
        with pytest.raises(MayNotEscort):
            await accept(office, visit.id, member.id)
    with pytest.raises(NotFound):
        await accept(office, visit.id, new_id())
    assert [row.state for row in await office.node.escorts.open_for(office.site.id)] == ["asked"]


async def test_a_host_who_may_not_escort_leaves_it_to_anyone_who_may(office: FrontOffice) -> None:
    visit = await office.visit(escorted=True, host=office.cook)
    [asked] = await office.node.escorts.open_for(office.site.id)
    assert asked.staff_id is None
    assert (await accept(office, visit.id, office.okafor.id)).staff_id == office.okafor.id


async def test_asking_again_keeps_who_was_asked(office: FrontOffice) -> None:
    visit = await office.visit(escorted=True)
    async with office.node.db.transaction() as tx:
        again = await office.node.escorts.ask(tx, office.site.id, visit.id, office.okafor.id)
    assert again.staff_id == office.brandt.id and len(await office.node.escorts.of_visit(office.site.id, visit.id)) == 1


async def test_a_visitor_is_handed_over_and_the_pages_are_told(office: FrontOffice) -> None:
    visit = await office.visit(escorted=True)
    first = await accept(office, visit.id, office.brandt.id)
    told: list[tuple[str, UUID]] = []

    async def note(event: db.Event) -> None:
        if event.topic == "visits":
            told.append((event.topic, event.subject))

    office.node.bus.on(note)
    async with office.node.db.transaction() as tx:
        second = await office.node.escorts.hand_over(tx, office.site.id, visit.id, office.okafor.id, actor="account:x")
    assert told == [("visits", visit.id)]
    before, now = await office.node.escorts.of_visit(office.site.id, visit.id)
    assert (before.id, before.state, before.ended_at is not None) == (first.id, "handed_over", True)
    assert (now.id, now.state, now.staff_id) == (second.id, "accepted", office.okafor.id)
    async with office.node.db.transaction() as tx:
        same = await office.node.escorts.hand_over(tx, office.site.id, visit.id, office.okafor.id)
    assert same.id == second.id
    with pytest.raises(MayNotEscort):
        async with office.node.db.transaction() as tx:
            await office.node.escorts.hand_over(tx, office.site.id, visit.id, office.cook.id)


async def test_a_check_out_that_meets_a_hand_over_ends_the_new_escort_too(office: FrontOffice) -> None:
    visit, node = await office.visit(escorted=True), office.node
    await accept(office, visit.id, office.brandt.id)

    async def check_out() -> None:
        async with node.db.transaction() as tx:
            await node.escorts.end(tx, office.site.id, visit.id)

    async with node.db.transaction() as tx:
        await node.escorts.hand_over(tx, office.site.id, visit.id, office.okafor.id)
        waiting = asyncio.create_task(check_out())
        async with node.db.connection() as conn:
            await until(lambda: waits_for(conn, tx.conn))
    await waiting
    assert await node.escorts.open_for(office.site.id) == []


async def test_nobody_can_be_relieved_before_somebody_accepted(office: FrontOffice) -> None:
    visit = await office.visit(escorted=True)
    with pytest.raises(NotEscorted):
        async with office.node.db.transaction() as tx:
            await office.node.escorts.hand_over(tx, office.site.id, visit.id, office.okafor.id)


async def test_a_phone_hands_a_visitor_over_and_another_schools_does_not(office: FrontOffice, client: Any) -> None:
    visit = await office.visit(escorted=True)
    await accept(office, visit.id, office.brandt.id)
    async with office.node.db.transaction() as tx:
        here = await office.node.accounts.machine_token(tx, "phone", "hall", office.site.id)
        there = await office.node.accounts.machine_token(tx, "phone", "hall", office.other.id)
    path, body = f"/api/v1/visits/{visit.id}/escort/hand-over", {"staff_id": str(office.okafor.id)}
    assert (await client.post(path, json=body, headers={"authorization": f"Bearer {there}"})).status_code == 404
    answer = await client.post(path, json=body, headers={"authorization": f"Bearer {here}"})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["escort"]["staff_id"], answer.json()["escort"]["state"]) == (str(office.okafor.id), "accepted")
    nobody = await client.post(
        f"/api/v1/visits/{new_id()}/escort/hand-over", json=body, headers={"authorization": f"Bearer {here}"}
    )
    assert nobody.status_code == 404

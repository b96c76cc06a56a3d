"""Badges on their way to paper: printers that decode what they receive, their lines, and the store of print jobs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from printers import Job, LeaseLost, Paper, State
from tests.front_office import FrontOffice, desk_at, scanned, state_is, token_for
from tests.waiting import until
from visitor.badges import store
from visitor.badges.jobs import PgJobStore
from visitor.ids import new_id


async def test_without_paper_badges_wait_the_desk_is_told_and_they_print_by_themselves(office: FrontOffice, client: Any) -> None:
    office.desk.paper = Paper.OUT
    async with office.printing():
        visits = [await office.visit() for _ in range(2)]
        await until(lambda: _words(office, "paper out at Front desk; badges wait, 2 in line; use Library?"))
        # The row is there a moment before this process has heard of it.
        health = await until(lambda: _degraded(client))
        assert health["status"] == "degraded" and health["degraded"]["printers"] == "paper out at Front desk (Lincoln Elementary School)"
        answer = await client.get(
            f"/api/v1/sites/{office.site.id}/printers", headers=await token_for(office, "desk", office.site.id)
        )
        first = answer.json()["printers"][0]
        assert (first["ok"], first["paper"], first["waiting"], first["condition"]) == (False, "out", 2, "waiting")
        assert first["fallback"] == "Library" and office.desk.count == 0
        office.desk.refill()
        await until(lambda: office.desk.count == 2)
        await until(lambda: _words(office, "Front desk ready"))
        await until(lambda: _well(client))
    assert [scanned(badge) for badge in office.desk.printed] == [[v.token] for v in visits]


async def test_a_dead_printer_delays_no_other(office: FrontOffice) -> None:
    await office.desk.stop()
    async with office.printing():
        waiting = await office.visit()
        await until(lambda: _words(office, "refuses the connection at Front desk; badges wait, 1 in line; use Library?"))
        prompt = await office.visit(station=office.library_desk)
        await until(lambda: state_is(office, prompt, "printed"))
        [job] = await office.jobs(waiting)
        assert job["state"] == "queued" and office.library.count == 1
        await office.desk.start()
        await until(lambda: state_is(office, waiting, "printed"))
    assert office.desk.count == 1


async def test_a_desk_sends_waiting_badges_to_the_other_printer(office: FrontOffice, client: Any) -> None:
    office.desk.cover_open = True
    headers = await token_for(office, "desk", office.site.id)
    async with office.printing():
        visit = await office.visit()
        await until(lambda: _words(office, "cover open at Front desk; badges wait, 1 in line; use Library?"))
        answer = await client.post(
            f"/api/v1/printers/{office.printers[0].id}/use", json={"printer_id": str(office.printers[1].id)}, headers=headers
        )
        assert answer.json() == {"moved": 1}
        await until(lambda: state_is(office, visit, "printed"))
    assert office.library.count == 1 and office.desk.count == 0
    assert "printer.jobs_moved" in await office.audited(office.printers[0].id)
    alone = await client.post(
        f"/api/v1/printers/{office.printers[0].id}/use", json={"printer_id": str(office.printers[0].id)}, headers=headers
    )
    assert (alone.status_code, alone.json()["type"]) == (409, "no-printer")


async def test_after_a_minute_of_trouble_the_second_printer_takes_over_by_itself(office: FrontOffice) -> None:
    await office.desk.stop()
    async with office.printing(failover_after=0.3):
        visit = await office.visit()
        await until(lambda: state_is(office, visit, "printed"))
    assert office.library.count == 1


async def test_a_held_line_waits_until_it_is_resumed_also_over_a_restart(office: FrontOffice, client: Any) -> None:
    headers = await token_for(office, "desk", office.site.id)
    path = f"/api/v1/printers/{office.printers[0].id}"
    assert (await client.post(f"{path}/hold", json={"reason": "new roll is being put in"}, headers=headers)).status_code == 204
    async with office.printing():
        visit = await office.visit()
        await until(lambda: _words(office, "on hold (new roll is being put in) at Front desk; badges wait, 1 in line; use Library?"))
    async with office.printing():
        await asyncio.sleep(0.4)
        assert office.desk.count == 0
        assert (await client.post(f"{path}/resume", headers=headers)).status_code == 204
        await until(lambda: state_is(office, visit, "printed"))
        await until(lambda: _words(office, "Front desk ready"))
    assert await office.audited(office.printers[0].id) == ["printer.held", "printer.resumed"]


async def test_an_older_look_at_the_printers_never_takes_the_place_of_a_newer_one(
    office: FrontOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    badges, read = office.node.badges, store.lines
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def held_back(conn: Any, site_id: UUID | None) -> Any:
        found = await read(conn, site_id)
        if not begun.is_set():
            begun.set()
            await go_on.wait()
        return found

    monkeypatch.setattr(store, "lines", held_back)
    older = asyncio.create_task(badges.look())
    await begun.wait()
    newer = asyncio.create_task(badges.hold(desk_at(office), office.printers[0].id, "new roll"))
    await asyncio.wait({newer}, timeout=0.5)  # it may wait for the older one, or be in force before it ends
    go_on.set()
    await asyncio.gather(older, newer)
    assert "on hold (new roll) at Front desk" in badges.degraded()


async def test_a_printer_set_up_wrongly_says_so_and_keeps_no_other_from_printing(office: FrontOffice) -> None:
    async with office.node.db.transaction() as tx:
        await office.node.sites.set_printer_address(tx, office.printers[0].id, "lpt1:")
    async with office.printing():
        await office.visit()
        visit = await office.visit(station=office.library_desk)
        await until(lambda: state_is(office, visit, "printed"))
        await until(lambda: _says(office, "is not set up rightly"))


async def test_a_printer_given_a_new_address_is_used_without_a_restart(office: FrontOffice) -> None:
    await office.desk.stop()
    async with office.printing() as worker:
        visit = await office.visit()
        await until(lambda: _says(office, "refuses the connection"))
        async with office.node.db.transaction() as tx:
            await office.node.sites.set_printer_address(tx, office.printers[0].id, f"tcp://127.0.0.1:{office.library.port}")
        await until(lambda: state_is(office, visit, "printed"))
        assert worker.printing
    assert office.library.count == 1


async def test_without_a_program_that_prints_the_desk_is_told(office: FrontOffice) -> None:
    visit = await office.visit()
    assert (await office.words())[0] == "no running program prints at Front desk; badges wait, 1 in line"
    async with office.printing():
        await until(lambda: state_is(office, visit, "printed"))


async def test_a_badge_whose_time_has_passed_in_line_is_not_printed_and_says_why(office: FrontOffice) -> None:
    visit = await office.visit(hours=-1)
    async with office.printing():
        await until(lambda: state_is(office, visit, "failed"))
    [job] = await office.jobs(visit)
    assert job["reason"] == "it was no longer valid when its turn came" and office.desk.count == 0


async def test_a_badge_that_cannot_be_drawn_fails_with_its_reason_and_the_next_one_prints(office: FrontOffice) -> None:
    office.name = ""
    async with office.printing():
        visit = await office.visit()
        await until(lambda: state_is(office, visit, "failed"))
        office.name = "Jo Doe"
        fine = await office.visit()
        await until(lambda: state_is(office, fine, "printed"))
    [job] = await office.jobs(visit)
    assert job["reason"] == "a badge needs a name" and office.desk.count == 1


async def test_a_badge_that_was_not_printed_is_shown_to_the_desk_and_put_in_line_again(office: FrontOffice, client: Any) -> None:
    office.name = ""
    headers = await token_for(office, "desk", office.site.id)
    async with office.printing():
        visit = await office.visit()
        await until(lambda: _words(office, "Front desk ready; 1 badge was not printed, please look"))
        first = (await client.get(f"/api/v1/sites/{office.site.id}/printers", headers=headers)).json()["printers"][0]
        [job] = first["failed"]
        assert (first["ok"], job["visit_id"], job["reason"]) == (False, str(visit.id), "a badge needs a name")
        page = (await client.get(f"/desk/printers?site={office.site.id}", headers=headers)).text
        assert "Badge 1 was not printed: a badge needs a name." in page and f"/api/v1/print-jobs/{job['id']}/again" in page
        office.name = "Jo Doe"
        answers = await asyncio.gather(*(client.post(f"/api/v1/print-jobs/{job['id']}/again", headers=headers) for _ in range(2)))
        assert sorted(a.status_code for a in answers) == [201, 409]
        await until(lambda: office.desk.count == 1)
        await until(lambda: _words(office, "Front desk ready"))
    assert scanned(office.desk.printed[0]) == [visit.token]
    assert [job["state"] for job in await office.jobs(visit)] == ["failed", "printed"]


async def test_a_badge_in_doubt_that_is_not_there_prints_again_and_a_void_one_does_not(office: FrontOffice, client: Any) -> None:
    visits = [await office.visit() for _ in range(2)]
    store, printer = PgJobStore(office.node.db), str(office.printers[0].id)
    jobs = [await store.claim(printer, "dead", 60) for _ in visits]
    for job in jobs:
        assert job is not None
        await store.sending(job.id, "dead", 0.0)
    await store.recover("living")
    async with office.node.db.transaction() as tx:
        await office.node.badges.void(tx, office.site.id, visits[1].id, "checked_out")
    headers = await token_for(office, "desk", office.site.id)
    async with office.printing():
        for job in jobs:
            assert job is not None
            answer = await client.post(f"/api/v1/print-jobs/{job.id}/settle", json={"printed": False}, headers=headers)
            assert answer.json()["job"]["state"] == "failed"
        await until(lambda: office.desk.count == 1)
        await until(lambda: _words(office, "Front desk ready"))
    assert scanned(office.desk.printed[0]) == [visits[0].token]
    assert [[job["state"] for job in await office.jobs(v)] for v in visits] == [["failed", "printed"], ["failed"]]


async def test_a_drawing_process_that_dies_costs_a_moment_and_no_badge(office: FrontOffice) -> None:
    import os
    import signal

    async with office.printing():
        first = await office.visit()
        await until(lambda: state_is(office, first, "printed"))
        pool = office.node.badges.drawing._pool
        assert pool is not None
        for pid in list(pool._processes):
            os.kill(pid, signal.SIGKILL)
        second = await office.visit()
        await until(lambda: state_is(office, second, "printed"))
    assert office.desk.count == 2


async def test_a_test_badge_says_what_became_of_it(office: FrontOffice) -> None:
    name = "printer Front desk"
    printer = office.printers[0].id
    assert await office.node.badges.print_test(printer) == (True, name, "printed a test badge and said so")
    assert scanned(office.desk.printed[0]) == ["TEST ONLY: THIS CODE OPENS NOTHING"]
    assert await office.node.badges.ask(printer) == (True, "ready")
    office.desk.paper = Paper.OUT
    assert await office.node.badges.print_test(printer) == (False, name, "paper out")
    assert await office.node.badges.ask(printer) == (False, "paper out")
    await office.desk.stop()
    assert await office.node.badges.print_test(printer) == (False, name, "refuses the connection")
    async with office.node.db.transaction() as tx:
        await office.node.sites.set_printer_address(tx, printer, "lpt1:")
    ok, _, words = await office.node.badges.print_test(printer)
    assert not ok and "must begin with tcp://" in words
    assert await office.node.badges.ask(printer) == (False, words)


# ── the store of jobs ────────────────────────────────────────────────────────────────────────────────────────


async def test_two_workers_never_claim_the_same_job(office: FrontOffice) -> None:
    visits = [await office.visit() for _ in range(10)]
    store, printer = PgJobStore(office.node.db), str(office.printers[0].id)
    claimed = [j for j in await asyncio.gather(*(store.claim(printer, f"w{i}", 60) for i in range(14))) if j is not None]
    assert len({j.id for j in claimed}) == len(claimed) == len(visits)


async def test_jobs_are_claimed_in_the_order_they_came(office: FrontOffice) -> None:
    visits = [await office.visit() for _ in range(3)]
    store, printer = PgJobStore(office.node.db), str(office.printers[0].id)
    claimed = [await store.claim(printer, "w", 60) for _ in range(4)]
    assert [j and j.ref for j in claimed] == [str(v.badge.id) for v in visits if v.badge] + [None]


async def test_a_lapsed_lease_frees_a_queued_job_and_doubts_a_sending_one(office: FrontOffice) -> None:
    await office.visit()
    await office.visit()
    store, printer = PgJobStore(office.node.db), str(office.printers[0].id)
    queued, sent = await store.claim(printer, "dead", 60), await store.claim(printer, "dead", 60)
    assert queued is not None and sent is not None
    await store.renew(queued.id, "dead", 0.0)
    await store.sending(sent.id, "dead", 0.0)
    [doubt] = await store.recover("living")
    assert doubt.id == sent.id and doubt.state is State.DOUBTFUL and "may have been printed" in doubt.reason
    again = await store.claim(printer, "living", 60)
    assert again is not None and again.id == queued.id
    with pytest.raises(LeaseLost):
        await store.sending(queued.id, "dead", 60)
    # The one thought dead was only slow: what it knows counts.
    await store.finish(sent.id, "dead", State.PRINTED, confirmed=True)
    found = await store.get(sent.id)
    assert found is not None and found.state is State.PRINTED
    assert not await store.settle(sent.id, State.FAILED, "too late")


async def test_an_earlier_life_of_the_same_name_is_dead_on_the_first_call_only(office: FrontOffice) -> None:
    await office.visit()
    printer = str(office.printers[0].id)
    before = PgJobStore(office.node.db)
    job = await before.claim(printer, "me", 60)
    assert job is not None
    await before.sending(job.id, "me", 60)
    after = PgJobStore(office.node.db)
    assert [j.id for j in await after.recover("me")] == [job.id]
    await office.visit()
    mine = await after.claim(printer, "me", 60)
    assert mine is not None
    await after.sending(mine.id, "me", 60)
    assert list(await after.recover("me")) == []


async def test_a_released_job_keeps_its_place_and_waits_for_its_time(office: FrontOffice) -> None:
    first, second = await office.visit(), await office.visit()
    store, printer = PgJobStore(office.node.db), str(office.printers[0].id)
    job = await store.claim(printer, "w", 60)
    assert job is not None
    later = datetime.now(UTC) + timedelta(hours=1)
    await store.release(job.id, "w", reason="paper out", attempts=1, not_before=later)
    other = await store.claim(printer, "w", 60)
    assert other is not None and second.badge is not None and other.ref == str(second.badge.id)
    await store.release(other.id, "w", reason="", attempts=0)
    async with office.node.db.connection() as conn:  # its time comes
        await conn.execute("update print_jobs set not_before = now() where id = $1", UUID(job.id))
    back = await store.claim(printer, "w", 60)
    assert back is not None and first.badge is not None and back.ref == str(first.badge.id) and back.attempts == 1
    assert await store.waiting(printer) == 2


async def test_a_cancelled_job_is_lost_to_the_worker_that_claimed_it(office: FrontOffice, client: Any) -> None:
    visit = await office.visit()
    store, printer = PgJobStore(office.node.db), str(office.printers[0].id)
    job = await store.claim(printer, "w", 60)
    assert job is not None
    headers = await token_for(office, "desk", office.site.id)
    answer = await client.post(f"/api/v1/print-jobs/{job.id}/cancel", headers=headers)
    assert answer.status_code == 200 and answer.json()["job"]["state"] == "cancelled"
    with pytest.raises(LeaseLost):
        await store.sending(job.id, "w", 60)
    again = await client.post(f"/api/v1/print-jobs/{job.id}/cancel", headers=headers)
    assert (again.status_code, again.json()["type"]) == (409, "print-job-decided")
    listed = await client.get(f"/api/v1/sites/{office.site.id}/print-jobs", headers=headers)
    assert [(j["state"], j["visit_id"]) for j in listed.json()["jobs"]] == [("cancelled", str(visit.id))]


async def test_adding_a_job_twice_prints_once(office: FrontOffice) -> None:
    visit = await office.visit()
    assert visit.badge is not None
    store = PgJobStore(office.node.db)
    job = Job(
        id=str(new_id()), printer=str(office.printers[0].id), ref=str(visit.badge.id), queued_at=datetime.now(UTC),
        expires_at=visit.badge.expires_at,
    )
    await store.add(job)
    claimed = [await store.claim(job.printer, "w", 60) for _ in range(2)]
    assert [c is not None for c in claimed] == [True, True]
    again = await store.add(job)
    assert again.worker == "w" and len(await office.jobs()) == 2


async def test_a_badge_in_doubt_is_settled_at_the_desk(office: FrontOffice, client: Any) -> None:
    visit = await office.visit()
    store, printer = PgJobStore(office.node.db), str(office.printers[0].id)
    job = await store.claim(printer, "dead", 60)
    assert job is not None and visit.badge is not None
    await store.sending(job.id, "dead", 0.0)
    await store.recover("living")
    headers = await token_for(office, "desk", office.site.id)
    async with office.printing():
        await until(lambda: _words(office, "Front desk ready; 1 badge may be doubled, please look"))
    [doubt] = (await client.get(f"/api/v1/sites/{office.site.id}/printers", headers=headers)).json()["printers"][0]["doubtful"]
    assert (doubt["id"], doubt["visit_id"], doubt["number"]) == (job.id, str(visit.id), visit.badge.number)
    answer = await client.post(f"/api/v1/print-jobs/{job.id}/settle", json={"printed": True}, headers=headers)
    assert answer.json()["job"]["state"] == "printed"
    row = await office.node.badges.badge(visit.badge.id)
    assert row is not None and row.status == "printed"
    again = await client.post(f"/api/v1/print-jobs/{job.id}/settle", json={"printed": False}, headers=headers)
    assert again.status_code == 409
    foreign = await client.post(
        f"/api/v1/print-jobs/{job.id}/settle", json={"printed": False}, headers=await token_for(office, "desk", office.other.id)
    )
    assert foreign.status_code == 404


async def _degraded(client: Any) -> dict[str, Any] | None:
    """What /health says once printers are among it."""
    health: dict[str, Any] = (await client.get("/health")).json()
    return health if "printers" in health["degraded"] else None


async def _well(client: Any) -> bool:
    return await _degraded(client) is None


async def _words(office: FrontOffice, words: str) -> bool:
    return words in await office.words()


async def _says(office: FrontOffice, part: str) -> bool:
    return any(part in words for words in await office.words())

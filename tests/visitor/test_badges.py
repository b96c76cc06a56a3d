"""Badges on a real database, printed by printers that decode what they receive."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from PIL import Image

from printers import Category, Job, LeaseLost, Paper, State
from tests.front_office import FrontOffice, scanned
from tests.waiting import until, waits_for
from visitor.badges import store
from visitor.badges.jobs import PgJobStore
from visitor.badges.models import BadgeRow, NoBadge, ReasonMissing, fallbacks, printer_of, refusal_to_print
from visitor.errors import Forbidden, NotFound
from visitor.hardware import transport_for
from visitor.ids import new_id
from visitor.keys import token_bytes
from visitor.security import Grant, Principal
from visitor.sites.models import PrinterRow, Station


def desk_at(office: FrontOffice) -> Principal:
    return Principal("account", new_id(), "Desk", (Grant("desk", office.site.id),))


async def token_for(office: FrontOffice, role: str, site_id: UUID | None) -> dict[str, str]:
    async with office.node.db.transaction() as tx:
        token = await office.node.accounts.machine_token(tx, "test", role, site_id)  # type: ignore[arg-type]
    return {"authorization": f"Bearer {token}"}


# ── a badge's life ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_badge_issued_comes_out_of_the_stations_printer_with_a_code_that_says_its_token(office: FrontOffice) -> None:
    async with office.printing():
        visit = await office.visit()
        await until(lambda: office.desk.count == 1)
        await until(lambda: _state(office, visit, "printed"))
    assert scanned(office.desk.printed[0]) == [visit.token]
    assert office.library.count == 0
    claims = office.node.keys.verify(token_bytes(visit.token))
    assert visit.badge is not None and claims.id == visit.badge.id and claims.kind == "badge" and claims.site_id == office.site.id
    row = await office.node.badges.badge(visit.badge.id)
    assert row is not None and row.status == "printed" and row.printed_at is not None
    [job] = await office.jobs()
    assert job["confirmed"] and await office.audited(visit.badge.id) == ["badge.issued"]
    assert await office.audited(job["id"]) == ["print_job.printed"]


async def test_numbers_run_through_a_schools_day_and_no_two_processes_give_the_same(office: FrontOffice) -> None:
    from visitor.badges.service import Badges

    node = office.node
    other = Badges(node.db, node.bus, node.keys, node.sites, node.credentials, transport_for)  # another process's, on the same rows
    first = await office.visit()
    assert first.badge is not None and first.badge.number == 1
    mine = node.badges
    numbers = [1]
    for turn in range(6):
        node.badges = mine if turn % 2 else other
        visit = await office.visit()
        assert visit.badge is not None
        numbers.append(visit.badge.number)
    assert numbers == [1, 2, 3, 4, 5, 6, 7]
    elsewhere = await office.visit(site=office.other)
    assert elsewhere.badge is not None and elsewhere.badge.number == 1


async def test_check_ins_side_by_side_get_numbers_of_their_own(office: FrontOffice) -> None:
    visits = await asyncio.gather(*(office.visit() for _ in range(20)))
    assert sorted(v.badge.number for v in visits if v.badge) == list(range(1, 21))


async def test_a_school_without_a_printer_issues_badges_all_the_same(office: FrontOffice, client: Any) -> None:
    visit = await office.visit(site=office.other)
    assert await office.jobs(visit) == []
    picture = await client.get(
        f"/api/v1/visits/{visit.id}/badge.png", headers=await token_for(office, "desk", office.other.id)
    )
    assert picture.status_code == 200 and picture.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(picture.content)) as image:
        assert image.format == "PNG" and image.width == 576
        import zxingcpp

        assert [found.text for found in zxingcpp.read_barcodes(image.convert("L"))] == [visit.token]


async def test_a_void_badge_is_taken_out_of_the_line(office: FrontOffice) -> None:
    visit = await office.visit()
    async with office.node.db.transaction() as tx:
        await office.node.badges.void(tx, office.site.id, visit.id, "checked_out")
    async with office.printing():
        later = await office.visit()
        await until(lambda: _state(office, later, "printed"))
    assert office.desk.count == 1 and scanned(office.desk.printed[0]) == [later.token]
    [job] = await office.jobs(visit)
    assert job["state"] == "cancelled" and job["reason"] == "the visit is over"
    assert await office.node.badges.live(office.site.id, visit.id) is None
    async with office.node.db.transaction() as tx:  # ending twice changes nothing
        await office.node.badges.void(tx, office.site.id, visit.id, "checked_out")
    assert visit.badge is not None and await office.audited(visit.badge.id) == ["badge.issued", "badge.voided"]


async def test_a_rolled_back_check_in_leaves_neither_badge_nor_job(office: FrontOffice) -> None:
    before = await office.visit(badge=False)
    with pytest.raises(RuntimeError, match="the screening moved"):
        async with office.node.db.transaction() as tx:
            await office.node.badges.issue(
                tx, site_id=office.site.id, visit_id=before.id, station=office.kiosk, expires_at=datetime.now(UTC) + timedelta(hours=1)
            )
            raise RuntimeError("the screening moved")
    assert await office.jobs() == [] and await office.node.badges.live(office.site.id, before.id) is None


# ── reprint ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_reprint_voids_the_old_token_moves_the_credential_and_prints_once_more(office: FrontOffice, client: Any) -> None:
    async with office.printing():
        visit = await office.visit()
        await until(lambda: _state(office, visit, "printed"))
        answer = await client.post(
            f"/api/v1/visits/{visit.id}/badge/reprint", json={"reason": "It fell into the sink"},
            headers=await token_for(office, "desk", office.site.id),
        )
        assert answer.status_code == 201, answer.text
        badge = answer.json()["badge"]
        await until(lambda: office.desk.count == 2)
    assert visit.badge is not None
    assert badge["token"] != visit.token and badge["replaces"] == str(visit.badge.id) and badge["number"] == visit.badge.number + 1
    assert scanned(office.desk.printed[1]) == [badge["token"]]
    old = await office.node.badges.badge(visit.badge.id)
    assert old is not None and old.status == "void" and old.void_reason == "It fell into the sink"
    credential = await office.node.credentials.of_visit(office.site.id, visit.id)
    assert credential is not None and str(credential.badge_id) == badge["id"] and credential.state == "active"
    assert await office.audited(UUID(badge["id"])) == ["badge.reprinted"]
    async with office.node.db.connection() as conn:
        assert "sink" not in await conn.fetchval("select string_agg(detail::text, ' ') from audit")


async def test_a_reprint_that_meets_the_check_out_leaves_no_badge_in_force(office: FrontOffice) -> None:
    visit, node, desk = await office.visit(), office.node, desk_at(office)
    assert visit.badge is not None

    async def check_out() -> None:
        async with node.db.transaction() as tx:
            await node.badges.void(tx, office.site.id, visit.id, "checked_out")

    async with node.db.transaction() as tx:
        # The reprint holds the old badge's row; the check-out comes to wait for it, having looked before it committed.
        await tx.conn.execute("select 1 from badges where id = $1 for update", visit.badge.id)
        waiting = asyncio.create_task(check_out())
        async with node.db.connection() as conn:
            await until(lambda: waits_for(conn, tx.conn))
        await tx.conn.execute("update badges set status = 'void' where id = $1", visit.badge.id)
        await node.badges._add(tx, office.site.id, visit.id, visit.badge.expires_at, visit.badge.id)
    await waiting
    assert await node.badges.live(office.site.id, visit.id) is None
    with pytest.raises(NoBadge):
        await node.badges.reprint(desk, office.site.id, visit.id, "torn")


async def test_a_reprint_while_the_first_still_waits_prints_only_the_new_one(office: FrontOffice) -> None:
    visit = await office.visit()
    new = await office.node.badges.reprint(desk_at(office), office.site.id, visit.id, "name misspelled")
    async with office.printing():
        later = await office.visit()  # behind both in the line
        await until(lambda: _state(office, later, "printed"))
    assert [scanned(badge) for badge in office.desk.printed] == [[office.node.badges.token(new)], [later.token]]


async def test_a_reprint_needs_a_reason_a_badge_and_the_right_desk(office: FrontOffice, client: Any) -> None:
    visit, gone = await office.visit(), await office.visit()
    async with office.node.db.transaction() as tx:
        await office.node.badges.void(tx, office.site.id, gone.id, "checked_out")
    badges, desk = office.node.badges, desk_at(office)
    with pytest.raises(ReasonMissing):
        await badges.reprint(desk, office.site.id, visit.id, "  ")
    with pytest.raises(NoBadge):
        await badges.reprint(desk, office.site.id, gone.id, "lost")
    with pytest.raises(NotFound):
        await badges.reprint(Principal("account", new_id(), "", (Grant("desk", office.other.id),)), office.site.id, visit.id, "lost")
    with pytest.raises(Forbidden):
        await badges.reprint(Principal("account", new_id(), "", (Grant("hall", office.site.id),)), office.site.id, visit.id, "lost")
    foreign = await token_for(office, "desk", office.other.id)
    for path, expected in ((visit.id, "not-found"), (new_id(), "unknown-visit")):
        answer = await client.post(f"/api/v1/visits/{path}/badge/reprint", json={"reason": "lost"}, headers=foreign)
        assert (answer.status_code, answer.json()["type"]) == (404, expected)
    answer = await client.post(
        f"/api/v1/visits/{visit.id}/badge/reprint", json={"reason": "lost", "copies": 2}, headers=await token_for(office, "desk", None)
    )
    assert answer.status_code == 400


# ── printers and their lines ─────────────────────────────────────────────────────────────────────────────────


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
        await until(lambda: _state(office, prompt, "printed"))
        [job] = await office.jobs(waiting)
        assert job["state"] == "queued" and office.library.count == 1
        await office.desk.start()
        await until(lambda: _state(office, waiting, "printed"))
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
        await until(lambda: _state(office, visit, "printed"))
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
        await until(lambda: _state(office, visit, "printed"))
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
        await until(lambda: _state(office, visit, "printed"))
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
        await until(lambda: _state(office, visit, "printed"))
        await until(lambda: _says(office, "is not set up rightly"))


async def test_a_printer_given_a_new_address_is_used_without_a_restart(office: FrontOffice) -> None:
    await office.desk.stop()
    async with office.printing() as worker:
        visit = await office.visit()
        await until(lambda: _says(office, "refuses the connection"))
        async with office.node.db.transaction() as tx:
            await office.node.sites.set_printer_address(tx, office.printers[0].id, f"tcp://127.0.0.1:{office.library.port}")
        await until(lambda: _state(office, visit, "printed"))
        assert worker.printing
    assert office.library.count == 1


async def test_without_a_program_that_prints_the_desk_is_told(office: FrontOffice) -> None:
    visit = await office.visit()
    assert (await office.words())[0] == "no running program prints at Front desk; badges wait, 1 in line"
    async with office.printing():
        await until(lambda: _state(office, visit, "printed"))


async def test_a_badge_whose_time_has_passed_in_line_is_not_printed_and_says_why(office: FrontOffice) -> None:
    visit = await office.visit(hours=-1)
    async with office.printing():
        await until(lambda: _state(office, visit, "failed"))
    [job] = await office.jobs(visit)
    assert job["reason"] == "it was no longer valid when its turn came" and office.desk.count == 0


async def test_a_badge_that_cannot_be_drawn_fails_with_its_reason_and_the_next_one_prints(office: FrontOffice) -> None:
    office.name = ""
    async with office.printing():
        visit = await office.visit()
        await until(lambda: _state(office, visit, "failed"))
        office.name = "Jo Doe"
        fine = await office.visit()
        await until(lambda: _state(office, fine, "printed"))
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
        await until(lambda: _state(office, first, "printed"))
        pool = office.node.badges.drawing._pool
        assert pool is not None
        for pid in list(pool._processes):
            os.kill(pid, signal.SIGKILL)
        second = await office.visit()
        await until(lambda: _state(office, second, "printed"))
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


# ── rules without a database ─────────────────────────────────────────────────────────────────────────────────


def _printer(site: UUID, name: str = "p") -> PrinterRow:
    return PrinterRow(new_id(), site, name, "tcp://127.0.0.1", "epson-tm", "80mm")


def test_a_badge_prints_at_its_stations_printer_else_at_the_desks_else_at_any() -> None:
    site = new_id()
    one, two = _printer(site), _printer(site)
    kiosk = Station(new_id(), site, "kiosk", "A kiosk", one.id, None)
    desk = Station(new_id(), site, "desk", "Z desk", two.id, None)
    bare = Station(new_id(), site, "kiosk", "Bare", None, None)
    retired = Station(new_id(), site, "kiosk", "Old", new_id(), None)
    assert printer_of(kiosk, [one, two], [kiosk, desk]) == one.id
    assert printer_of(bare, [one, two], [kiosk, desk, bare]) == two.id
    assert printer_of(retired, [one], [retired]) == one.id
    assert printer_of(bare, [], [bare]) is None and printer_of(None, [], []) is None


def test_a_second_printer_takes_over_only_within_its_school() -> None:
    site, other = new_id(), new_id()
    one, two, far = _printer(site), _printer(site), _printer(other)
    stations = [
        Station(new_id(), site, "kiosk", "B", one.id, two.id), Station(new_id(), site, "kiosk", "A", two.id, far.id),
        Station(new_id(), site, "kiosk", "C", two.id, two.id),
    ]
    assert fallbacks([one, two, far], stations) == {one.id: two.id}


@pytest.mark.parametrize(("status", "hours", "words"), [("void", 1, "void"), ("issued", -1, "past its time"), ("issued", 1, None)])
def test_only_a_badge_in_force_is_printed(status: Any, hours: int, words: str | None) -> None:
    now = datetime.now(UTC)
    row = BadgeRow(new_id(), new_id(), new_id(), now.date(), 1, status, "k", now, now + timedelta(hours=hours))
    refusal = refusal_to_print(row, now)
    assert (refusal is None) if words is None else words in str(refusal)
    assert "no longer known" in str(refusal_to_print(None, now))


def test_what_is_told_of_a_badge_shows_no_name() -> None:
    from visitor.badges.models import BadgeContent

    assert "Doe" not in repr(BadgeContent(name="Jo Doe", category=Category.GUARDIAN, photo=b"x"))


async def _state(office: FrontOffice, visit: Any, state: str) -> bool:
    return [job["state"] for job in await office.jobs(visit)] == [state]


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

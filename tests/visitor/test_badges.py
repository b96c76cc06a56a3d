"""A badge's life on a real database, from check-in to void, printed by printers that decode what they receive."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from PIL import Image

from printers import Category
from tests.front_office import FrontOffice, desk_at, scanned, state_is, token_for
from tests.waiting import until, waits_for
from visitor.badges.models import BadgeRow, NoBadge, ReasonMissing, fallbacks, printer_of, refusal_to_print
from visitor.errors import Forbidden, NotFound
from visitor.hardware import transport_for
from visitor.ids import new_id
from visitor.keys import token_bytes
from visitor.security import Grant, Principal
from visitor.sites.models import PrinterRow, Station

# ── a badge's life ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_badge_issued_comes_out_of_the_stations_printer_with_a_code_that_says_its_token(office: FrontOffice) -> None:
    async with office.printing():
        visit = await office.visit()
        await until(lambda: office.desk.count == 1)
        await until(lambda: state_is(office, visit, "printed"))
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
        await until(lambda: state_is(office, later, "printed"))
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
        await until(lambda: state_is(office, visit, "printed"))
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
        await until(lambda: state_is(office, later, "printed"))
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

"""A list changes while visitors are here: each is screened again, the desk learns of whoever matches now, and nothing is asked twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from tests.waiting import PATIENCE_SECONDS, until
from visitor.db import Event
from visitor.ids import new_id
from visitor.screening.models import Clear, MatchRow, PossibleMatch, ScreeningRow
from visitor.visits.rescreening import compared
from watchlists import Entry, Name

WANDA = {"family_name": "Zielinska", "given_name": "Wanda", "middle_names": ["Irena"], "birth_date": "1979-02-03", "sex": "F", "number": "W1"}
LISTED = Entry("F-9", (Name("ZIELINSKA", "WANDA", "IRENA"),), ("1979-02-03",), "F", category="fictitious")
OTHERS = [Entry(f"F-{n}", (Name(family, given),), (born,), "M", category="fictitious") for n, family, given, born in (
    (1, "REYES", "DANIEL", "1986-03-14"), (2, "HARGROVE", "WENDELL", "1971-11-02"), (3, "QUILLFEATHER", "OSWIN", "1990-01-31"),
)]  # fmt: skip
Importing = Callable[..., Awaitable[None]]


@pytest.fixture
def school(oak_school: Any) -> Any:
    return oak_school


@pytest.fixture
def imported(school: Any, tmp_path: Path) -> Importing:
    async def load(*entries: Entry) -> None:
        file = tmp_path / f"{new_id()}.jsonl"
        file.write_bytes(b"".join(msgspec.json.encode(entry) + b"\n" for entry in (*OTHERS, *entries)))
        await school.node.registries.import_list("system", "offenders", "entries-jsonl", file, allow_shrink=True)

    return load


async def checked_in(school: Any, purpose: str = "meeting", **document: Any) -> dict[str, Any]:
    answer = await school.desk.post("/api/v1/check-ins", json={**school.check_in_body(**{**WANDA, **document}), "purpose": purpose})
    assert answer.status_code == 201, answer.text
    visit: dict[str, Any] = answer.json()["visit"]
    return visit


async def shown(school: Any, visit: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await school.desk.get(f"/api/v1/visits/{visit['id']}")).json()["visit"]
    return found


async def screened(school: Any, visit: dict[str, Any], outcome: str) -> dict[str, Any]:
    """The visit, once its screening has come to that."""

    async def seen() -> bool:
        return bool((await shown(school, visit))["screening"]["outcome"] == outcome)

    await until(seen)
    return await shown(school, visit)  # again: that answer's visit may have been read a moment before its screening


async def settled(school: Any) -> None:
    """Until everybody's screening is against the lists as they are, but for those that are left standing."""
    rescreening = school.node.rescreening
    for visit_id in await rescreening.outdated():
        await rescreening.again(visit_id)


async def decide(school: Any, visit: dict[str, Any], outcome: str) -> None:
    path = f"/api/v1/screenings/{visit['screening']['id']}/decision"
    answer = await school.desk.post(path, json={"outcome": outcome, "reason": "compared with the photo"})
    assert answer.status_code == 200, answer.text


async def test_a_visitor_who_is_inside_and_becomes_a_match_is_shown_to_the_desk_at_once(school: Any, imported: Importing) -> None:
    visit = await checked_in(school)
    assert visit["status"] == "on_site" and visit["screening"]["outcome"] == "clear"
    async with school.node.bus.subscribe() as queue, asyncio.timeout(PATIENCE_SECONDS):
        await imported(LISTED)
        now = await screened(school, visit, "possible_match")
        event: Event = await queue.get()  # told after the commit, so it may come a moment later than the row
        while (event.topic, event.subject) != ("visits", UUID(visit["id"])):
            event = await queue.get()
    assert now["status"] == "on_site" and now["badge"] == visit["badge"] and not now["screening"]["decided"]
    assert [match["entry_id"] for match in now["screening"]["matches"]] == ["F-9"]
    async with school.node.db.connection() as conn:
        [row] = await conn.fetch("select actor, detail from audit where action = 'screening.repeated'")
        assert await conn.fetchval("select superseded_by from screenings where id = $1", UUID(visit["screening"]["id"]))
    assert row["actor"] == "system" and row["detail"]["visit"] == visit["id"] and row["detail"]["outcome"] == "possible_match"
    assert "zielinska" not in str(dict(row)).lower()
    await decide(school, now, "confirmed")
    gone = await school.desk.post(f"/api/v1/visits/{visit['id']}/remove", json={"reason": "led out by staff"})
    assert gone.status_code == 200 and gone.json()["visit"]["status"] == "removed"


@pytest.mark.parametrize("number", ["W1", None])
async def test_what_was_settled_is_not_asked_again_and_another_entry_is(school: Any, imported: Importing, number: str | None) -> None:
    """With a document by the clearance, without one by the screening of this very visit."""
    visit = await checked_in(school, number=number)
    if visit["status"] == "held":
        approved = await school.desk.post(f"/api/v1/visits/{visit['id']}/approve", json={"reason": "known to us"})
        assert approved.json()["visit"]["status"] == "on_site", approved.text
    await imported(LISTED)
    await decide(school, await screened(school, visit, "possible_match"), "cleared")
    await imported(LISTED, Entry("F-10", (Name("OKONKWO", "BENEDICT"),), ("1964-08-30",), "M", category="fictitious"))
    await settled(school)
    now = await shown(school, visit)
    assert now["screening"]["outcome"] in ("cleared", "clear") and now["screening"]["decided"]
    await imported(LISTED, msgspec.structs.replace(LISTED, id="F-11"))
    now = await screened(school, visit, "possible_match")
    assert [m["entry_id"] for m in now["screening"]["matches"] if m["cleared_before"] is None] == ["F-11"]
    assert now["status"] == "on_site"


async def test_a_person_barred_at_the_desk_is_found_among_those_inside(school: Any) -> None:
    visit = await checked_in(school)
    body = {
        "site_id": str(school.oak), "family_name": "Zielinska", "given_name": "Wanda", "birth_date": "1979-02-03", "sex": "F",
        "reason": "threatened a teacher",
    }
    answer = await school.desk.post("/api/v1/barred-entries", json=body)
    assert answer.status_code == 201, answer.text
    now = await screened(school, visit, "possible_match")
    assert now["status"] == "on_site" and now["screening"]["matches"][0]["list"] == "barred"


async def test_a_held_visitor_is_approved_by_no_older_list(school: Any, imported: Importing) -> None:
    visit = await checked_in(school, purpose="delivery")
    assert visit["status"] == "held" and visit["reason"] == "needs-staff"
    await imported(LISTED)
    path = f"/api/v1/visits/{visit['id']}/approve"
    early = await school.desk.post(path, json={"reason": "expected"})
    assert early.status_code == 409 and early.json()["type"] == "screening-undecided"
    now = await screened(school, visit, "possible_match")
    assert now["reason"] == "possible-match"
    await imported()  # the entry is withdrawn: nothing is left to decide but the visit
    now = await screened(school, visit, "clear")
    assert (now["status"], now["reason"]) == ("held", "needs-staff")
    assert (await school.desk.post(path, json={"reason": "expected"})).status_code == 200


async def test_nobody_is_led_in_past_a_match_found_while_waiting_for_the_escort(school: Any, imported: Importing) -> None:
    visit = await checked_in(school, purpose="contractor")
    assert visit["status"] == "awaiting_escort"
    await imported(LISTED)
    now = await screened(school, visit, "possible_match")
    path, body = f"/api/v1/visits/{visit['id']}/escort/accept", {"staff_id": str(school.host)}
    early = await school.hall.post(path, json=body)
    assert early.status_code == 409 and early.json()["type"] == "screening-undecided"
    await decide(school, now, "cleared")
    assert (await school.hall.post(path, json=body)).json()["visit"]["status"] == "on_site"


async def test_a_list_that_changed_while_nobody_ran_is_caught_up_with_at_the_start(school: Any, imported: Importing) -> None:
    visit = await checked_in(school)
    rescreening = school.node.rescreening
    await rescreening.stop()
    await imported(LISTED)
    assert (await shown(school, visit))["screening"]["outcome"] == "clear"
    assert await rescreening.outdated() == [UUID(visit["id"])]
    await rescreening.start()
    await screened(school, visit, "possible_match")
    await until(lambda: _none(rescreening.outdated()))


async def test_the_page_asks_about_a_visitor_who_is_inside(school: Any, imported: Importing) -> None:
    visit = await checked_in(school)
    await imported(LISTED)
    await screened(school, visit, "possible_match")
    board = (await school.desk.get(f"/desk/board?site={school.oak}", headers={"accept": "text/html"})).text
    assert "Inside; possible match" in board
    page = (await school.desk.get(f"/desk/visits/{visit['id']}", headers={"accept": "text/html"})).text
    assert "A list changed after this visitor came in" in page and "Not the same person" in page and "Print badge again" not in page


async def _none(found: Awaitable[list[UUID]]) -> bool:
    return not await found


# ── the rule ─────────────────────────────────────────────────────────────────────────────────────────────────


def match(entry_id: str, *, cleared: bool = False, digest: str = "aa") -> MatchRow:
    return MatchRow(
        new_id(), entry_id, "offenders", 30.0, "red", {}, (), (), (), digest, cleared_before=UUID(int=1) if cleared else None
    )


def before(outcome: Any, *matches: MatchRow) -> ScreeningRow:
    return ScreeningRow(UUID(int=2), UUID(int=3), UUID(int=4), outcome, "", {"offenders": 1}, matches, datetime.now(UTC), None, "", None)


A, B = match("A"), match("B")
OLD = match("A", cleared=True)


@pytest.mark.parametrize(
    ("row", "found", "weak", "asked"),
    [
        (before("clear"), (), False, []),
        (before("clear"), (A,), False, ["A"]),
        (before("clear", OLD), (A,), False, ["A"]),  # its clearance was revoked
        (before("clear", OLD), (A,), True, []),
        (before("clear", OLD), (match("A", digest="bb"),), True, ["A"]),  # the entry changed
        (before("unavailable"), (A,), False, ["A"]),
        (before("unavailable"), (), False, []),
        (before("possible_match", A), (A,), False, None),
        (before("possible_match", A), (A, B), False, ["A", "B"]),
        (before("possible_match", A), (), False, []),
        (before("escalated", A), (), False, None),
        (before("escalated", A), (A, B), False, ["A", "B"]),
        (before("cleared", A), (OLD,), False, None),
        (before("cleared", A), (A,), True, None),
        (before("cleared", A), (A, B), True, ["B"]),
        (before("confirmed", A), (A, B), False, None),
    ],
)
def test_what_a_repeated_screening_asks(row: ScreeningRow, found: tuple[MatchRow, ...], weak: bool, asked: list[str] | None) -> None:
    open_ones = any(m.cleared_before is None for m in found)
    verdict = PossibleMatch({"offenders": 2}, found) if open_ones else Clear({"offenders": 2}, found)
    answer = compared(row, verdict, weak=weak)
    if asked is None:
        assert answer is None
    else:
        assert answer is not None and answer.revisions == {"offenders": 2}
        assert [m.entry_id for m in answer.matches if m.cleared_before is None] == asked
        assert isinstance(answer, PossibleMatch if asked else Clear)

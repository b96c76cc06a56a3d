"""Screening: verdicts with their evidence, never clear by failure; decisions, and the clearances that follow from them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tests.listings import ENTRIES, MARLOW, OSKARI, STRANGER, Listings, known_as
from tests.waiting import until, waits_for
from visitor.errors import NotFound
from visitor.ids import new_id
from visitor.people.models import PersonFacts
from visitor.screening.models import AlreadyDecided, Clear, NothingToDecide, PossibleMatch, Unavailable
from visitor.security import Grant, Principal
from watchlists import Name


@pytest.fixture
def hang() -> Iterator[threading.Event]:
    """What a hanging matcher waits for; set at the end, so that no thread outlives its test."""
    event = threading.Event()
    yield event
    event.set()


def desk(lists: Listings) -> Principal:
    return Principal("account", new_id(), "Desk", (Grant("desk", lists.site.id),))


async def age(lists: Listings, hours: float) -> None:
    """Make what is in force look imported so long ago."""
    async with lists.node.db.transaction() as tx:
        at = datetime.now(UTC) - timedelta(hours=hours)
        await tx.conn.execute("update watchlist_revisions set imported_at = $1", at)
    await lists.node.registries.refresh()


# ── verdicts ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_stranger_is_clear_and_a_listed_person_a_possible_match(lists: Listings) -> None:
    await lists.load()
    clear = await lists.screen(STRANGER)
    assert isinstance(clear, Clear) and clear.revisions == {"offenders": 1} and clear.matches == () and not clear.by_name_only
    found = await lists.screen(known_as(MARLOW))
    assert isinstance(found, PossibleMatch)
    (match,) = found.matches
    assert (match.list, match.entry_id, match.band, match.revision) == ("offenders", "F-1", "red", 1)
    assert match.bits == pytest.approx(sum(match.evidence.values())) and match.evidence["birth_date"] > 5
    assert any("birth date is the same" in s for s in match.sentences_en) and len(match.sentences_en) == len(match.sentences_es)


async def test_an_alias_is_found_as_well(lists: Listings) -> None:
    await lists.load()
    found = await lists.screen(PersonFacts("Calloway", "Lucy", birth_date=known_as(ENTRIES[1]).birth_date, sex="F"))
    assert isinstance(found, PossibleMatch) and found.matches[0].entry_id == "F-2"


async def test_without_a_birth_date_a_clear_verdict_says_so(lists: Listings) -> None:
    await lists.load()
    verdict = await lists.screen(msgspec.structs.replace(STRANGER, birth_date=None))
    assert isinstance(verdict, Clear) and verdict.by_name_only


async def test_a_document_without_a_name_is_never_clear(lists: Listings) -> None:
    await lists.load()
    for name in ("", "  ", "12345", "***"):
        verdict = await lists.screen(PersonFacts(name, name, birth_date=STRANGER.birth_date))
        assert isinstance(verdict, Unavailable) and verdict.reason == "no-name", name


async def test_odd_names_get_a_verdict(lists: Listings) -> None:
    await lists.load()
    for name in ("Ünïcødé Ğ", "王小明", "😀 Smith", "x" * 10_000, "a\x00b", "עברית"):
        assert isinstance(await lists.screen(PersonFacts(name, "Ann", birth_date=STRANGER.birth_date)), Clear), name


async def test_no_list_is_unavailable(lists: Listings) -> None:
    verdict = await lists.screen(STRANGER)
    assert isinstance(verdict, Unavailable) and verdict.reason == "no-lists" and "No list is loaded" in verdict.detail
    assert "Visitors are held" in lists.node.registries.trouble()


async def test_a_barred_list_alone_is_not_enough_to_clear(lists: Listings) -> None:
    async with lists.node.db.transaction() as tx:
        await lists.node.registries.bar(tx, lists.site.id, OSKARI, "trespass", "system")
    assert (await lists.screen(STRANGER)).reason == "no-lists"


async def test_a_required_list_never_imported_is_unavailable(lists: Listings) -> None:
    await lists.load()
    async with lists.node.db.transaction() as tx:
        await lists.node.registries.add_list(tx, "sanctions", title="Sanctions")
    verdict = await lists.screen(STRANGER)
    assert isinstance(verdict, Unavailable) and verdict.reason == "list-missing" and "Sanctions" in verdict.detail


async def test_a_list_that_is_not_required_may_be_missing(lists: Listings) -> None:
    await lists.load()
    async with lists.node.db.transaction() as tx:
        await lists.node.registries.add_list(tx, "courtesy", required=False)
    assert isinstance(await lists.screen(STRANGER), Clear)


async def test_a_stale_required_list_is_unavailable_until_it_is_imported_again(lists: Listings) -> None:
    await lists.load()
    await age(lists, 24 * 8 + 1)
    verdict = await lists.screen(STRANGER)
    assert isinstance(verdict, Unavailable) and verdict.reason == "list-stale" and "Offenders" in verdict.detail
    assert lists.node.registries.lists()[0].stale and "too old" in lists.node.registries.trouble()
    result = await lists.load()
    assert (result.revision, result.added, result.removed, result.changed) == (2, 0, 0, 0)
    assert isinstance(await lists.screen(STRANGER), Clear) and lists.node.registries.trouble() == ""


@pytest.mark.parametrize(("own_age", "hours", "stale"), [(0, 24 * 400, False), (2, 3, True), (24 * 30, 24 * 20, False)])
async def test_a_list_may_have_an_age_of_its_own(lists: Listings, own_age: float, hours: float, stale: bool) -> None:
    async with lists.node.db.transaction() as tx:
        await lists.node.registries.add_list(tx, "offenders", max_age_hours=own_age)
    await lists.load()
    await age(lists, hours)
    assert isinstance(await lists.screen(STRANGER), Unavailable if stale else Clear)


async def test_a_raising_matcher_is_unavailable_and_tells_no_name(
    lists: Listings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await lists.load()

    def fail(subject: Any) -> Any:
        raise ValueError(f"cannot compare {subject.name.family}")

    monkeypatch.setattr(lists.node.registries.matcher, "screen", fail)
    verdict = await lists.screen(STRANGER)
    assert isinstance(verdict, Unavailable) and verdict.reason == "matcher-failed"
    assert "Abernathy" not in caplog.text + verdict.detail


async def test_a_raising_explanation_is_unavailable(lists: Listings, monkeypatch: pytest.MonkeyPatch) -> None:
    await lists.load()
    monkeypatch.setattr(lists.node.registries.matcher, "explain", lambda match: 1 / 0)
    assert (await lists.screen(known_as(MARLOW))).reason == "matcher-failed"


async def test_a_hanging_matcher_is_unavailable_in_time_and_the_loop_goes_on(
    lists: Listings, monkeypatch: pytest.MonkeyPatch, hang: threading.Event
) -> None:
    await lists.load()
    registries = lists.node.registries
    monkeypatch.setattr(registries, "_settings", msgspec.structs.replace(registries._settings, timeout_seconds=0.1))
    monkeypatch.setattr(registries.matcher, "screen", lambda subject: hang.wait(30))
    verdicts = await asyncio.gather(*(lists.screen(STRANGER) for _ in range(12)), lists.node.policies.current())
    assert {v.reason for v in verdicts[:-1]} == {"matcher-failed"} and "0.1 seconds" in verdicts[0].detail


async def test_a_lost_database_while_looking_for_clearances_is_unavailable(lists: Listings, monkeypatch: pytest.MonkeyPatch) -> None:
    from visitor.errors import Unavailable as Away
    from visitor.screening import store

    async def away(*_: Any) -> Any:
        raise Away("The database is not answering.")

    await lists.load()
    monkeypatch.setattr(store, "clearances", away)
    assert (await lists.screen(known_as(MARLOW))).reason == "matcher-failed"


# ── the record ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_screening_is_kept_with_its_evidence_and_its_words_sealed(lists: Listings) -> None:
    await lists.load()
    row = await lists.screened(known_as(MARLOW))
    assert row.outcome == "possible_match" and row.undecided
    assert await lists.node.screening.latest(lists.site.id, row.visit_id) == row
    async with lists.node.db.connection() as conn:
        kept = str(await conn.fetchval("select matches::text from screenings where id = $1", row.id))
    assert "F-1" in kept and "birth_date" in kept
    for value in ("MARLOWE", "Marlowe", "TOBIAS", "1969"):
        assert value not in kept


async def test_a_repeated_screening_takes_the_place_of_the_first(lists: Listings) -> None:
    await lists.node.rescreening.stop()  # or it would repeat the first too, once the list is there
    visit_id, _ = await lists.visit()
    screening, site = lists.node.screening, lists.site.id
    async with lists.node.db.transaction() as tx:
        first = await screening.record(tx, site, visit_id, await lists.screen(STRANGER))
    assert first.outcome == "unavailable" and first.reason == "no-lists"
    await lists.load()
    async with lists.node.db.transaction() as tx:
        second = await screening.record(tx, site, visit_id, await lists.screen(STRANGER), supersedes=first.id)
    assert (await screening.latest(site, visit_id)).id == second.id and second.outcome == "clear"
    with pytest.raises(AlreadyDecided):
        await screening.decide(desk(lists), first.id, "cleared", "too late")
    with pytest.raises(NotFound):
        await screening.latest(site, new_id())


async def test_a_verdict_is_out_of_date_when_a_list_moved(lists: Listings) -> None:
    await lists.load()
    screening = lists.node.screening
    before = await lists.screen(STRANGER)
    async with lists.node.screening.acting() as tx:
        assert await screening.still_current(tx, before)
    await lists.load((*ENTRIES, msgspec.structs.replace(OSKARI, id="F-4")))
    async with lists.node.screening.acting() as tx:
        assert not await screening.still_current(tx, before)
    after = await lists.screen(STRANGER)
    async with lists.node.screening.acting() as tx:
        assert await screening.still_current(tx, after) and after.revisions == {"offenders": 2}
        assert await screening.still_current(tx, Unavailable({}, "no-lists", ""))


async def test_no_list_moves_between_the_comparison_and_the_commit(lists: Listings) -> None:
    await lists.load()
    verdict = await lists.screen(STRANGER)
    entered, order = asyncio.Event(), []

    async def bar() -> None:
        await entered.wait()
        async with lists.node.db.transaction() as tx:
            await lists.node.registries.bar(tx, lists.site.id, OSKARI, "trespass", "system")
        order.append("barred")

    task = asyncio.create_task(bar())
    async with lists.node.screening.acting() as tx:
        assert await lists.node.screening.still_current(tx, verdict)
        entered.set()
        async with lists.node.db.connection() as conn:
            await until(lambda: waits_for(conn, tx.conn))
        order.append("committing")
    await task
    assert order == ["committing", "barred"]
    async with lists.node.screening.acting() as tx:
        assert not await lists.node.screening.still_current(tx, verdict)


async def test_no_screening_is_kept_that_its_own_lists_contradict(lists: Listings) -> None:
    """Somebody is barred and the barring lifted, over and over, while check-ins go on: an odd revision bars, an even one does not."""
    await lists.load()
    registries, screening, kept = lists.node.registries, lists.node.screening, []
    entry = msgspec.structs.replace(OSKARI, names=(Name("ABERNATHY", "RUTH"),), birth_dates=("1977-03-09",), sex="F")
    done = asyncio.Event()

    async def toggle() -> None:
        for turn in range(15):
            async with lists.node.db.transaction() as tx:
                row = await registries.bar(tx, lists.site.id, entry, "trespass", "system")
            await asyncio.sleep(turn % 3 * 0.02)
            if turn == 14:  # on a loaded machine none may have fitted in between
                await until(lambda: len(kept) > 20 and any(isinstance(verdict, PossibleMatch) for _, verdict in kept))
            async with lists.node.db.transaction() as tx:
                await registries.lift(tx, desk(lists), "barred_entries", row.id, "lifted")
        await until(lambda: any(isinstance(verdict, Clear) for _, verdict in kept))
        done.set()

    async def check_in() -> None:
        while not done.is_set():
            verdict = await lists.screen(STRANGER)
            async with lists.node.screening.acting() as tx:
                if await screening.still_current(tx, verdict) and not isinstance(verdict, Unavailable):
                    kept.append((await tx.conn.fetchval("select count(*) from barred_entries"), verdict))

    await asyncio.gather(toggle(), *(check_in() for _ in range(4)))
    assert len(kept) > 20
    for barrings, verdict in kept:
        revision = verdict.revisions.get("barred", 0)
        assert isinstance(verdict, PossibleMatch if revision % 2 else Clear) and revision in (2 * barrings - 1, 2 * barrings)
    assert {type(verdict) for _, verdict in kept} == {Clear, PossibleMatch}


# ── decisions and clearances ─────────────────────────────────────────────────────────────────────────────────


async def test_a_cleared_match_is_settled_for_the_same_person_everywhere(lists: Listings) -> None:
    await lists.load()
    row = await lists.screened(known_as(MARLOW))
    decided = await lists.node.screening.decide(desk(lists), row.id, "cleared", "another  person")
    assert decided.outcome == "cleared" and decided.reason == "another person" and not decided.undecided
    again = await lists.screen(known_as(MARLOW))
    assert isinstance(again, Clear) and again.matches[0].cleared_before is not None
    async with lists.node.db.connection() as conn:
        audit = await conn.fetchrow("select * from audit where action = 'screening.decided'")
    assert audit["detail"]["outcome"] == "cleared" and audit["detail"]["clearances"] == 1 and audit["subject_id"] == row.id


async def test_a_clearance_holds_for_no_other_person(lists: Listings) -> None:
    await lists.load()
    row = await lists.screened(known_as(MARLOW))
    await lists.node.screening.decide(desk(lists), row.id, "cleared", "another person")
    assert isinstance(await lists.screen(known_as(MARLOW, number="Z10")), PossibleMatch), "the same facts on another document"


async def test_a_clearance_ends_when_the_entry_changes(lists: Listings) -> None:
    await lists.load()
    row = await lists.screened(known_as(MARLOW))
    await lists.node.screening.decide(desk(lists), row.id, "cleared", "another person")
    changed = msgspec.structs.replace(MARLOW, names=(*MARLOW.names, Name("MARLOWE", "TOBY", kind="alias")))
    await lists.load((changed, *ENTRIES[1:]))
    assert isinstance(await lists.screen(known_as(MARLOW)), PossibleMatch)


async def test_a_clearance_outlives_a_revision_that_leaves_the_entry_alone(lists: Listings) -> None:
    await lists.load()
    row = await lists.screened(known_as(MARLOW))
    await lists.node.screening.decide(desk(lists), row.id, "cleared", "another person")
    await lists.load((*ENTRIES, msgspec.structs.replace(OSKARI, id="F-4")))
    assert isinstance(await lists.screen(known_as(MARLOW)), Clear)


async def test_a_clearance_ends_when_the_visitor_shows_something_else(lists: Listings) -> None:
    await lists.load()
    row = await lists.screened(known_as(MARLOW))
    await lists.node.screening.decide(desk(lists), row.id, "cleared", "another person")
    assert isinstance(await lists.screen(msgspec.structs.replace(known_as(MARLOW), middle_names="Q")), PossibleMatch)


async def test_a_revoked_clearance_shows_the_match_again(lists: Listings) -> None:
    await lists.load()
    row = await lists.screened(known_as(MARLOW))
    await lists.node.screening.decide(desk(lists), row.id, "cleared", "another person")
    clearance = (await lists.screen(known_as(MARLOW))).matches[0].cleared_before
    client = await lists.client("desk", lists.site.id)
    stranger = await lists.client("desk", lists.other.id)
    assert (await stranger.post(f"/api/v1/clearances/{clearance}/revoke", json={"reason": "x"})).status_code == 404
    for _ in range(2):
        assert (await client.post(f"/api/v1/clearances/{clearance}/revoke", json={"reason": "it was him"})).status_code == 200
    assert isinstance(await lists.screen(known_as(MARLOW)), PossibleMatch)
    async with lists.node.db.connection() as conn:
        assert await conn.fetchval("select count(*) from endings") == 1 and await conn.fetchval("select count(*) from clearances") == 1


async def test_nothing_is_settled_for_somebody_who_showed_no_document(lists: Listings) -> None:
    await lists.load()
    undocumented = msgspec.structs.replace(known_as(MARLOW), document_number="", document_issuer="")
    row = await lists.screened(undocumented)
    await lists.node.screening.decide(desk(lists), row.id, "cleared", "another person")
    assert isinstance(await lists.screen(undocumented), PossibleMatch), "whoever gives the same name and birth date"
    async with lists.node.db.connection() as conn:
        assert await conn.fetchval("select count(*) from clearances") == 0


async def test_one_open_match_beside_a_settled_one_is_still_a_possible_match(lists: Listings) -> None:
    await lists.load()
    row = await lists.screened(known_as(MARLOW))
    await lists.node.screening.decide(desk(lists), row.id, "cleared", "another person")
    await lists.load((*ENTRIES, msgspec.structs.replace(MARLOW, id="F-9")))
    found = await lists.screen(known_as(MARLOW))
    assert isinstance(found, PossibleMatch) and [m.entry_id for m in found.open] == ["F-9"] and len(found.matches) == 2


@pytest.mark.parametrize("steps", [["confirmed", "cleared"], ["cleared", "cleared"], ["escalated", "confirmed", "escalated"]])
async def test_what_is_decided_stays_decided(lists: Listings, steps: list[Any]) -> None:
    await lists.load()
    row = await lists.screened(known_as(MARLOW))
    for outcome in steps[:-1]:
        decided = await lists.node.screening.decide(desk(lists), row.id, outcome, "because")
        assert decided.outcome == outcome and decided.undecided is (outcome == "escalated")
    with pytest.raises(AlreadyDecided):
        await lists.node.screening.decide(desk(lists), row.id, steps[-1], "because")


async def test_only_a_match_can_be_decided(lists: Listings) -> None:
    unscreened = await lists.screened(STRANGER)
    with pytest.raises(NothingToDecide):  # before any list is there: once one is, the node screens again by itself
        await lists.node.screening.decide(desk(lists), unscreened.id, "cleared", "because")
    await lists.load()
    clear = await lists.screened(msgspec.structs.replace(STRANGER, document_number="B-2"))
    with pytest.raises(NothingToDecide):
        await lists.node.screening.decide(desk(lists), clear.id, "cleared", "because")


async def test_deciding_over_http_is_for_the_schools_own_desk(lists: Listings) -> None:
    await lists.load()
    row = await lists.screened(known_as(MARLOW))
    path, body = f"/api/v1/screenings/{row.id}/decision", {"outcome": "escalated", "reason": "the principal looks"}
    for role, site, status in (("desk", lists.other.id, 404), ("hall", lists.site.id, 403), ("respond", lists.site.id, 403)):
        assert (await (await lists.client(role, site)).post(path, json=body)).status_code == status
    client = await lists.client("desk", lists.site.id)
    for wrong in ({"outcome": "fine", "reason": "x"}, {"outcome": "cleared"}, {**body, "extra": 1}, {"outcome": "cleared", "reason": " "}):
        assert (await client.post(path, json=wrong)).status_code == 400
    assert (await client.post(f"/api/v1/screenings/{new_id()}/decision", json=body)).json()["type"] == "unknown-screening"
    answer = await client.post(path, json=body)
    assert answer.status_code == 200
    shown = answer.json()["screening"]
    assert shown["outcome"] == "escalated" and {"id", "entry_id", "list", "bits", "band", "evidence"} <= set(shown["matches"][0])

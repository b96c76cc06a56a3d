"""Entries kept by hand, barred persons and custody orders: found at once, at every school, for as long as they hold."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tests.listings import MARLOW, OSKARI, STRANGER, Listings, known_as, second_process
from tests.waiting import until
from visitor.errors import Forbidden
from visitor.ids import new_id
from visitor.registries.models import EntryProblem, first_day, in_term
from visitor.screening.models import Clear, PossibleMatch, subject_of
from watchlists import Entry, Name
from watchlists.testing import entries


def person(lists: Listings, **fields: Any) -> dict[str, Any]:
    return {
        "site_id": str(lists.site.id), "family_name": "Abernathy", "given_name": "Ruth", "birth_date": "1977-03-09", "sex": "F",
        "reason": "trespass notice 12", **fields,
    }


async def test_a_barred_person_is_found_at_once_and_a_lifted_one_no_more(lists: Listings) -> None:
    await lists.load()
    assert isinstance(await lists.screen(STRANGER), Clear)
    desk = await lists.client("desk", lists.site.id)
    answer = await desk.post("/api/v1/barred-entries", json=person(lists))
    assert answer.status_code == 201, answer.text
    entry_id = answer.json()["barred_entry"]["id"]
    found = await lists.screen(STRANGER)
    assert isinstance(found, PossibleMatch) and (found.matches[0].list, found.matches[0].entry_id) == ("barred", entry_id)
    assert found.revisions == {"offenders": 1, "barred": 1}
    assert (await lists.node.registries.entry("barred", entry_id)).names[0].family == "Abernathy"
    async with lists.node.screening.acting() as tx:
        assert await lists.node.screening.still_current(tx, found)
    shown = (await desk.get(f"/api/v1/barred-entries?site={lists.site.id}")).json()["barred_entries"]
    assert [e["family_name"] for e in shown] == ["Abernathy"]
    for _ in range(2):
        assert (await desk.post(f"/api/v1/barred-entries/{entry_id}/lift", json={"reason": "court order ended"})).status_code == 200
    clear = await lists.screen(STRANGER)
    assert isinstance(clear, Clear) and clear.revisions == {"offenders": 1, "barred": 2}
    assert await lists.count("endings") == 1 and await lists.count("barred_entries") == 1
    async with lists.node.db.connection() as conn:
        actions = [r["action"] for r in await conn.fetch("select action from audit where action like 'barred%' order by at")]
        told = str([dict(r) for r in await conn.fetch("select * from audit")])
    assert actions == ["barred_entry.added", "barred_entry.lifted"] and "Abernathy" not in told and "1977" not in told


async def test_a_custody_order_is_a_list_of_its_own(lists: Listings) -> None:
    await lists.load()
    desk = await lists.client("desk", lists.site.id)
    answer = await desk.post("/api/v1/custody-orders", json=person(lists, reason="No pick-up"))
    found = await lists.screen(STRANGER)
    assert isinstance(found, PossibleMatch) and found.matches[0].list == "custody"
    assert (await desk.get("/api/v1/custody-orders")).json()["custody_orders"][0]["reason"] == "No pick-up"
    order = answer.json()["custody_order"]["id"]
    assert (await desk.post(f"/api/v1/barred-entries/{order}/lift", json={"reason": "wrong list"})).status_code == 404
    assert (await desk.post(f"/api/v1/custody-orders/{order}/lift", json={"reason": "over"})).status_code == 200
    assert isinstance(await lists.screen(STRANGER), Clear)


async def test_another_schools_desk_neither_sees_nor_lifts(lists: Listings) -> None:
    desk, stranger = await lists.client("desk", lists.site.id), await lists.client("desk", lists.other.id)
    entry_id = (await desk.post("/api/v1/barred-entries", json=person(lists))).json()["barred_entry"]["id"]
    assert (await stranger.get("/api/v1/barred-entries")).json() == {"barred_entries": []}
    assert (await stranger.get(f"/api/v1/barred-entries?site={lists.site.id}")).status_code == 404
    assert (await stranger.post(f"/api/v1/barred-entries/{entry_id}/lift", json={"reason": "x"})).json()["type"] == "unknown-entry"
    assert (await stranger.post("/api/v1/barred-entries", json=person(lists))).status_code == 404
    assert (await (await lists.client("hall")).get("/api/v1/barred-entries")).status_code == 403


async def test_an_entry_that_cannot_be_searched_for_is_not_kept(lists: Listings) -> None:
    desk = await lists.client("desk", lists.site.id)
    wrong: list[dict[str, Any]] = [
        {"family_name": "", "given_name": ""}, {"birth_date": "1977-02-30"}, {"birth_date": "soon"}, {"reason": " "}, {"height_cm": 900},
        {"family_name": "x" * 5000}, {"unknown": 1}, {"sex": "Q"}, {"aliases": [{"family_name": "A"}] * 60},
    ]
    for fields in wrong:
        answer = await desk.post("/api/v1/barred-entries", json=person(lists, **fields))
        assert answer.status_code == 400, (fields, answer.text)
    assert await lists.count("barred_entries") == 0


async def test_a_barring_that_has_run_out_no_longer_counts(lists: Listings) -> None:
    await lists.load()
    while (now := datetime.now(UTC)).strftime("%H:%M") == "11:59":
        await asyncio.sleep(1)  # at noon the last place on Earth comes to its midnight
    today = first_day(now)
    for number, until_day in enumerate((today - timedelta(days=1), today, None)):
        async with lists.node.db.transaction() as tx:
            entry = Entry("", (Name("Abernathy", "Ruth"),), ("1977-03-09",), "F")
            row = await lists.node.registries.bar(tx, lists.site.id, entry, "trespass", "system", valid_until=until_day)
        found = await lists.screen(STRANGER)
        assert len(found.matches) == number
    assert isinstance(row.valid_until, date | None)


def test_a_term_holds_at_every_school() -> None:
    def stands(at: datetime, **fields: str) -> bool:
        return in_term(msgspec.structs.replace(MARLOW, fields=fields), at)

    evening = datetime(2026, 3, 11, 3, 0, tzinfo=UTC)  # the 10th, ten in the evening, in Chicago
    assert stands(evening) and stands(evening, expires_on="2026-03-10") and not stands(evening, expires_on="2026-03-09")
    assert stands(evening, issued_on="2026-03-11") and not stands(evening, issued_on="2026-03-13")


async def test_an_order_of_an_imported_list_counts_while_it_runs(lists: Listings) -> None:
    file = lists.folder / "barred.csv"
    head = "entry_id,family_name,given_name,birth_date,issued_on,expires_on\n"
    for term, verdict in (("2998-01-31,2999-01-31", Clear), ("2020-01-31,2999-01-31", PossibleMatch), (",", PossibleMatch)):
        file.write_text(f"{head}B-1,ABERNATHY,RUTH,1977-03-09,{term}\n")
        await lists.node.registries.import_list("system", "trespass", "barred-csv", file)
        assert isinstance(await lists.screen(STRANGER), verdict), term


async def test_many_barrings_are_searched_like_one(lists: Listings) -> None:
    await lists.load()
    registries = lists.node.registries
    people = list(entries(230, seed=5))
    async with lists.node.db.transaction() as tx:
        rows = [await registries.bar(tx, lists.site.id, e, "trespass", "system") for e in people[:225]]
    for entry in people[225:]:
        async with lists.node.db.transaction() as tx:
            rows.append(await registries.bar(tx, lists.site.id, entry, "trespass", "system"))
    for place in (0, 224, 229):
        ids = {m.entry_id for m in (await lists.screen(known_as(people[place]))).matches}
        assert str(rows[place].id) in ids
    assert next(one for one in registries.lists() if one.name == "barred").entries == 230


async def test_a_file_may_be_called_barred_beside_the_rows_kept_by_hand(lists: Listings) -> None:
    async with lists.node.db.transaction() as tx:
        row = await lists.node.registries.bar(tx, lists.site.id, Entry("", (Name("Abernathy", "Ruth"),), ("1977-03-09",)), "x", "system")
    await lists.load(name="barred")
    for facts, entry_id in ((STRANGER, str(row.id)), (known_as(MARLOW), "F-1")):
        found = await lists.screen(facts)
        assert [(m.list, m.entry_id) for m in found.matches] == [("barred", entry_id)]
        async with lists.node.screening.acting() as tx:
            assert await lists.node.screening.still_current(tx, found)
    assert found.revisions == {"barred": 2}


async def test_another_process_hears_of_a_barring(lists: Listings) -> None:
    await lists.load()
    async with second_process(lists, lists.folder / "second") as other:
        await until(lambda: not other.registries.trouble())
        async with lists.node.db.transaction() as tx:
            await lists.node.registries.bar(tx, lists.site.id, Entry("", (Name("Abernathy", "Ruth"),), ("1977-03-09",)), "x", "system")
        await until(lambda: other.registries.revisions() == {"offenders": 1, "barred": 1})
        assert isinstance(await other.screening.screen(subject_of(STRANGER)), PossibleMatch)


async def test_barring_takes_a_role_at_the_school(lists: Listings) -> None:
    from visitor.security import Grant, Principal

    hall = Principal("account", new_id(), "Hall", (Grant("hall", lists.site.id),))
    with pytest.raises(Forbidden):
        await lists.node.registries.keep(hall, "barred_entries", lists.site.id, OSKARI, "x")
    with pytest.raises(EntryProblem):
        async with lists.node.db.transaction() as tx:
            await lists.node.registries.bar(tx, lists.site.id, OSKARI, "y" * 501, "system")

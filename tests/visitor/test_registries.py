"""Lists in service: imported as revisions, indexed aside, exchanged at once; what cannot be read leaves the last good one in force."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.listings import ENTRIES, MARLOW, OSKARI, STRANGER, Listings, known_as, second_process, write
from tests.waiting import until
from visitor.ids import new_id
from visitor.registries.build import Job, run
from visitor.registries.models import (
    Counts,
    ImportRunning,
    ListName,
    ListRow,
    ListShrank,
    ListUnreadable,
    NoSuchEntry,
    UnknownFormat,
    UnknownList,
    shrunk,
    trouble,
)
from visitor.screening.models import Clear, PossibleMatch
from watchlists import Entry, Name
from watchlists.sources.snapshot import Limits
from watchlists.testing import entries

NOW = datetime(2026, 3, 10, tzinfo=UTC)


# ── the rules ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("before", "after", "removed", "what"),
    [
        (None, Counts(0, 0, 0), 0, None),
        (Counts(100, 150, 90), Counts(100, 150, 90), 0, None),
        (Counts(100, 150, 90), Counts(90, 140, 85), 10, None),
        (Counts(100, 150, 90), Counts(89, 150, 90), 11, "entries"),
        (Counts(100, 150, 90), Counts(100, 150, 90), 50, "entries"),  # half of them replaced by others
        (Counts(100, 150, 90), Counts(100, 100, 90), 0, "names"),  # the file of aliases was forgotten
        (Counts(100, 150, 90), Counts(100, 150, 0), 0, "birth_dates"),
        (Counts(3, 3, 3), Counts(1, 1, 1), 2, None),  # small lists move by whole persons
        (Counts(2, 2, 2), Counts(0, 0, 0), 2, "entries"),  # but are never emptied unseen
    ],
)
def test_a_list_may_lose_a_little(before: Counts | None, after: Counts, removed: int, what: str | None) -> None:
    loss = shrunk(before, after, removed, Limits())
    assert (loss and loss.what) == what
    if loss:
        assert str(loss.before) in loss.sentence


def test_why_nobody_can_be_screened() -> None:
    def row(**fields: Any) -> ListRow:
        return msgspec.structs.replace(
            ListRow(new_id(), "a", "A", "offenders", True, None, None, None, new_id(), 3, 10, NOW - timedelta(hours=1)), **fields
        )

    def why(rows: list[ListRow], searched: dict[str, int]) -> str | None:
        found = trouble(rows, searched, NOW, 24)
        return found and found[0]

    old = NOW - timedelta(hours=25)
    assert why([], {}) == "no-lists"
    assert why([row(revision=0, required=False)], {}) == "no-lists"
    assert why([row()], {}) == "list-missing"
    assert why([row(required=False)], {}) == "list-missing", "imported, but not yet searched"
    assert why([row(), row(name="b", revision=0)], {"a": 3}) == "list-missing"
    assert why([row(), row(name="b", revision=0, required=False)], {"a": 3}) is None
    assert why([row()], {"a": 2}) == "list-behind"
    assert trouble([row(), row(name="b", title="B")], {"a": 3, "b": 3}, NOW, 24, {"b"}) == ("list-damaged", "Lists: B.")
    assert why([row(imported_at=old)], {"a": 3}) == "list-stale"
    assert why([row(imported_at=old, required=False)], {"a": 3}) is None
    assert why([row(imported_at=old, max_age_hours=0)], {"a": 3}) is None
    assert why([row()], {"a": 3}) is None


# ── importing ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_import_is_a_revision_with_what_changed(lists: Listings) -> None:
    first = await lists.load()
    assert (first.revision, first.entries, first.added, first.removed, first.changed, first.refused) == (1, 3, 3, 0, 0, 0)
    changed = msgspec.structs.replace(OSKARI, birth_dates=("1991-12-25",))
    second = await lists.load((ENTRIES[0], changed, msgspec.structs.replace(OSKARI, id="F-4", names=(Name("NIEMI", "AKI"),))))
    assert (second.revision, second.added, second.removed, second.changed) == (2, 1, 1, 1)
    registries = lists.node.registries
    assert registries.revisions() == {"offenders": 2} and await registries.entry("offenders", "F-3") == changed
    assert await registries.entry("offenders", "F-3", 1) == OSKARI, "as it was"
    assert (await registries.entry("offenders", "F-2")).names[0].family == "VESPERINO", "withdrawn, and still to be looked at"
    with pytest.raises(NoSuchEntry):
        await registries.entry("offenders", "F-77")
    assert await lists.count("watchlist_entries") == 5, "an unchanged entry keeps its row"
    assert isinstance(await lists.screen(known_as(ENTRIES[1])), Clear), "withdrawn"
    async with lists.node.db.connection() as conn:
        audit = await conn.fetch("select detail from audit where action = 'watchlist.imported' order by at")
    assert [a["detail"]["revision"] for a in audit] == [1, 2] and audit[1]["detail"]["added"] == 1


async def test_the_same_entries_in_another_order_are_no_change(lists: Listings) -> None:
    await lists.load()
    again = await lists.load(reversed(ENTRIES))
    assert (again.revision, again.added, again.removed, again.changed) == (2, 0, 0, 0)


async def test_over_http_a_file_becomes_a_list_and_is_told_of(lists: Listings) -> None:
    admin = await lists.client("admin")
    body = b"".join(msgspec.json.encode(e) + b"\n" for e in ENTRIES)
    answer = await admin.post(
        "/api/v1/watchlists/state-offenders/imports", files={"file": ("list.jsonl", body)}, data={"format": "entries-jsonl"}
    )
    assert answer.status_code == 201, answer.text
    assert {"id", "revision", "added", "removed", "changed", "refused"} <= set(answer.json()["import"])
    assert answer.json()["import"]["added"] == 3
    shown = (await admin.get("/api/v1/watchlists")).json()["watchlists"]
    one = next(w for w in shown if w["name"] == "state-offenders")
    assert one["revision"] == 1 and one["entries"] == 3 and one["age_hours"] < 1 and not one["stale"] and one["ready"]
    assert {w["name"] for w in shown} == {"state-offenders", "barred", "custody"}
    assert [f.suffix for f in lists.files()] == [".wli"]


async def test_lists_are_for_an_administrator_of_every_school(lists: Listings) -> None:
    for role, site in (("desk", None), ("hall", None), ("admin", lists.site.id)):
        client = await lists.client(role, site)
        answer = await client.post("/api/v1/watchlists/x/imports", files={"file": ("x", b"{}")}, data={"format": "entries-jsonl"})
        assert answer.status_code == 403, role
    assert (await (await lists.client("hall")).get("/api/v1/watchlists")).status_code == 403
    assert await lists.count("watchlists") == 0


UNREADABLE: list[tuple[str, str, bytes, str]] = [
    ("offenders", "no-such", b"x", "unknown-format"),
    ("Off enders", "entries-jsonl", b"x", "list-name"),
    ("offenders", "entries-jsonl", b'{"id": "F-1", "names": [{"family": "X"}]}\n{"id": "F-2", "na', "list-unreadable"),
    ("offenders", "entries-jsonl", b"", "list-unreadable"),
    ("offenders", "entries-jsonl", b"\xff\xfe\x00garbage\x80", "list-unreadable"),
    ("offenders", "barred-csv", b"entry_id,family_name,given_name\nB-1,DOE,JON,extra,cells\n", "list-unreadable"),
    ("offenders", "barred-csv", b"wrong,columns\n1,2\n", "list-unreadable"),
    ("offenders", "ofac-csv", b"PK\x03\x04 cut short", "list-unreadable"),
    ("offenders", "un-xml", b"<CONSOLIDATED_LIST><INDIVIDUALS>", "list-unreadable"),
]


async def test_what_cannot_be_read_leaves_the_last_good_list_in_force(lists: Listings) -> None:
    await lists.load()
    admin = await lists.client("admin")
    for name, format, body, type_ in UNREADABLE:
        answer = await admin.post(f"/api/v1/watchlists/{name}/imports", files={"file": ("sent.txt", body)}, data={"format": format})
        problem = answer.json()
        assert (answer.status_code, problem["type"]) == (400, type_), (format, body, problem)
        if type_ == "list-unreadable":
            assert problem["file"] == "sent.txt" and {"line", "column"} <= set(problem) and problem["detail"].startswith("sent.txt")
            assert str(lists.node.settings.data) not in answer.text
    assert lists.node.registries.revisions() == {"offenders": 1} and isinstance(await lists.screen(known_as(MARLOW)), PossibleMatch)
    assert [f.suffix for f in lists.files()] == [".wli"]


async def test_an_unreadable_line_is_named(lists: Listings) -> None:
    await lists.load()
    body = b"".join(msgspec.json.encode(e) + b"\n" for e in ENTRIES) + b'{"id": "F-9", "names": []'
    file = lists.folder / "cut.jsonl"
    file.write_bytes(body)
    with pytest.raises(ListUnreadable) as caught:
        await lists.node.registries.import_list("system", "offenders", "entries-jsonl", file)
    assert caught.value.extra["line"] == 4 and caught.value.extra["file"] == "cut.jsonl" and "line 4" in caught.value.detail


async def test_a_list_that_shrank_waits_for_a_persons_word(lists: Listings) -> None:
    many = list(entries(40))
    await lists.load(many)
    with pytest.raises(ListShrank) as caught:
        await lists.load(many[:20])
    assert caught.value.extra == {"what": "entries", "before": 40, "after": 20, "lost": 20, "allowed": 4}
    assert lists.node.registries.revisions() == {"offenders": 1}
    bare = [msgspec.structs.replace(e, names=e.names[:1], birth_dates=()) for e in many]
    with pytest.raises(ListShrank, match=r"names|birth dates"):
        await lists.load(bare)
    result = await lists.load(many[:20], allow_shrink=True)
    assert (result.revision, result.removed) == (2, 20)
    admin = await lists.client("admin")
    body = msgspec.json.encode(many[0])
    answer = await admin.post("/api/v1/watchlists/offenders/imports", files={"file": ("l", body)}, data={"format": "entries-jsonl"})
    assert answer.status_code == 409 and answer.json()["type"] == "list-shrank" and answer.json()["lost"] == 19
    answer = await admin.post(
        "/api/v1/watchlists/offenders/imports", files={"file": ("l", body)}, data={"format": "entries-jsonl", "allow_shrink": "true"}
    )
    assert answer.status_code == 201 and answer.json()["import"]["revision"] == 3


async def test_odd_entries_survive_the_way_through_the_database(lists: Listings) -> None:
    odd = Entry(
        'back\\slash\t"tab"\n', (Name("O’BRIEN\\N", "王小明"), Name("a\x00b", "\\.", kind="weak")), ("1970/1975", "1980~"),
        category="x\r\ny", fields={"k\\t": 'v"\\'},
    )
    await lists.load((odd, *ENTRIES))
    without_nul = msgspec.structs.replace(odd, names=(odd.names[0], Name("ab", "\\.", kind="weak")))
    assert await lists.node.registries.entry("offenders", odd.id) == without_nul
    before = dict(lists.node.registries.matcher.revisions)
    async with second_process(lists, lists.folder / "second") as other:
        await until(lambda: not other.registries.trouble())
        assert dict(other.registries.matcher.revisions) == before, "an index made again from the rows is the same index"


HOSTILE: list[dict[str, Any]] = [
    {"id": "x" * 3000}, {"id": "é" * 500}, {"names": [{"family": "x" * 10_000}]}, {"names": [{"family": "ab"}] * 3000},
    {"height_cm": 10**30}, {"height_cm": 10**15}, {"height_cm": -1}, {"names": [{"family": "😀"}]}, {"names": [{"family": "\x00\x00"}]},
    {"fields": {"\x00": "\x00", "": ""}}, {"birth_dates": ["9999-99-99"]}, {"birth_dates": ["1970-01-01"] * 5000},
    {"addresses": [{"postal_code": "9" * 5000, "region": "\x00"}]}, {"eye_color": "\u202e\ufeff"}, {"photo": "x" * 100_000},
]


async def test_hostile_entries_are_taken_or_refused_in_words(lists: Listings) -> None:
    file, taken = lists.folder / "hostile.jsonl", []
    for number, fields in enumerate(HOSTILE):
        entry = {"id": f"H-{number}", "names": [{"family": "HOSTILE", "given": "ANN"}], **fields}
        line = json.dumps(entry).encode() + b"\n"
        file.write_bytes(line + msgspec.json.encode(MARLOW) + b"\n")
        staged = run(Job("import", str(file), str(lists.folder / "h.wli"), "entries-jsonl", "h.jsonl", str(lists.folder / "h.rows")))
        assert staged.error in ("", "list-unreadable"), (fields.keys(), staged.error, staged.detail)
        if not staged.error and staged.entries == 2:
            taken.append(line)
    assert 8 <= len(taken) < len(HOSTILE)
    file.write_bytes(b"".join(taken))
    result = await lists.node.registries.import_list("system", "offenders", "entries-jsonl", file)
    assert result.entries == len(taken) and isinstance(await lists.screen(STRANGER), Clear)


async def test_two_imports_of_one_list_at_once(lists: Listings) -> None:
    results = await asyncio.gather(*(lists.load() for _ in range(3)), return_exceptions=True)
    assert all(isinstance(r, ImportRunning) or r.revision for r in results)  # type: ignore[union-attr]
    done = [r for r in results if not isinstance(r, ImportRunning)]
    assert len(done) == await lists.count("watchlist_revisions") and len(done) >= 1
    assert (await lists.load()).revision == len(done) + 1


async def test_bad_names_make_no_list(lists: Listings) -> None:
    for name in ("", "-x", "A", "a" * 64, "a/b", "a+"):
        with pytest.raises(ListName):
            async with lists.node.db.transaction() as tx:
                await lists.node.registries.add_list(tx, name)
    with pytest.raises(UnknownFormat, match="texas_dps"):
        await lists.node.registries.import_list("system", "x", "mapped-csv", lists.folder / "x", mapping="../../etc/passwd")


async def test_document_numbers_are_compared_by_keyed_hash_only(lists: Listings) -> None:
    lines = "entry_id,family_name,given_name,birth_date,id_number\nB-1,HALVORSEN,INGE,1970-01-01,TX 55-501\n"
    file = lists.folder / "barred.csv"
    file.write_text(lines)
    await lists.node.registries.import_list("system", "barred-file", "barred-csv", file, category="barred")
    kept = await lists.node.registries.entry("barred-file", "B-1")
    same = msgspec.structs.replace(STRANGER, document_number="tx55501")
    assert kept.id_hashes == (lists.node.people.hashed(same).document_hash,)
    async with lists.node.db.connection() as conn:
        assert "55501" not in await conn.fetchval("select entry::text from watchlist_entries")


async def test_how_a_list_is_kept_can_be_changed(lists: Listings) -> None:
    await lists.load()
    admin = await lists.client("admin")
    path = "/api/v1/watchlists/sanctions"
    assert (await admin.put(path, json={"title": "Sanctions", "category": "sanctions"})).status_code == 200
    assert (await lists.screen(STRANGER)).reason == "list-missing"
    answer = await admin.put(path, json={"title": "Sanctions", "required": False, "max_age_hours": 0})
    assert answer.json()["watchlists"][0]["required"] is False and isinstance(await lists.screen(STRANGER), Clear)
    nearly = msgspec.structs.replace(known_as(MARLOW), family_name="Marlow", middle_names="", birth_date=date(1969, 5, 18))
    assert isinstance(await lists.screen(nearly), PossibleMatch)
    assert (await admin.put("/api/v1/watchlists/offenders", json={"title": "Offenders", "amber_bits": 38})).status_code == 200
    assert isinstance(await lists.screen(nearly), Clear) and isinstance(await lists.screen(known_as(MARLOW)), PossibleMatch)
    for wrong in ({}, {"title": " "}, {"title": "x", "amber_bits": 1}, {"title": "x", "amber_bits": 30, "red_bits": 20}, {"title": "x", "a": 1}):
        assert (await admin.put(path, json=wrong)).status_code == 400, wrong
    assert (await admin.put("/api/v1/watchlists/A+", json={"title": "x"})).json()["type"] == "list-name"
    one_school = await lists.client("admin", lists.site.id)
    assert (await one_school.put(path, json={"title": "x"})).status_code == 403
    assert (await one_school.post(f"{path}/retire")).status_code == 403


async def test_a_retired_list_is_searched_no_more_and_may_come_back(lists: Listings) -> None:
    await lists.load()
    await lists.load((OSKARI,), name="trespass")
    before = await lists.screen(known_as(OSKARI))
    assert {m.list for m in before.matches} == {"offenders", "trespass"}
    admin = await lists.client("admin")
    assert (await admin.post("/api/v1/watchlists/trespass/retire")).status_code == 200
    async with lists.node.screening.acting() as tx:
        assert not await lists.node.screening.still_current(tx, before)
    after = await lists.screen(known_as(OSKARI))
    assert {m.list for m in after.matches} == {"offenders"} and after.revisions == {"offenders": 1}
    assert await lists.node.registries.entry("trespass", "F-3") == OSKARI
    assert (await admin.post("/api/v1/watchlists/trespass/retire")).json()["type"] == "unknown-list"
    with pytest.raises(UnknownList):
        await lists.load((OSKARI,), name="trespass")
    assert (await admin.put("/api/v1/watchlists/trespass", json={"title": "Trespass"})).status_code == 200
    assert len((await lists.screen(known_as(OSKARI))).matches) == 2
    async with lists.node.db.connection() as conn:
        actions = [r["action"] for r in await conn.fetch("select action from audit where action like 'watchlist%' order by at")]
    assert actions == ["watchlist.imported"] * 2 + ["watchlist.retired", "watchlist.set"]


async def test_health_says_why_visitors_are_held(lists: Listings) -> None:
    client = await lists.client("desk")
    told = (await client.get("/health")).json()
    assert told["status"] == "degraded" and "No list is loaded" in told["degraded"]["watchlists"]
    await lists.load()
    assert "watchlists" not in (await client.get("/health")).json()["degraded"]


async def test_a_list_without_anybody_waits_for_a_persons_word(lists: Listings) -> None:
    file = lists.folder / "barred.csv"
    file.write_text("entry_id,family_name,given_name,birth_date,expires_on\nB-1,ABERNATHY,RUTH,1977-03-09,2020-01-31\n")
    with pytest.raises(ListUnreadable, match="allow_shrink"):
        await lists.node.registries.import_list("system", "trespass", "barred-csv", file)
    result = await lists.node.registries.import_list("system", "trespass", "barred-csv", file, allow_shrink=True)
    assert (result.revision, result.entries) == (1, 0) and isinstance(await lists.screen(STRANGER), Clear)


async def test_a_preview_tells_and_changes_nothing(lists: Listings) -> None:
    admin = await lists.client("admin")
    many = list(entries(40))
    await lists.load(many)
    body = b"".join(msgspec.json.encode(e) + b"\n" for e in many[:10])
    for name, expected in (("offenders", (2, 0, 30)), ("others", (1, 10, 0))):
        path = f"/api/v1/watchlists/{name}/imports/preview"
        answer = await admin.post(path, files={"file": ("l", body)}, data={"format": "entries-jsonl"})
        assert answer.status_code == 200, answer.text
        shown = answer.json()["preview"]
        assert (shown["revision"], shown["added"], shown["removed"]) == expected and bool(shown["shrinks"]) is (name == "offenders")
    assert await lists.count("watchlists") == 1 and lists.node.registries.revisions() == {"offenders": 1}
    assert [f.suffix for f in lists.files()] == [".wli"]


# ── the process aside ────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_shows_nothing_of_whom_it_reads(tmp_path: Path) -> None:
    others = [Entry(f"G-{i}", (Name(f"N{'abcdefghij'[i % 10]}x", "A"),)) for i in range(300)]
    file = write(tmp_path / "list.jsonl", [*ENTRIES, ENTRIES[0], *others])
    staged = run(Job("import", str(file), str(tmp_path / "x.wli"), "entries-jsonl", "list.jsonl", str(tmp_path / "rows"), "", b"k" * 32))
    assert (staged.entries, staged.refused, staged.error) == (303, 1, "") and "F-1" in staged.problems[0]
    assert "MARLOWE" not in msgspec.json.encode(staged).decode()
    for made in (tmp_path / "rows", tmp_path / "x.wli"):
        assert made.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("folder", "format", "people"), [("ofac_2019", "ofac-csv", 3845), ("un", "un-xml", 730)])
async def test_a_real_list_becomes_a_revision(lists: Listings, test_data: Path, folder: str, format: str, people: int) -> None:
    source = test_data / "watchlists" / folder
    if format == "un-xml":
        source = next(source.glob("*.xml"))
    result = await lists.node.registries.import_list("system", "sanctions", format, source, category="sanctions")
    assert result.entries == result.added == people and isinstance(await lists.screen(STRANGER), Clear)

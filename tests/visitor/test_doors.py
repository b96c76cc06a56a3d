"""Doors on a real database: taps by HTTP, the table kept true, the journal, what a full disk and a lost database leave."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.waiting import until
from visitor.doors.access import Access
from visitor.doors.journal import Journal, JournalFull
from visitor.doors.models import DoorEvent
from visitor.escorts.models import NotEscorted
from visitor.events import EventBus
from visitor.ids import new_id

HOUR = timedelta(hours=1)


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


# ── the journal ──────────────────────────────────────────────────────────────────────────────────────────────


def event(n: int = 0) -> DoorEvent:
    return DoorEvent(new_id(), UUID(int=1), UUID(int=2), datetime.now(UTC), "granted", "ok", "visit", UUID(int=n), None, None, "reader")


async def written(folder: Path, count: int) -> list[DoorEvent]:
    journal = Journal(folder)
    journal.open()
    made = [event(n) for n in range(count)]
    await asyncio.gather(*(journal.append(e) for e in made))
    await journal.close()
    return made


def read_back(folder: Path) -> list[DoorEvent]:
    journal = Journal(folder)
    journal.open()
    found, _ = journal.batch(10_000)
    os.close(journal._fd)
    return list(found)


async def test_what_was_appended_is_there_after_a_restart_and_drained_once(tmp_path: Path) -> None:
    made = await written(tmp_path, 300)
    journal = Journal(tmp_path)
    journal.open()
    found, position = journal.batch()
    assert list(found) == made[:200]
    journal.drained(position)
    await journal.close()
    assert read_back(tmp_path) == made[200:]


async def test_a_torn_last_line_is_cut_off_and_the_next_event_stands_after_it(tmp_path: Path) -> None:
    made = await written(tmp_path, 3)
    file = tmp_path / "journal"
    whole = file.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    for cut in (1, 2, 9, len(last) // 2, len(last) - 10, len(last) - 9, len(last) - 1):
        file.write_bytes(whole[:-cut])
        assert read_back(tmp_path) == made[:2], cut
        (after,) = await written(tmp_path, 1)
        assert read_back(tmp_path) == [*made[:2], after]


async def test_zeros_or_noise_after_a_power_cut_are_cut_off(tmp_path: Path) -> None:
    made = await written(tmp_path, 3)
    file = tmp_path / "journal"
    whole = file.read_bytes()
    for rest in (b"\0" * 4096, b"garbage\nmore\n", b"00000000 {}\n"):
        file.write_bytes(whole + rest)
        assert read_back(tmp_path) == made and file.read_bytes() == whole
    middle = bytearray(whole)
    middle[len(whole) // 2] ^= 1
    file.write_bytes(bytes(middle))
    journal = Journal(tmp_path)
    journal.open()
    found, _ = journal.batch()
    assert list(found) == [made[0], made[2]] and journal.damaged_lines == 1
    os.close(journal._fd)


@given(data=st.binary(max_size=400))
@settings(max_examples=40, deadline=None)
def test_whatever_the_file_holds_it_opens(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("journal")
    (folder / "journal").write_bytes(data)
    (folder / "journal.drained").write_bytes(data[:5])
    assert read_back(folder) == []


async def test_the_journal_starts_anew_when_everything_is_drained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import visitor.doors.journal as module

    monkeypatch.setattr(module, "_COMPACT_AT", 1000)
    await written(tmp_path, 20)
    journal = Journal(tmp_path)
    journal.open()
    _, position = journal.batch(5)
    journal.drained(position)
    assert (tmp_path / "journal.drained").read_text() == str(position) != "0"
    found, position = journal.batch()
    journal.drained(position)
    assert len(found) == 15 and (tmp_path / "journal").stat().st_size == 0 and journal.waiting == 0
    # A mark that still spoke of the old file would hide what the new one holds.
    assert (tmp_path / "journal.drained").read_text() == "0"
    one = event()
    await journal.append(one)
    await journal.close()
    assert read_back(tmp_path) == [one]


async def test_a_full_disk_is_said_and_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    journal.open()
    before = event(1)
    await journal.append(before)
    pwrite = os.pwrite

    def full(fd: int, data: bytes, offset: int) -> int:
        pwrite(fd, data[:20], offset)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(JournalFull, match="No space left"):
        await journal.append(event(2))
    assert journal.trouble == "No space left on device"
    monkeypatch.undo()
    after = event(3)
    await journal.append(after)
    assert journal.trouble == ""
    await journal.close()
    assert read_back(tmp_path) == [before, after]


async def test_a_batch_that_failed_half_way_leaves_none_of_its_taps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They were all refused: a line that happened to be whole must not say granted after a restart."""
    journal = Journal(tmp_path)
    journal.open()
    before = event(1)
    await journal.append(before)
    pwrite = os.pwrite

    def full(fd: int, data: bytes, offset: int) -> int:
        pwrite(fd, data[: len(data) * 2 // 3], offset)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    ends = await asyncio.gather(*(journal.append(event(n)) for n in range(6)), return_exceptions=True)
    monkeypatch.undo()
    assert all(isinstance(e, JournalFull) for e in ends)
    await journal.close()
    assert read_back(tmp_path) == [before]


async def test_a_tap_is_answered_only_once_its_bytes_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    journal.open()
    flushing, go_on = threading.Event(), threading.Event()
    fdatasync = os.fdatasync

    def slow(fd: int) -> None:
        flushing.set()
        go_on.wait(60)
        fdatasync(fd)

    monkeypatch.setattr(os, "fdatasync", slow)
    first = asyncio.create_task(journal.append(event(1)))
    assert await asyncio.to_thread(flushing.wait, 60)
    later = [asyncio.create_task(journal.append(event(n))) for n in range(5)]
    await asyncio.sleep(0.05)
    assert not first.done() and not any(t.done() for t in later)
    go_on.set()
    await asyncio.gather(first, *later)
    await journal.close()
    assert len(read_back(tmp_path)) == 6


_FULL = """
import asyncio, resource, sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID
from visitor.doors.access import Access
from visitor.doors.journal import Journal, JournalFull
from visitor.doors.models import DoorEvent
from visitor.ids import new_id

async def main():
    journal = Journal(Path(sys.argv[1]))
    journal.open()

    async def one():
        event = DoorEvent(new_id(), UUID(int=1), UUID(int=2), datetime.now(UTC), "granted", "ok", "visit", None, None, None, "reader")
        await journal.append(event)
        print(event.id)

    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
    try:
        while True:
            await one()
    except JournalFull:
        print("full", journal.trouble)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await one()

asyncio.run(main())
"""


def test_where_the_kernel_takes_half_a_line_only_the_half_is_taken_back(tmp_path: Path) -> None:
    """A real short write, as the last block of a disk gives it."""
    root = Path(__file__).resolve().parents[2]
    ran = subprocess.run([sys.executable, "-c", _FULL, str(tmp_path)], capture_output=True, cwd=root, text=True, check=True)
    said = ran.stdout.split("\n")
    acknowledged = [line for line in said if line and not line.startswith("full")]
    assert any(line.startswith("full") and len(line) > 6 for line in said) and len(acknowledged) > 5
    assert [str(e.id) for e in read_back(tmp_path)] == acknowledged


_CRASH = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID
from visitor.doors.access import Access
from visitor.doors.journal import Journal
from visitor.doors.models import DoorEvent
from visitor.ids import new_id

async def main():
    journal = Journal(Path(sys.argv[1]))
    journal.open()
    while True:
        made = [DoorEvent(new_id(), UUID(int=1), UUID(int=2), datetime.now(UTC), "granted", "ok", "visit", None, None, None, "reader")
                for _ in range(5)]
        await asyncio.gather(*(journal.append(e) for e in made))
        print(*(e.id for e in made), sep="\\n", flush=True)

asyncio.run(main())
"""


def test_what_was_acknowledged_before_kill_9_is_there_after_it(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen([sys.executable, "-c", _CRASH, str(tmp_path)], stdout=subprocess.PIPE, cwd=root, text=True)
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(400)]
    process.send_signal(signal.SIGKILL)
    acknowledged += [line.strip() for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    process.wait()
    kept = {str(e.id) for e in read_back(tmp_path)}
    assert len(acknowledged) >= 400 and set(acknowledged) <= kept


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


def test_a_door_event_names_nobody() -> None:
    text = msgspec.json.encode(event()).decode()
    assert set(msgspec.json.decode(text)) == {
        "id", "site_id", "door_id", "at", "verdict", "reason", "holder", "visit_id", "credential_id", "standing_id", "source",
    }

"""A real OSDP peripheral at the other end of a socketpair, Secure Channel enforced: from a tap to the lock and the lamp."""

from __future__ import annotations

import asyncio
import itertools
import os
import tty
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from readers import DescriptorLine
from readers.testing import VirtualDoorReader
from tests.waiting import until
from visitor.doors.ownership import Ownership
from visitor.doors.service import LockFailed
from visitor.hardware import door_reader

KEY = bytes(range(16))


class Reader(VirtualDoorReader):
    """A reader that remembers: what lasts seconds may be over when a loaded machine looks."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.opened = 0  # how often its lock was released
        self.lamps: list[str] = []

    def _on_command(self, command: dict[str, Any]) -> tuple[int, None]:
        answer = super()._on_command(command)
        if command["command"] == self._osdp.Command.Output:
            self.opened += self.unlocked
        elif command["command"] == self._osdp.Command.LED:
            self.lamps.append(self.led)
        return answer


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded machine is no reason to call a lock or another process dead, or an escort gone."""
    monkeypatch.setattr("readers.osdp._COMMAND_TIMEOUT_S", 60.0)
    monkeypatch.setattr("visitor.doors.service._ELSEWHERE_SECONDS", 60.0)
    monkeypatch.setattr("visitor.doors.service._DATABASE_SECONDS", 60.0)
    for module in ("service", "decision"):
        monkeypatch.setattr(f"visitor.doors.{module}.ESCORT_WINDOW", timedelta(minutes=10))


async def wire(school: Any, door: Any, address: str, relock: float = 3.0) -> None:
    async with school.node.db.transaction() as tx:
        await tx.conn.execute("update doors set reader = $2, relock_seconds = $3 where id = $1", door.id, address, relock)
        tx.notify("sites", school.site.id, door.id)
    await school.node.door_bridge.look()


@pytest.fixture
async def reader(school: Any) -> AsyncIterator[Reader]:
    """The library's door, which needs a staff or an officer's card here, with its reader online."""
    with Reader(key=KEY) as device:
        school.node.virtual_doors["test"] = device.configuration
        await wire(school, school.library_door, "osdp+virtual://test")
        await until(lambda: state(school) == "online")
        yield device
        await wire(school, school.library_door, "")


def state(school: Any) -> str:
    found: str = school.node.doors.reader_states.get(school.library_door.id, ("none", ""))[0]
    return found


async def test_a_granted_tap_moves_the_lock_and_shows_green_then_locks_again(school: Any, reader: Reader) -> None:
    assert not reader.unlocked
    reader.tap(school.staff_card[1])
    await until(lambda: reader.opened == 1)
    await until(lambda: reader.lamps == ["green"] and reader.beeps == 1)
    await until(lambda: not reader.unlocked)
    await school.drained()
    async with school.node.db.connection() as conn:
        row = await conn.fetchrow("select verdict, reason, holder, standing_id from door_events")
    assert (row["verdict"], row["holder"], row["standing_id"]) == ("granted", "staff", school.staff_standing)


async def test_a_denied_tap_shows_red_and_leaves_the_lock(school: Any, reader: Reader) -> None:
    for number, (bits, reason) in enumerate(((school.officer_card[1], "no-incident"), ("0" * 12 + "1" * 14, "unknown-card")), 1):
        reader.tap(bits)
        await until(lambda taps=number: reader.lamps == ["red"] * taps and reader.beeps == 2 * taps)
        assert school.node.doors._last[school.library_door.id].reason == reason
    assert reader.opened == 0 and reader.output(0) is False


async def test_an_officers_card_opens_at_the_reader_from_the_declaration_until_it_is_resolved(
    school: Any, reader: Reader
) -> None:
    incident = await school.declare("lockdown")
    reader.tap(school.officer_card[1])
    await until(lambda: reader.lamps == ["green"] and reader.beeps == 1)
    assert reader.opened == 1
    await until(lambda: not reader.unlocked)
    await school.post(f"/api/v1/incidents/{incident}/resolve", {}, role="admin")
    reader.tap(school.officer_card[1])
    await until(lambda: reader.lamps == ["green", "red"])
    assert reader.opened == 1 and not reader.unlocked


async def test_a_badge_shown_to_a_scanner_beside_the_door_moves_the_same_lock_right_after_the_escorts_card(
    school: Any, reader: Reader
) -> None:
    visit = await school.visit(zones=["Library"], escorted=True)
    await school.accept_escort(visit)
    path = f"/api/v1/doors/{school.library_door.id}/taps"
    assert (await school.post(path, {"token": visit.token}, role="doors")).json()["reason"] == "escort-first"
    reader.tap(school.staff_card[1])
    await until(lambda: reader.opened == 1)
    await until(lambda: not reader.unlocked)
    assert (await school.post(path, {"token": visit.token}, role="doors")).json()["verdict"] == "granted"
    assert reader.opened == 2


async def test_a_lost_reader_is_said_and_is_back_by_itself(school: Any, client: Any, reader: Reader) -> None:
    reader.power_off()
    await until(lambda: state(school) == "lost")
    health = (await client.get("/health")).json()
    assert "Library door" in health["degraded"]["doors"]
    path = f"/api/v1/doors/{school.library_door.id}/taps"
    answer = (await school.post(path, {"card": {"format": "H10301", "bits": school.staff_card[1]}}, role="doors")).json()
    assert (answer["verdict"], answer["reason"]) == ("denied", "relay-failed")
    reader.power_on()
    await until(lambda: state(school) == "online")
    reader.tap(school.staff_card[1])
    await until(lambda: reader.opened == 1)
    doors = (await school.get(f"/api/v1/doors?site={school.site.id}", role="respond")).json()["doors"]
    assert {d["name"]: d["reader_state"] for d in doors} == {"Office door": "none", "Library door": "online"}
    async with school.node.db.connection() as conn:
        told = [r["action"] for r in await conn.fetch("select action from audit where action like 'door.reader%' order by id")]
    assert told[-3:] == ["door.reader_back", "door.reader_lost", "door.reader_back"]
    assert all(before != after for before, after in itertools.pairwise(told))


async def test_an_opened_housing_is_said(school: Any, reader: Reader) -> None:
    reader.tamper(True)
    await until(lambda: "housing is open" in school.node.doors.trouble())
    reader.tamper(False)
    await until(lambda: school.node.doors.trouble() == "")


async def test_a_reader_with_another_key_is_never_believed(school: Any) -> None:
    with Reader(key=bytes(16)) as device:
        stolen = msgspec.structs.replace(device.configuration, key=KEY)
        school.node.virtual_doors["test"] = stolen
        await wire(school, school.library_door, "osdp+virtual://test")
        await until(lambda: state(school) == "lost")
        device.tap(school.staff_card[1])
        await asyncio.sleep(0.3)
        assert device.opened == 0 and school.library_door.id not in school.node.doors._last
        await wire(school, school.library_door, "")


async def test_a_door_that_cannot_be_driven_says_why(school: Any) -> None:
    for address, words in (
        ("osdp+serial:///dev/nowhere?address=1", "Secure Channel key"),
        ("osdp+virtual://absent", "not switched on"),
        ("wiegand://x", "must begin with"),
        ("osdp+tcp://10.0.0.9:port", "must be numbers"),
    ):
        await wire(school, school.library_door, address)
        found, sentence = school.node.doors.reader_states[school.library_door.id]
        assert found == "lost" and words in sentence
    await wire(school, school.library_door, "")
    assert state(school) == "none"


async def test_a_reader_on_a_serial_line_is_driven_once_its_address_and_key_are_set(school: Any) -> None:
    """A pty stands for the RS-485 adapter: everything above the wire is what a district runs."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    path = f"/api/v1/doors/{school.library_door.id}/reader"
    address = f"osdp+serial://{os.ttyname(theirs)}?address=5&baud=38400"
    try:
        with Reader(key=KEY, address=5, line=DescriptorLine(ours)) as device:
            for role in ("desk", "respond", "doors"):
                assert (await school.post(path.replace("reader", "taps"), {}, role=role)).status_code in (400, 403)
                assert (await school.put(path, {"address": address}, role=role)).status_code == 403
            for body in ({"address": address, "key": "zz"}, {"address": address, "key": "00"}, {"address": "file:///etc"}, {}):
                assert (await school.put(path, body, role="admin")).status_code == 400
            assert (await school.put(path, {"address": address, "key": KEY.hex()}, role="admin")).status_code == 200
            await until(lambda: state(school) == "online")
            device.tap(school.staff_card[1])
            await until(lambda: device.opened == 1)
            async with school.node.db.connection() as conn:
                kept = await conn.fetchrow("select reader_key, kid from doors where id = $1", school.library_door.id)
                told = await conn.fetch("select detail from audit where action = 'door.reader_set'")
            assert KEY not in kept["reader_key"] and kept["kid"] and [t["detail"] for t in told] == [{"key_changed": True}]
            assert (await school.put(path, {"address": ""}, role="admin")).status_code == 200
            await until(lambda: state(school) == "none")
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_readers_address_is_read_whole_or_refused() -> None:
    made = door_reader("osdp+serial:///dev/ttyUSB0?address=3&baud=38400", name="d", key=KEY, virtual={})
    assert (made.address, made.line.path, made.line.baud) == (3, "/dev/ttyUSB0", 38400)  # type: ignore[union-attr]
    for address in ("osdp+serial:///dev/ttyUSB0?address=200", "osdp+serial:///tmp/x", "osdp+tcp://host", "osdp+tcp://h:1?address=x"):
        with pytest.raises(ValueError, match=r"OSDP address|must begin|must be numbers"):
            door_reader(address, name="d", key=KEY, virtual={})
    with pytest.raises(ValueError, match="16 bytes"):
        door_reader("osdp+tcp://h:1", name="d", key=b"short", virtual={})


async def test_one_process_of_a_database_has_a_door_and_another_takes_it_over(school: Any) -> None:
    url, door = school.node.db.url, school.library_door.id
    one, two = Ownership(url), Ownership(url)
    try:
        assert await one.own(door) and not await two.own(door) and await one.own(door)
        assert await two.own(school.office_door.id)
        await one._conn.close()  # the process dies, or its connection does
        assert await two.own(door) and not await one.own(door)
        await two.release(door)
        assert await one.own(door)
    finally:
        await one.close()
        await two.close()


@pytest.fixture
async def other_process(node: Any, tmp_path: Any) -> AsyncIterator[Any]:
    """A second node on the same database, as a second `visitor run` with its own data folder would be."""
    from visitor.app import running_node

    settings = msgspec.structs.replace(node.settings, data=tmp_path / "second")
    async with running_node(settings, node.db.url, node.keys) as second:
        await until(lambda: node.bus.listening and second.bus.listening)
        yield second


async def test_a_tap_decided_by_another_process_moves_the_lock_wired_to_this_one(
    school: Any, reader: Reader, other_process: Any
) -> None:
    other_process.virtual_doors["test"] = reader.configuration
    await other_process.door_bridge.look()
    assert other_process.doors.reader_states[school.library_door.id][0] == "elsewhere"
    card = other_process.doors.read_card(*school.staff_card)
    verdict = await other_process.doors.tap(school.library_door.id, card, "token:test")
    assert verdict.reason == "ok" and reader.opened == 1
    wrong = other_process.doors.read_card(*school.officer_card)
    assert (await other_process.doors.tap(school.library_door.id, wrong, "token:test")).reason == "no-incident"
    await asyncio.sleep(0.3)
    assert reader.opened == 1


class _Stuck:
    """A lock wired to a process, that takes its time or does not move."""

    def __init__(self, fails: bool) -> None:
        self.fails, self.go_on, self.shown = fails, asyncio.Event(), list[bool]()

    async def open(self, seconds: float) -> None:
        await self.go_on.wait()
        if self.fails:
            raise LockFailed

    def show(self, granted: bool, seconds: float) -> None:
        self.shown.append(granted)


@pytest.mark.parametrize("fails", [False, True])
async def test_granted_means_that_the_lock_at_the_other_process_moved(
    school: Any, other_process: Any, fails: bool
) -> None:
    door = school.library_door.id
    async with school.node.db.transaction() as tx:
        await tx.conn.execute("update doors set reader = 'osdp+virtual://nowhere' where id = $1", door)
        tx.notify("sites", school.site.id, school.site.id)
    await until(lambda: other_process.sites.door(door).reader)
    lock = school.node.doors.locks[door] = _Stuck(fails)
    there = other_process.doors
    tapped = asyncio.create_task(there.tap(door, there.read_card(*school.staff_card), "token:test"))
    done, _ = await asyncio.wait({tapped}, timeout=0.5)
    assert not done and lock.shown == []
    lock.go_on.set()
    assert (await tapped).reason == ("relay-failed" if fails else "ok")
    assert lock.shown == [not fails]
    assert there.last_tap(door).verdict == ("denied" if fails else "granted")


async def test_a_door_whose_process_says_nothing_is_not_called_open(
    school: Any, other_process: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visitor.doors.service._ELSEWHERE_SECONDS", 0.3)
    door = school.library_door.id
    async with school.node.db.transaction() as tx:
        await tx.conn.execute("update doors set reader = 'osdp+virtual://nowhere' where id = $1", door)
        tx.notify("sites", school.site.id, school.site.id)
    await until(lambda: other_process.sites.door(door).reader)
    there = other_process.doors
    assert (await there.tap(door, there.read_card(*school.staff_card), "token:test")).reason == "relay-failed"


async def test_an_escort_may_tap_at_one_process_and_the_visitor_at_another(school: Any, other_process: Any) -> None:
    visit = await school.visit(zones=["Office"], escorted=True)
    await school.accept_escort(visit)
    here, there, door = school.node.doors, other_process.doors, school.office_door.id
    await until(lambda: any(c.escort_id for c in there.access.table.visits.values()))
    assert (await there.tap(door, there.read_token(visit.token), "token:test")).reason == "escort-first"
    assert (await here.tap(door, here.read_card(*school.staff_card), "token:test")).reason == "ok"
    await until(lambda: there._staff_taps.get(door))
    assert (await there.tap(door, there.read_token(visit.token), "token:test")).reason == "ok"


async def test_an_incident_declared_at_one_process_stops_visitors_at_the_other(school: Any, other_process: Any) -> None:
    visit = await school.visit(zones=["Office"])
    there = other_process.doors
    await until(lambda: there.access.table.visits)
    assert (await there.tap(school.office_door.id, there.read_token(visit.token), "token:test")).reason == "ok"
    incident = await school.declare("shelter")
    await until(lambda: other_process.sites.state(school.site.id).state == "shelter")
    assert (await there.tap(school.office_door.id, there.read_token(visit.token), "token:test")).reason == "incident"
    issued = await school.emergency_credential(incident)
    await until(lambda: there.access.table.emergency)
    assert (await there.tap(school.library_door.id, there.read_token(issued["token"]), "token:test")).reason == "police"


async def test_when_a_process_ends_another_takes_its_doors(school: Any, reader: Reader, other_process: Any) -> None:
    other_process.virtual_doors["test"] = reader.configuration
    await school.node.door_bridge.stop()
    await other_process.door_bridge.look()
    await until(lambda: other_process.doors.reader_states[school.library_door.id][0] == "online")
    reader.tap(school.staff_card[1])
    await until(lambda: reader.opened == 1)
    await other_process.door_bridge.stop()

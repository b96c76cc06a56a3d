"""What a killed process, a dead printer and a lost database leave of a badge: printed once, or in doubt and named."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from printers import Paper
from printers.testing import Fault, FaultProxy
from tests.front_office import FrontOffice, Visit, scanned
from tests.waiting import until

WORKER = Path(__file__).with_name("print_worker.py")


class Process:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def printing(self) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(180):
            assert await self.process.stdout.readline() == b"printing\n"

    async def killed(self) -> None:
        """Wait until it has killed itself."""
        async with asyncio.timeout(180):
            assert await self.process.wait() == -signal.SIGKILL

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)


@asynccontextmanager
async def another_process(office: FrontOffice, tmp_path: Path, step: str = "none") -> AsyncIterator[Process]:
    """A second process of the same node, on the same database and key ring, that prints."""
    node, keys = office.node, tmp_path / "keys.json"
    if not keys.exists():
        node.keys.save(keys)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(WORKER), node.settings.database_url, str(keys), step, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Process(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()  # to the end of what it said: a pipe that is still open outlives the test's loop


async def state(office: FrontOffice, visit: Visit) -> str:
    [job] = await office.jobs(visit)
    return str(job["state"])


async def is_(office: FrontOffice, visit: Visit, wanted: str) -> bool:
    return await state(office, visit) == wanted


async def in_doubt(office: FrontOffice) -> list[tuple[str, Any, int]]:
    """What the desk is told: (printer, visit, number) of each badge in doubt."""
    return [
        (info.name, job.visit_id, job.number)
        for info in await office.node.badges.printer_states(office.site.id)
        for job in info.doubtful
    ]


async def test_killed_between_the_check_in_and_the_first_byte_exactly_one_badge_is_printed_after_the_restart(
    office: FrontOffice, tmp_path: Path
) -> None:
    office.desk.paper = Paper.OUT  # so that it is killed while the badge waits
    async with another_process(office, tmp_path) as process:
        await process.printing()
        visit = await office.visit()
        await until(lambda: _says(office, "paper out at Front desk; badges wait, 1 in line"))
        process.kill()
        await process.killed()
    assert await state(office, visit) == "queued" and office.desk.count == 0
    office.desk.refill()
    async with another_process(office, tmp_path) as process:
        await until(lambda: is_(office, visit, "printed"))
        later = await office.visit()  # behind it in the line
        await until(lambda: is_(office, later, "printed"))
    assert [scanned(badge) for badge in office.desk.printed] == [[visit.token], [later.token]]
    assert await in_doubt(office) == []


@pytest.mark.parametrize("step", ["claimed", "drawing", "connected", "before sending is noted"])
async def test_killed_before_the_first_byte_the_badge_is_printed_once(office: FrontOffice, tmp_path: Path, step: str) -> None:
    visit = await office.visit()
    async with another_process(office, tmp_path, step) as process:
        await process.killed()
    assert await state(office, visit) == "queued" and office.desk.count == 0
    async with office.printing():
        await until(lambda: is_(office, visit, "printed"))
        later = await office.visit()
        await until(lambda: is_(office, later, "printed"))
    assert [scanned(badge) for badge in office.desk.printed] == [[visit.token], [later.token]]
    assert await in_doubt(office) == []


@pytest.mark.parametrize(
    ("step", "came_out"), [("sending is noted", 0), ("half is sent", 0), ("all is sent", 1), ("before the outcome is noted", 1)]
)
async def test_killed_while_sending_the_desk_is_told_which_badge_may_be_doubled(
    office: FrontOffice, tmp_path: Path, step: str, came_out: int
) -> None:
    visit = await office.visit()
    assert visit.badge is not None
    async with another_process(office, tmp_path, step) as process:
        await process.killed()
    assert await state(office, visit) == "sending"
    async with office.printing():
        await until(lambda: is_(office, visit, "doubtful"))
        # The line goes on, and what is in doubt is not printed again by itself.
        next_one = await office.visit()
        await until(lambda: is_(office, next_one, "printed"))
        await until(lambda: _says(office, "1 badge may be doubled, please look"))
    assert await in_doubt(office) == [("Front desk", visit.id, visit.badge.number)]
    assert office.desk.count == came_out + 1
    assert scanned(office.desk.printed[-1]) == [next_one.token]
    assert any(action == "print_job.doubtful" for action in await office.audited())


async def test_killed_after_the_outcome_is_noted_nothing_is_printed_again(office: FrontOffice, tmp_path: Path) -> None:
    visit = await office.visit()
    async with another_process(office, tmp_path, "the outcome is noted") as process:
        await process.killed()
    assert await state(office, visit) == "printed"
    async with office.printing():
        later = await office.visit()
        await until(lambda: is_(office, later, "printed"))
    assert [scanned(badge) for badge in office.desk.printed] == [[visit.token], [later.token]] and await in_doubt(office) == []


async def test_a_process_that_stands_by_takes_over_when_the_one_that_prints_is_killed(office: FrontOffice, tmp_path: Path) -> None:
    async with another_process(office, tmp_path) as process:
        await process.printing()
        async with office.printing() as here:
            first = await office.visit()
            await until(lambda: is_(office, first, "printed"))
            assert not here.printing
            process.kill()
            second = await office.visit()
            await until(lambda: is_(office, second, "printed"))
            assert here.printing
    assert [scanned(badge) for badge in office.desk.printed] == [[first.token], [second.token]]


async def test_the_processes_that_draw_end_with_a_service_that_was_killed(office: FrontOffice, tmp_path: Path) -> None:
    async with another_process(office, tmp_path) as process:
        visit = await office.visit()
        await until(lambda: is_(office, visit, "printed"))
        children = _children(process.process.pid)
        assert children
        process.kill()
        await process.killed()
        await until(lambda: not any(_lives(child) for child in children))


def _children(pid: int) -> list[Path]:
    return [Path("/proc", child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _lives(process: Path) -> bool:
    try:
        return process.joinpath("stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_a_frozen_process_that_lost_its_lease_sends_nothing_when_it_wakes(office: FrontOffice, tmp_path: Path) -> None:
    """SIGSTOP holds the process; the database ends its connections, as it does when a machine hangs."""
    office.desk.paper = Paper.OUT
    async with another_process(office, tmp_path) as process:
        await process.printing()
        visit = await office.visit()
        await until(lambda: _says(office, "paper out"))
        os.kill(process.process.pid, signal.SIGSTOP)
        try:
            async with office.node.db.connection() as conn:
                await conn.execute(
                    "select pg_terminate_backend(l.pid) from pg_locks l where l.locktype = 'advisory' and l.granted"
                    " and l.database = (select oid from pg_database where datname = current_database()) and l.classid = 0 and l.objid = $1",
                    0x56505254,
                )
            async with office.printing() as here:
                await until(lambda: here.printing)
                office.desk.refill()
                await until(lambda: is_(office, visit, "printed"))
                os.kill(process.process.pid, signal.SIGCONT)
                await asyncio.sleep(1.5)
                later = await office.visit()
                await until(lambda: is_(office, later, "printed"))
        finally:
            os.kill(process.process.pid, signal.SIGCONT)
    assert [scanned(badge) for badge in office.desk.printed] == [[visit.token], [later.token]]


async def test_the_lock_lost_in_the_middle_of_a_badge_neither_doubles_nor_doubts_it(office: FrontOffice) -> None:
    office.desk.rows_per_second = 100  # until the lock is lost
    async with office.printing() as here:
        visit = await office.visit()
        await until(lambda: is_(office, visit, "sending"))
        async with office.node.db.connection() as conn:
            await conn.execute(
                "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted and classid = 0 and objid = $1"
                " and database = (select oid from pg_database where datname = current_database())", 0x56505254,
            )
        office.desk.rows_per_second = 800
        await until(lambda: is_(office, visit, "printed"))
        office.desk.rows_per_second = None
        again = await office.visit()
        await until(lambda: is_(office, again, "printed"))
        assert here.printing
    assert office.desk.count == 2 and await in_doubt(office) == []


async def test_a_connection_reset_in_the_middle_prints_the_badge_anew_and_once(office: FrontOffice) -> None:
    async with FaultProxy(office.desk.port) as proxy:
        await proxy.set(Fault.RESET, after=20_000, once=True)
        async with office.node.db.transaction() as tx:
            await office.node.sites.set_printer_address(tx, office.printers[0].id, f"tcp://127.0.0.1:{proxy.port}")
        async with office.printing():
            visit = await office.visit()
            await until(lambda: is_(office, visit, "printed"))
        assert proxy.met == 1
    assert office.desk.count == 1 and scanned(office.desk.printed[0]) == [visit.token]
    [job] = await office.jobs(visit)
    assert job["attempts"] == 1


async def test_silence_after_the_last_byte_is_doubt_and_names_the_badge(office: FrontOffice) -> None:
    from printers import NetworkTransport, Timeouts, Transport

    def impatient(address: str, profile: str) -> Transport:
        port = int(address.rsplit(":", 1)[1])
        return NetworkTransport("127.0.0.1", port, profile=profile, timeouts=Timeouts(answer=1.0, finish=0.5))

    async with FaultProxy(office.desk.port) as proxy:
        await proxy.set(Fault.NO_ANSWER, after=2_000, once=True)
        async with office.node.db.transaction() as tx:
            await office.node.sites.set_printer_address(tx, office.printers[0].id, f"tcp://127.0.0.1:{proxy.port}")
        async with office.printing(transport_for=impatient):
            visit = await office.visit()
            assert visit.badge is not None
            await until(lambda: is_(office, visit, "doubtful"))
    assert await in_doubt(office) == [("Front desk", visit.id, visit.badge.number)]


async def test_a_printer_that_refuses_all_night_has_its_badges_wait_and_print_in_order(office: FrontOffice) -> None:
    await office.desk.stop()
    async with office.printing():
        visits = [await office.visit() for _ in range(3)]
        await until(lambda: _says(office, "refuses the connection at Front desk; badges wait, 3 in line; use Library?"))
        await office.desk.start()
        await until(lambda: _all(office, visits, "printed"))
    assert [scanned(badge) for badge in office.desk.printed] == [[v.token] for v in visits]


async def test_a_reprint_in_the_middle_of_the_first_print_leaves_one_badge_that_counts(office: FrontOffice) -> None:
    from visitor.ids import new_id
    from visitor.security import Grant, Principal

    office.desk.rows_per_second = 100  # until the reprint is asked for
    desk = Principal("account", new_id(), "Desk", (Grant("desk", office.site.id),))
    async with office.printing():
        visit = await office.visit()
        await until(lambda: is_(office, visit, "sending"))
        new = await office.node.badges.reprint(desk, office.site.id, visit.id, "photo too dark")
        office.desk.rows_per_second = None
        await until(lambda: office.desk.count == 2)
    assert visit.badge is not None
    old = await office.node.badges.badge(visit.badge.id)
    assert old is not None and old.status == "void"
    assert scanned(office.desk.printed[1]) == [office.node.badges.token(new)]
    assert set((await office.opens()).badges) == {new.id}


async def _says(office: FrontOffice, part: str) -> bool:
    return any(part in words for words in await office.words())


async def _all(office: FrontOffice, visits: list[Visit], wanted: str) -> bool:
    return all([await is_(office, visit, wanted) for visit in visits])

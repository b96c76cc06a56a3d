"""kill -9 at every step of a job: afterwards there is exactly one badge, or a job in doubt that is named."""

import asyncio
import random
import sys
from pathlib import Path

import pytest
from jobkit import counting, job

from printers import FileJobStore, State
from printers.testing import VirtualPrinter

WORKER = Path(__file__).parent / "crashing_worker.py"

BEFORE_THE_FIRST_BYTE = ("claimed", "drawing", "connected", "before sending is noted", "half a line is written")
AFTER_IT = ("sending is noted", "half is sent", "all is sent", "the printer has confirmed", "before the outcome is noted")


async def work(store: Path, port: int, step: str, nth: int = 1) -> tuple[int, dict[str, str]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(WORKER), str(store), str(port), step, str(nth),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(300):
        out, err = await process.communicate()
    assert process.returncode in (0, -9), err.decode()
    return process.returncode, dict(line.split() for line in out.decode().splitlines())


async def queue(path: Path, count: int) -> None:
    store = FileJobStore(path)
    for number in range(1, count + 1):
        await store.add(job(number))
    store.close()


@pytest.mark.parametrize("step", [*BEFORE_THE_FIRST_BYTE, *AFTER_IT, "the outcome is noted"])
async def test_killed_at_a_step_each_badge_is_printed_once_or_its_doubt_is_named(step: str, tmp_path: Path) -> None:
    async with VirtualPrinter() as printer:
        seen = counting([printer])
        path = tmp_path / "jobs"
        await queue(path, 2)
        assert (await work(path, printer.port, step))[0] == -9
        code, states = await work(path, printer.port, "none")
        assert code == 0
        assert states["2"] == "printed" and seen[2] == 1
        if step in AFTER_IT:
            assert states["1"] == "doubtful" and seen[1] <= 1
        else:
            # Nothing had been sent, or the outcome was known: exactly one, and no doubt.
            assert states["1"] == "printed" and seen[1] == 1
        if step in ("the printer has confirmed", "before the outcome is noted"):
            assert seen[1] == 1


async def test_killed_over_and_over_no_badge_is_lost_and_none_is_doubled_unsaid(tmp_path: Path) -> None:
    chance = random.Random(4)
    async with VirtualPrinter() as printer:
        seen = counting([printer])
        path = tmp_path / "jobs"
        await queue(path, 40)
        for _ in range(6):
            step = chance.choice([*BEFORE_THE_FIRST_BYTE, *AFTER_IT])
            await work(path, printer.port, step, chance.randint(1, 4))
        _, states = await work(path, printer.port, "none")
        assert len(states) == 40
        for number in range(1, 41):
            if states[str(number)] == "printed":
                assert seen[number] == 1, number
            else:
                assert states[str(number)] == "doubtful" and seen[number] <= 1, number


async def test_a_doubtful_badge_is_named_and_settled_by_a_person(tmp_path: Path) -> None:
    async with VirtualPrinter() as printer:
        path = tmp_path / "jobs"
        await queue(path, 1)
        await work(path, printer.port, "all is sent")
        await work(path, printer.port, "none")
        store = FileJobStore(path)
        (doubt,) = await store.doubtful("desk")
        assert doubt.id == "job-00001" and "may have been printed" in doubt.reason
        assert await store.settle(doubt.id, State.PRINTED, "the visitor wears it")
        assert not await store.settle(doubt.id, State.FAILED, "too late")
        assert await store.doubtful("desk") == []
        store.close()

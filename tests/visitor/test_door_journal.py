"""The journal of door events: what was acknowledged is on the disk, whatever the disk, the power or kill -9 do to the rest."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visitor.doors.journal import Journal, JournalFull
from visitor.doors.models import DoorEvent
from visitor.ids import new_id


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


def test_a_door_event_names_nobody() -> None:
    text = msgspec.json.encode(event()).decode()
    assert set(msgspec.json.decode(text)) == {
        "id", "site_id", "door_id", "at", "verdict", "reason", "holder", "visit_id", "credential_id", "standing_id", "source",
    }

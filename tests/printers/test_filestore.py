"""The append-only store: what is on disk after any end, and who may have it open."""

import asyncio
import datetime as dt
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobkit import job

from printers import FileJobStore, LeaseLost, State, StoreBusy, StoreCorrupt, StoreError
from printers import filestore as module


async def filled(path: Path, count: int = 3) -> None:
    store = FileJobStore(path)
    for number in range(count):
        await store.add(job(number))
    store.close()


async def test_what_was_added_and_finished_is_there_after_reopening(tmp_path: Path) -> None:
    store = FileJobStore(tmp_path / "jobs")
    await store.add(job(1))
    await store.claim("desk", "w", 10)
    await store.sending("job-00001", "w", 10)
    await store.finish("job-00001", "w", State.PRINTED, confirmed=True)
    await store.hold("desk", "new roll")
    before = await store.jobs()
    store.close()
    again = FileJobStore(tmp_path / "jobs")
    assert await again.jobs() == before and await again.held("desk") == "new roll"
    assert stat.S_IMODE((tmp_path / "jobs").stat().st_mode) == 0o600
    again.close()


async def test_only_one_process_may_have_it_open(tmp_path: Path) -> None:
    store = FileJobStore(tmp_path / "jobs")
    with pytest.raises(StoreBusy):
        FileJobStore(tmp_path / "jobs")
    store.close()
    FileJobStore(tmp_path / "jobs").close()


@pytest.mark.parametrize("cut", range(1, 40, 3))
async def test_a_line_cut_short_by_a_power_cut_is_dropped_and_the_store_goes_on(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "jobs"
    await filled(path)
    path.write_bytes(path.read_bytes()[:-cut])
    store = FileJobStore(path)
    assert [found.ref for found in await store.jobs()] == ["0", "1"]
    await store.add(job(7))
    store.close()
    again = FileJobStore(path)
    assert [found.ref for found in await again.jobs()] == ["0", "1", "7"]
    again.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 0.62), flip=st.integers(1, 255))
def test_a_spoiled_line_in_the_middle_is_never_passed_over(place: float, flip: int, tmp_path: Path) -> None:
    path = tmp_path / "jobs"
    path.unlink(missing_ok=True)
    asyncio.run(filled(path))
    whole = bytearray(path.read_bytes())
    at = int(place * len(whole))
    whole[at] ^= flip
    path.write_bytes(whole)
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt):
        FileJobStore(path)
    # It is left as it was, for a person to look at, and is not locked.
    assert path.read_bytes() == before
    path.unlink()
    FileJobStore(path).close()


async def test_who_does_not_own_a_job_changes_nothing(tmp_path: Path) -> None:
    store = FileJobStore(tmp_path / "jobs")
    await store.add(job(1))
    assert await store.claim("desk", "one", 3600) is not None
    assert await store.claim("desk", "two", 10) is None
    for act in (
        store.sending("job-00001", "two", 10),
        store.renew("job-00001", "two", 10),
        store.release("job-00001", "two", reason="", attempts=0),
        store.finish("job-00001", "two", State.FAILED),
        # Not printed before it was sent.
        store.finish("job-00001", "one", State.PRINTED),
        store.sending("job-00099", "one", 10),
    ):
        with pytest.raises(LeaseLost):
            await act
    found = await store.get("job-00001")
    assert found is not None and found.state is State.QUEUED and found.worker == "one"
    store.close()


async def test_a_lapsed_lease_frees_a_queued_job_and_puts_a_sent_one_in_doubt(tmp_path: Path) -> None:
    now = [dt.datetime(2026, 11, 20, 9, tzinfo=dt.UTC)]
    store = FileJobStore(tmp_path / "jobs", now=lambda: now[0])
    await store.recover("two")
    for number in (1, 2):
        await store.add(job(number))
        await store.claim("desk", "one", 10)
    await store.sending("job-00002", "one", 10)
    assert await store.recover("two") == []
    now[0] += dt.timedelta(seconds=11)
    (doubt,) = await store.recover("two")
    assert doubt.id == "job-00002" and doubt.state is State.DOUBTFUL
    claimed = await store.claim("desk", "two", 10)
    assert claimed is not None and claimed.id == "job-00001"
    # The first worker was slow and not dead: it knows better, and may say so.
    await store.finish("job-00002", "one", State.PRINTED, confirmed=True)
    with pytest.raises(LeaseLost):
        await store.sending("job-00001", "one", 10)
    store.close()


async def test_only_free_jobs_are_moved_and_a_lost_place_is_not_given_twice(tmp_path: Path) -> None:
    store = FileJobStore(tmp_path / "jobs")
    for number in (1, 2, 3):
        await store.add(job(number))
    await store.claim("desk", "one", 3600)
    assert await store.move("desk", "library", "paper out") == 2
    assert [found.ref for found in await store.jobs() if found.printer == "library"] == ["2", "3"]
    assert await store.waiting("desk") == 1 and await store.waiting("library") == 2
    store.close()


async def test_states_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    store = FileJobStore(tmp_path / "jobs")
    with pytest.raises(ValueError, match="added as queued"):
        await store.add(job(1, state=State.PRINTED))
    await store.add(job(1))
    await store.claim("desk", "w", 10)
    with pytest.raises(ValueError, match="cannot finish as queued"):
        await store.finish("job-00001", "w", State.QUEUED)
    with pytest.raises(ValueError, match="cannot be settled as queued"):
        await store.settle("job-00001", State.QUEUED, "")
    store.close()


async def test_a_full_disk_stops_the_store_and_loses_nothing_it_had_promised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "jobs"
    store = FileJobStore(path)
    await store.add(job(1))

    class Full:
        def __init__(self, real) -> None:
            self._real = real

        def write(self, line: bytes) -> int:
            self._real.write(line[:20])
            self._real.flush()
            raise OSError(28, "No space left on device")

        def __getattr__(self, name: str) -> object:
            return getattr(self._real, name)

    store._file = Full(store._file)
    with pytest.raises(StoreError, match="No space left"):
        await store.add(job(2))
    # Nothing may follow half a line.
    with pytest.raises(StoreError, match="open it anew"):
        await store.add(job(3))
    assert await store.get("job-00002") is None
    store.close()
    again = FileJobStore(path)
    assert [found.ref for found in await again.jobs()] == ["1"]
    again.close()


async def test_the_file_is_rewritten_when_it_is_mostly_past_and_old_jobs_are_forgotten(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "_COMPACT_OVER", 50)
    now = [dt.datetime(2026, 11, 20, 9, tzinfo=dt.UTC)]
    path = tmp_path / "jobs"
    store = FileJobStore(path, keep=dt.timedelta(days=1), now=lambda: now[0])
    await store.hold("library", "broken")
    for number in range(100):
        if number == 60:
            now[0] += dt.timedelta(days=2)
        await store.add(job(number))
        await store.claim("desk", "w", 10)
        await store.sending(f"job-{number:05}", "w", 10)
        await store.finish(f"job-{number:05}", "w", State.DOUBTFUL if number == 0 else State.PRINTED)
    await store.add(job(999))
    assert path.read_bytes().count(b"\n") < 200
    left = await store.jobs()
    store.close()
    again = FileJobStore(path, now=lambda: now[0])
    assert await again.jobs() == left and await again.held("library") == "broken"
    # What is in doubt is kept until a person has settled it.
    assert {"job-00000", "job-00999"} <= {found.id for found in left} and len(left) < 80
    again.close()


async def test_its_repr_and_its_errors_name_no_visitor(tmp_path: Path) -> None:
    store = FileJobStore(tmp_path / "jobs")
    await store.add(job(1))
    assert "job-" not in repr(store)
    store.close()

"""An index file that is written into while it is mapped holds every visitor, and the service puts it right by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.waiting import until
from visitor.registries import following, pace
from visitor.registries.build import Job
from visitor.registries.indexes import IndexFiles
from visitor.registries.models import Staged
from visitor.registries.pace import Pace
from watchlists import Index, IndexFileError, Name, Subject, compiled
from watchlists.testing import entries

STRANGER = Subject(Name("Abernathy", "Ruth"))
LISTED = Subject(Name("Hargrove", "Wendell", "Tate"))
Damaging = Callable[[Path], None]

pytestmark = pytest.mark.skipif(not compiled.available(), reason="the compiled kernel is not installed (no C compiler at install time)")


class Builds:
    """The processes that make indexes: counted, and begun only while `may` is set."""

    def __init__(self) -> None:
        self.may, self.begun = asyncio.Event(), 0
        self.may.set()


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Iterator[Builds]:
    held, build = Builds(), IndexFiles.build

    async def build_later(self: IndexFiles, job: Job) -> Staged:
        held.begun += job.kind == "rebuild"
        await held.may.wait()
        return await build(self, job)

    monkeypatch.setattr(IndexFiles, "build", build_later)
    yield held
    held.may.set()


def flipped(file: Path) -> None:
    with file.open("r+b") as index:
        index.seek(file.stat().st_size // 2)
        byte = index.read(1)[0]
        index.seek(-1, 1)
        index.write(bytes([byte ^ 0x40]))


def zeroed(file: Path) -> None:
    with file.open("r+b") as index:
        index.write(b"\0" * 4096)


def cut_short(file: Path) -> None:
    with file.open("r+b") as index:
        index.truncate(512)


def another_list(file: Path) -> None:
    """A sound index, copied over the one in use: an admin who took the wrong backup."""
    other = file.with_suffix(".other")
    Index.build(entries(40)).save(other)
    file.write_bytes(other.read_bytes())
    other.unlink()


def the_same(file: Path) -> None:
    """Written again as it was: nothing is wrong with it but that it might have been."""
    file.write_bytes(file.read_bytes())


def damage(node: Any, how: Damaging, name: str = "offenders") -> Path:
    file = Path(node.registries._following.mapped[name].file)
    saved = file.stat().st_mtime_ns
    how(file)
    while file.stat().st_mtime_ns == saved:  # a file system's clock ticks every few milliseconds only
        with file.open("r+b") as index:
            index.write(index.read(1))
    return file


async def reason(node: Any, subject: Subject = STRANGER) -> str:
    """Why somebody cannot be screened; "" when they can."""
    return str(getattr(await node.screening.screen(subject), "reason", ""))


async def matched(node: Any, subject: Subject) -> list[str]:
    return [match.entry_id for match in (await node.screening.screen(subject)).matches]


async def shown(school: Any, path: str) -> str:
    answer = await school.desk.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 200, path
    return str(answer.text)


@pytest.mark.parametrize("how", [flipped, zeroed, cut_short, another_list])
async def test_a_damaged_index_holds_everybody_until_it_is_made_again(oak_school: Any, builds: Builds, how: Damaging) -> None:
    node, desk = oak_school.node, oak_school.desk
    builds.may.clear()
    file = damage(node, how)
    answer = await desk.post("/api/v1/check-ins", json=oak_school.check_in_body())
    visit = answer.json()["visit"]
    assert (visit["status"], visit["reason"]) == ("held", "screening-unavailable")
    assert visit["screening"]["outcome"] == "unavailable" and visit["screening"]["reason"] == "list-damaged"
    await until(lambda: builds.begun)
    assert await reason(node, LISTED) == "list-damaged"
    told = (await desk.get("/health")).json()["degraded"]["watchlists"]
    assert "Visitors are held for staff." in told and "damaged" in told and "Lists: Offenders." in told
    damaged = "The index file of Offenders is damaged and is made again from the database; visitors are held meanwhile."
    assert damaged in told
    for page in ("/desk/summary", "/desk/printers"):
        assert damaged in await shown(oak_school, f"{page}?site={oak_school.oak}"), page
    [one] = [one for one in node.registries.lists() if one.name == "offenders"]
    assert not one.ready and one.trouble == damaged
    builds.may.set()

    async def screened() -> bool:
        found = (await desk.get(f"/api/v1/visits/{visit['id']}")).json()["visit"]["screening"]
        return bool(found["outcome"] == "clear")

    await until(screened)  # who was held meanwhile is screened again, without anybody's doing
    assert "watchlists" not in (await desk.get("/health")).json()["degraded"]
    assert await matched(node, LISTED) == ["F-2"] and builds.begun == 1
    assert len(Index.open(file)) == 3 and file.stat().st_mode & 0o777 == 0o600
    [one] = [one for one in node.registries.lists() if one.name == "offenders"]
    assert one.ready and not one.trouble and one.revision == 1


async def test_a_file_that_is_as_it_was_is_opened_again_and_not_built(oak_school: Any, builds: Builds) -> None:
    node = oak_school.node
    damage(node, the_same)
    assert await reason(node, LISTED) == "list-damaged"

    async def screened() -> bool:
        return not await reason(node, LISTED)

    await until(screened)
    assert await matched(node, LISTED) == ["F-2"] and not node.registries.trouble() and builds.begun == 0


async def test_a_disk_that_damages_what_is_built_is_not_written_to_without_pause(
    oak_school: Any, builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = oak_school.node
    resting, rested = asyncio.Event(), asyncio.Event()
    monkeypatch.setattr(pace, "FIRST_SECONDS", 3600.0)
    monkeypatch.setattr(pace, "LONGEST_SECONDS", 3600.0)

    async def rest(self: Pace, seconds: float) -> None:
        if seconds:
            resting.set()
            await rested.wait()

    async def unsound(self: IndexFiles, revision_id: UUID) -> Index:
        raise IndexFileError("is damaged: its checksum does not fit", file=str(self.path(revision_id)))

    monkeypatch.setattr(Pace, "rest", rest)
    with monkeypatch.context() as bad:
        bad.setattr(IndexFiles, "open", unsound)
        damage(node, flipped)
        assert await reason(node) == "list-damaged"
        await until(resting.is_set)  # the damaged file was no use, nor is the one that was made in its place
        for _ in range(5):
            await node.registries.refresh()  # every notice and every poll does that
            assert await reason(node) == "list-damaged"
        assert builds.begun == 1 and "is damaged" in node.registries.trouble()
    await node.registries.refresh()  # the disk was seen to: the file made before is sound
    assert await matched(node, LISTED) == ["F-2"] and not node.registries.trouble() and builds.begun == 1
    rested.set()
    await until(lambda: not [task for task in asyncio.all_tasks() if task.get_name() == "index offenders"])
    assert await matched(node, LISTED) == ["F-2"] and builds.begun == 1, "what had waited its turn is not wanted any more"


async def test_what_could_not_be_built_for_want_of_room_is_built_at_the_next_look(
    oak_school: Any, builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = oak_school.node
    monkeypatch.setattr(pace, "FIRST_SECONDS", 0.01)

    async def away(*_: Any) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as full:
        full.setattr(following.store, "copy_entries", away)
        damage(node, flipped)
        assert await reason(node) == "list-damaged"
        await until(lambda: "could not be built. Is the server's disk full" in node.registries.trouble())
        assert await reason(node) == "list-damaged" and builds.begun == 0
    await node.registries.refresh()
    await until(lambda: not node.registries.trouble())
    assert await matched(node, LISTED) == ["F-2"] and builds.begun == 1


async def test_a_revision_that_comes_meanwhile_is_searched_at_once(oak_school: Any, builds: Builds, tmp_path: Path) -> None:
    node = oak_school.node
    builds.may.clear()
    damage(node, flipped)
    assert await reason(node) == "list-damaged"
    await until(lambda: builds.begun)
    builds.may.set()
    await node.registries.import_list("system", "offenders", "entries-jsonl", tmp_path / "offenders.jsonl")
    assert not await reason(node) and node.registries.revisions()["offenders"] == 2
    assert await matched(node, LISTED) == ["F-2"] and not node.registries.trouble()


async def test_a_damaged_list_that_is_retired_holds_nobody(oak_school: Any, builds: Builds, tmp_path: Path) -> None:
    node = oak_school.node
    await node.registries.import_list("system", "others", "entries-jsonl", tmp_path / "offenders.jsonl")
    builds.may.clear()
    damage(node, flipped, "others")
    assert await reason(node) == "list-damaged"
    await until(lambda: builds.begun)
    async with node.db.connection() as conn:
        await conn.execute("update watchlists set retired_at = now() where name = 'others'")
    await node.registries.refresh()
    assert await matched(node, LISTED) == ["F-2"] and not node.registries.trouble()


async def test_damage_told_of_late_does_not_hold_what_is_in_service_since(oak_school: Any, tmp_path: Path) -> None:
    node = oak_school.node
    followed = node.registries._following
    searched = followed.mapped
    await node.registries.import_list("system", "offenders", "entries-jsonl", tmp_path / "offenders.jsonl")
    followed.damage(searched["offenders"].file, searched)
    assert not followed.damaged and not await reason(node)


# ── the pauses ───────────────────────────────────────────────────────────────────────────────────────────────


def test_tries_come_ever_slower_and_never_stop() -> None:
    now = 100.0
    tries = Pace(lambda: now)
    pauses = []
    for _ in range(9):
        pauses.append(tries.pause("a"))
        now += pauses[-1]
    assert pauses == [0, 1, 2, 4, 8, 16, 30, 30, 30]
    assert tries.pause("b") == 0, "another's tries are its own"


def test_the_time_since_the_last_try_counts_and_after_a_while_it_is_forgotten() -> None:
    now = 100.0
    tries = Pace(lambda: now)
    assert [tries.pause("a"), tries.pause("a")] == [0, 1]  # the second is made at 101
    now = 102.5
    assert tries.pause("a") == 0.5
    now = 200.0
    assert tries.pause("a") == 0, "it was long ago"
    assert tries.pause("a") == 8, "and is remembered still"
    now = 240.0
    tries.ended("a")
    assert tries.pause("a") == 16, "counted from its end, for it took longer than the pause"
    now = 256.0 + pace.FORGOTTEN_SECONDS
    assert [tries.pause("a"), tries.pause("a")] == [0, 1]

"""An import that dies on its way and a start with a damaged index: the last good revision stays in force, nobody is cleared meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.listings import ENTRIES, MARLOW, OSKARI, STRANGER, Listings, known_as, second_process, write
from tests.waiting import until
from visitor.ids import new_id
from visitor.registries import importing
from visitor.registries.build import Job
from visitor.registries.indexes import IndexFiles
from visitor.registries.models import ImportFailed, ImportRunning, ListUnreadable
from visitor.screening.models import Clear, PossibleMatch, Unavailable, subject_of
from watchlists import Entry, Name


async def test_a_reading_process_that_is_killed_leaves_the_old_revision(lists: Listings, monkeypatch: pytest.MonkeyPatch) -> None:
    await lists.load()
    made = asyncio.create_subprocess_exec

    async def killed(*args: Any, **options: Any) -> Any:
        process = await made(*args, **options)
        process.send_signal(signal.SIGKILL)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", killed)
    with pytest.raises(ImportFailed, match="ended early"):
        await lists.load()
    assert lists.node.registries.revisions() == {"offenders": 1} and isinstance(await lists.screen(STRANGER), Clear)


async def test_a_death_between_staging_and_commit_leaves_the_old_revision(lists: Listings, monkeypatch: pytest.MonkeyPatch) -> None:
    await lists.load()

    async def die(*_: Any, **__: Any) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(importing.store, "add_revision", die)
    with pytest.raises(Exception, match=r"not answering|disk"):
        await lists.load((*ENTRIES, msgspec.structs.replace(OSKARI, id="F-4")))
    monkeypatch.undo()
    assert await lists.count("watchlist_revisions") == 1 and await lists.count("watchlist_entries") == 3
    assert len(lists.files()) == 1
    assert isinstance(await lists.screen(STRANGER), Clear)
    assert (await lists.load()).revision == 2


async def test_a_killed_service_starts_with_the_revision_in_force_and_no_leftovers(lists: Listings, tmp_path: Path) -> None:
    await lists.load()
    index = lists.node.settings.data / "index"
    dead = index / "work-99999999-aa"
    dead.mkdir()
    for left in (dead / "lock", dead / "x.rows", dead / "x.upload", index / f"{new_id()}.wli"):
        left.write_bytes(b"half")
    os.utime(left, (0, 0))
    async with second_process(lists, lists.node.settings.data) as other:
        assert other.registries.revisions() == {"offenders": 1} and not other.registries.trouble()
        assert not dead.exists() and not left.exists() and len(lists.files()) == 1
        living = [folder for folder in index.glob("work-*") if (folder / "lock").exists()]
        assert len(living) == 2, "the folder of a process that lives is left alone"
    assert len(list(index.glob("work-*"))) == 1


async def test_a_damaged_index_is_made_again_and_nobody_is_cleared_meanwhile(
    lists: Listings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lists.load()
    may_build, build = asyncio.Event(), IndexFiles.build

    async def build_later(self: IndexFiles, job: Job) -> Any:
        await may_build.wait()
        return await build(self, job)

    monkeypatch.setattr(IndexFiles, "build", build_later)
    (file,) = lists.files()
    data = file.read_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 0x40
    for number, damaged in enumerate((None, data[: len(data) // 2], bytes(flipped), b"hello", b"")):
        copy = lists.folder / f"restored{number}" / "index" / file.name
        if damaged is not None:
            copy.parent.mkdir(parents=True)
            copy.write_bytes(damaged)
        may_build.clear()
        async with second_process(lists, copy.parent.parent) as other:
            first = await other.screening.screen(subject_of(STRANGER))
            assert isinstance(first, Unavailable) and first.reason == "list-missing", number
            may_build.set()
            await until(lambda node=other: not node.registries.trouble())
            assert isinstance(await other.screening.screen(subject_of(STRANGER)), Clear)
            assert isinstance(await other.screening.screen(subject_of(known_as(MARLOW))), PossibleMatch)
        assert copy.stat().st_mode & 0o777 == 0o600 and copy.parent.stat().st_mode & 0o777 == 0o700


SLOW_IMPORT = """
import asyncio, sys
from pathlib import Path
from visitor.app import running_node
from visitor.keys import KeyRing
from visitor.registries import importing
from visitor.settings import Settings

url, data, keys, file, flag = sys.argv[1:]

async def late(conn):
    Path(flag).touch()
    await asyncio.sleep(600)

async def main():
    importing.store.change = late
    settings = Settings(data=Path(data), database_url=url)
    async with running_node(settings, url, KeyRing.load(Path(keys)), hardware=False) as node:
        await node.registries.import_list("system", "offenders", "entries-jsonl", Path(file))

asyncio.run(main())
"""


async def test_a_service_killed_at_the_last_moment_of_an_import_leaves_the_old_revision(lists: Listings) -> None:
    await lists.load()
    keys, flag, data = lists.folder / "keys.json", lists.folder / "flag", lists.folder / "killed"
    lists.node.keys.save(keys)
    file = write(lists.folder / "next.jsonl", [*ENTRIES, Entry("F-4", (Name("ABERNATHY", "RUTH"),), ("1977-03-09",), "F")])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SLOW_IMPORT, lists.node.settings.database_url, str(data), str(keys), str(file), str(flag),
    )
    await until(flag.exists, 180)
    process.kill()
    await process.wait()
    assert await lists.count("watchlist_revisions") == 1 and isinstance(await lists.screen(STRANGER), Clear)
    async with second_process(lists, data) as other:
        await until(lambda: not other.registries.trouble())
        assert other.registries.revisions() == {"offenders": 1}
        assert len(list((data / "index").glob("work-*"))) == 1, "what the killed one was making is gone"
    result = None
    async with asyncio.timeout(180):
        while result is None:  # its lock ends with its connection
            with contextlib.suppress(ImportRunning):
                result = await lists.node.registries.import_list("system", "offenders", "entries-jsonl", file)
    assert (result.revision, result.added) == (2, 1) and isinstance(await lists.screen(STRANGER), PossibleMatch)


async def test_a_first_import_that_fails_leaves_no_list_for_which_all_are_held(lists: Listings) -> None:
    await lists.load()
    file = lists.folder / "broken.jsonl"
    file.write_bytes(b'{"id"')
    with pytest.raises(ListUnreadable):
        await lists.node.registries.import_list("system", "sanctions", "entries-jsonl", file)
    assert await lists.count("watchlists") == 1 and isinstance(await lists.screen(STRANGER), Clear)

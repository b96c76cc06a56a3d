"""Several processes on one database: each follows the lists that another changed, and clears nobody by an old one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
import pytest

from tests.listings import ENTRIES, MARLOW, OSKARI, STRANGER, Listings, known_as, second_process
from tests.waiting import until
from visitor.db import Event
from visitor.postgres import EmbeddedPostgres
from visitor.screening.models import Clear, PossibleMatch, Unavailable, subject_of
from watchlists import Entry, Name
from watchlists.testing import entries

LISTED = (*ENTRIES, Entry("F-4", (Name("ABERNATHY", "RUTH"),), ("1977-03-09",), "F"))  # the stranger among them


async def test_another_process_follows_an_import(lists: Listings) -> None:
    await lists.load()
    async with second_process(lists, lists.folder / "second") as other:
        await until(lambda: other.registries.revisions() == {"offenders": 1})
        await lists.load(LISTED)
        await until(lambda: other.registries.revisions() == {"offenders": 2})
        assert isinstance(await other.screening.screen(subject_of(STRANGER)), PossibleMatch)
        await until(lambda: other.registries.matcher.revisions == lists.node.registries.matcher.revisions)
        assert len(list((lists.folder / "second" / "index").glob("*.wli"))) == 2, "patched at once, then made whole"
        await lists.load((ENTRIES[0], Entry("F-4", (Name("TAVERNIER", "OTTO"),), ("1977-03-09",), "F")))
        await until(lambda: other.registries.revisions() == {"offenders": 3})
        assert isinstance(await other.screening.screen(subject_of(STRANGER)), Clear), "changed"
        assert isinstance(await other.screening.screen(subject_of(known_as(OSKARI))), Clear), "withdrawn"
        assert isinstance(await other.screening.screen(subject_of(known_as(MARLOW))), PossibleMatch), "left alone"


async def test_a_large_change_is_built_aside_and_holds_until_then(lists: Listings, monkeypatch: pytest.MonkeyPatch) -> None:
    from visitor.registries import following

    monkeypatch.setattr(following, "_PATCH_AT_MOST", 2)
    await lists.load()
    async with second_process(lists, lists.folder / "second") as other:
        await until(lambda: not other.registries.trouble())
        await until(_nothing_is_built)  # the end of what was built at the start is told as well
        told: list[Event] = []
        other.bus.on(_keep_in(told))
        may_build = asyncio.Event()
        build = other.registries._files.build

        async def build_later(job: Any) -> Any:
            await may_build.wait()
            return await build(job)

        monkeypatch.setattr(other.registries._files, "build", build_later)
        await lists.load((*ENTRIES, *entries(3)))
        await until(lambda: other.registries.trouble())
        held = await other.screening.screen(subject_of(STRANGER))
        assert isinstance(held, Unavailable) and held.reason == "list-behind"
        may_build.set()
        await until(lambda: any(event.topic == "watchlists" and event.subject.int == 0 for event in told))
        assert not other.registries.trouble() and other.registries.revisions() == {"offenders": 2}
        assert isinstance(await other.screening.screen(subject_of(STRANGER)), Clear)


@asynccontextmanager
async def behind(lists: Listings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A second process that missed the notice of a change and has just learned, acting on a verdict, that there was one."""
    await lists.load()
    async with second_process(lists, lists.folder / "second") as other:
        await until(lambda: not other.registries.trouble())
        await until(_nothing_is_built)  # or its end would have the lists looked at once more
        monkeypatch.setattr(other.bus, "_deliver", _nothing)
        before = await other.screening.screen(subject_of(STRANGER))
        await lists.load(LISTED)
        assert isinstance(before, Clear)
        async with other.screening.acting() as tx:
            assert not await other.screening.still_current(tx, before)
        yield other


@asynccontextmanager
async def lists_locked(postgres: EmbeddedPostgres, database_name: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """As long as this is open nobody can read which lists are in force."""
    conn = await asyncpg.connect(postgres.owner_url(database_name))
    try:
        async with conn.transaction():
            await conn.execute("lock table watchlists in access exclusive mode")
            yield conn
    finally:
        await conn.close()


async def test_a_process_that_missed_the_notice_clears_nobody_by_the_old_list(
    lists: Listings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with behind(lists, monkeypatch) as other:
        assert isinstance(await other.screening.screen(subject_of(STRANGER)), PossibleMatch)
        assert other.registries.revisions() == {"offenders": 2}


async def test_a_look_already_under_way_clears_nobody_by_the_old_list(
    lists: Listings, monkeypatch: pytest.MonkeyPatch, postgres: EmbeddedPostgres, database_name: str
) -> None:
    async with behind(lists, monkeypatch) as other:
        async with lists_locked(postgres, database_name) as conn:
            looking = asyncio.create_task(other.registries.refresh())
            await until(lambda: _anybody_waits(conn))
            screening = asyncio.create_task(other.screening.screen(subject_of(STRANGER)))
            await asyncio.sleep(0.1)  # it would not wait, were it answered by the old list
        await looking
        assert isinstance(await screening, PossibleMatch)


async def test_nobody_is_cleared_by_a_list_that_could_not_be_followed_in_time(
    lists: Listings, monkeypatch: pytest.MonkeyPatch, postgres: EmbeddedPostgres, database_name: str
) -> None:
    async with behind(lists, monkeypatch) as other:
        following = other.registries._following
        async with lists_locked(postgres, database_name):
            with monkeypatch.context() as hurried:
                hurried.setattr(following, "_settings", msgspec.structs.replace(following._settings, timeout_seconds=0.3))
                held = await other.screening.screen(subject_of(STRANGER))
        assert isinstance(held, Unavailable) and held.reason == "list-behind"

        async def found() -> bool:
            verdict = await other.screening.screen(subject_of(STRANGER))
            assert not isinstance(verdict, Clear)
            return isinstance(verdict, PossibleMatch)

        await until(found)


def _nothing_is_built() -> bool:
    return not any(task.get_name().startswith("index ") for task in asyncio.all_tasks())


async def _anybody_waits(conn: asyncpg.Connection[Any]) -> bool:
    return bool(await conn.fetchval("select exists (select from pg_locks where not granted and relation = 'watchlists'::regclass)"))


def _keep_in(told: list[Event]) -> Any:
    async def keep(event: Event) -> None:
        told.append(event)

    return keep


async def _nothing(event: Event) -> None:
    """A bus whose notices are lost."""

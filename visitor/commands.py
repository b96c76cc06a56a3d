"""The commands that look at or change a node from the shell. They work beside a running service, on the same database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from visitor.errors import NotFound, SetupError
from visitor.keys import KeyRing
from visitor.postgres import EmbeddedPostgres, Lock
from visitor.run import database
from visitor.settings import Settings

if TYPE_CHECKING:
    from visitor.app import Node

T = TypeVar("T")


@asynccontextmanager
async def _node(settings: Settings) -> AsyncIterator[Node]:
    """A node for one command: on the running service's database when there is one, else on a server of its own."""
    from visitor.app import running_node

    if not settings.key_file.exists():
        raise SetupError(f"There is no node in {settings.data}. Start one with: visitor run --data {settings.data}")
    keys = KeyRing.load(settings.key_file)
    if settings.database_url:
        async with database(settings) as (_, app_url), running_node(settings, app_url, keys, hardware=False) as node:
            yield node
        return
    try:
        lock = Lock(settings.data)
    except SetupError:
        # A service runs here and keeps its PostgreSQL up.
        async with running_node(settings, EmbeddedPostgres(settings.data).app_url(), keys, hardware=False) as node:
            yield node
        return
    try:
        async with database(settings) as (_, app_url), running_node(settings, app_url, keys, hardware=False) as node:
            yield node
    finally:
        lock.release()


async def watchlists(settings: Settings) -> int:
    async with _node(settings) as node:
        lists = node.registries.lists()
    if not lists:
        print("No watchlist yet. Import one: visitor watchlist import offenders FILE --format mapped-csv")
        return 1
    width = max(len(entry.name) for entry in lists)
    print(f"{'list':<{width}}  revision  entries      age")
    for entry in lists:
        hours = entry.age_hours
        age = "by hand" if hours is None else f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.0f} d"
        print(f"{entry.name:<{width}}  {entry.revision:>8}  {entry.entries:>7,}  {age:>7}{'  TOO OLD' if entry.stale else ''}")
    return 0


async def import_list(settings: Settings, name: str, file: Path, form: str, *, allow_shrink: bool) -> int:
    if not file.is_file():  # noqa: ASYNC240  before anything runs that could be kept waiting
        raise SetupError(f"There is no file {file}.")
    print(f"Importing {file.name} as {name} …", flush=True)
    async with _node(settings) as node:
        done = await node.registries.import_list("system", name, form, file, allow_shrink=allow_shrink)
    print(f"Revision {done.revision}: {done.added:,} added, {done.removed:,} removed, {done.changed:,} changed, {done.refused:,} refused.")
    return 0


def _find(items: list[T], wanted: str, what: str) -> T:
    for item in items:
        if wanted in (str(item.id), item.name):  # type: ignore[attr-defined]
            return item
    known = ", ".join(sorted({f"{i.name!r}" for i in items})) or "none yet"  # type: ignore[attr-defined]
    raise NotFound(f"There is no {what} {wanted!r}. Known: {known}.")


async def pair(settings: Settings, station: str) -> int:
    async with _node(settings) as node:
        found = _find(node.sites.stations(), station, "station")
        async with node.db.transaction() as tx:
            code = await node.accounts.pairing_code(tx, found.id)
    print(f"Open this on the device that becomes {found.name} (it works once, for an hour):\n  {settings.url}/pair/{code}")
    return 0


async def token(settings: Settings, name: str, role: str, site: str | None, days: int) -> int:
    if not 1 <= days <= 3650:
        raise SetupError("Give between 1 and 3650 days.")
    async with _node(settings) as node:
        site_id: UUID | None = _find(node.sites.schools(), site, "school").id if site else None
        async with node.db.transaction() as tx:
            made = await node.accounts.machine_token(tx, name, role, site_id, timedelta(days=days))  # type: ignore[arg-type]
    print(f"{made}\nKeep it: it is shown only now and only its hash is stored.")
    return 0


async def doctor(settings: Settings, print_test: str | None) -> int:
    """Say what works and what does not; exit status 1 when something a visitor would notice is wrong."""
    troubles = 0

    def say(ok: bool, what: str, sentence: str) -> None:
        nonlocal troubles
        troubles += not ok
        print(f"  {'ok   ' if ok else 'WRONG'}  {what:<14} {sentence}")

    async with _node(settings) as node:
        async with node.db.connection() as conn:
            version = await conn.fetchval("show server_version")
        say(True, "database", f"PostgreSQL {version}")
        lists = node.registries.lists()
        if not lists:
            say(False, "watchlists", "none imported: every visitor is held for staff")
        for entry in lists:
            words = "TOO OLD" if entry.stale else "in force"
            say(not entry.stale, "list", f"{entry.name}: revision {entry.revision}, {entry.entries:,} entries, {words}")
        for site in node.sites.schools():
            for state in await node.badges.printer_states(site.id):
                # While no service runs, nobody but us can ask the printer how it is.
                ok, words = (state.ok, state.words) if state.condition != "unattended" else await node.badges.ask(state.id)
                say(ok, "printer", f"{site.name}: {words}")
        if find_spec("smartcard") is None:
            say(True, "smart cards", "not installed: pip install pyscard (needs swig and libpcsclite-dev); all else runs")
        else:
            say(True, "smart cards", "pyscard is installed")
        if print_test is not None:
            printer = _find(node.sites.printers(), print_test, "printer")
            print(f"  printing a test badge at {printer.name} …", flush=True)
            say(*(await node.badges.print_test(printer.id)))
    return 1 if troubles else 0

"""Shared fixtures: a real PostgreSQL for each test worker, a migrated template database, a fresh copy for each test.

Heavy imports stay inside the fixtures, so that a library's tests run where only that library's extra is installed.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from visitor.app import Node
    from visitor.postgres import EmbeddedPostgres

ROOT = Path(__file__).resolve().parent.parent
_numbers = itertools.count()


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Real data that nobody here wrote: VISITOR_TEST_DATA, or the folder beside the project."""
    folder = Path(os.environ.get("VISITOR_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real test data is not at {folder}; set VISITOR_TEST_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A running cluster of this worker's own, in a short path that the unprivileged account may enter."""
    from visitor import db
    from visitor.postgres import EmbeddedPostgres

    with tempfile.TemporaryDirectory(prefix="vt-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = EmbeddedPostgres(folder, {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"})

        async def prepare() -> None:
            await server.start()
            await db.migrate(server.owner_url())
            import asyncpg

            conn = await asyncpg.connect(server.owner_url("postgres"))
            await conn.execute("alter database visitor rename to template_visitor")
            await conn.execute("alter database template_visitor is_template true")
            await conn.close()

        asyncio.run(prepare())
        yield server
        server.stop()


@pytest.fixture
async def database_name(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """A fresh migrated database, dropped afterwards."""
    import asyncpg

    name = f"t{next(_numbers)}_{secrets.token_hex(3)}"
    conn = await asyncpg.connect(postgres.owner_url("postgres"))
    await conn.execute(f"create database {name} template template_visitor")
    yield name
    await conn.execute(f"drop database {name} with (force)")
    await conn.close()


@pytest.fixture
async def node(postgres: EmbeddedPostgres, database_name: str, tmp_path: Path) -> AsyncIterator[Node]:
    """A started node on a fresh database, with a data folder of its own and nothing in it."""
    from visitor.app import running_node
    from visitor.keys import KeyRing
    from visitor.settings import Settings

    settings = Settings(data=tmp_path / "data", database_url=postgres.app_url(database_name))
    async with running_node(settings, postgres.app_url(database_name), KeyRing.new()) as started:
        yield started


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Any]:
    """An httpx client of the node's app in this process; server-sent events need a real server instead."""
    import httpx

    from visitor.app import create_app

    transport = httpx.ASGITransport(app=create_app(node))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://visitor.test") as http:
        yield http

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
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from visitor.app import Node
    from visitor.postgres import EmbeddedPostgres

# How long an example takes says more of the machine than of the code.
settings.register_profile("visitor", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("visitor")

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
    from visitor.settings import Screening, Settings

    # A loaded test machine is no reason to hold a visitor.
    settings = Settings(data=tmp_path / "data", database_url=postgres.app_url(database_name), screening=Screening(timeout_seconds=60))
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


class School:
    """A small school for tests of the journey: ids, and an HTTP client for each role."""

    def __init__(self, node: Node, clients: dict[str, Any], **ids: Any) -> None:
        self.node = node
        self.clients = clients
        self.__dict__.update(ids)

    def __getattr__(self, role: str) -> Any:
        try:
            return self.clients[role]
        except KeyError:
            raise AttributeError(role) from None

    def check_in_body(self, **document: Any) -> dict[str, Any]:
        """A check-in of an invented visitor by typed document; keyword arguments change the document."""
        facts = {
            "family_name": "Castellanos", "given_name": "Julia", "birth_date": "1988-04-12", "number": "T1234567", "issuer": "TX",
            "sex": "F", **document,
        }
        return {"station_id": str(self.kiosk), "purpose": "meeting", "host_id": str(self.host), "document": facts}


@pytest.fixture
async def oak_school(node: Node, tmp_path: Path) -> AsyncIterator[School]:
    """One school with zones, doors, stations, staff and a loaded list of three invented entries; a second school beside it."""
    import httpx
    import msgspec

    from tests.clock import NOON
    from visitor.accounts.models import Staff
    from visitor.app import create_app
    from visitor.ids import new_id
    from visitor.policies.models import Purpose
    from visitor.sites.models import Door, Site, Station, Zone
    from watchlists import Entry, Name

    oak, elm = (Site(new_id(), "school", name, "1 Main St", NOON, {}) for name in ("Oak", "Elm"))
    zones = {name: Zone(new_id(), oak.id, name, {}) for name in ("Office", "Library", "Plant room")}
    doors = {name: Door(new_id(), oak.id, zone.id, f"{name} door", "", None, None, 5.0, {}) for name, zone in zones.items()}
    kiosk, desk, far = (
        Station(new_id(), site.id, kind, name, None, None)
        for site, kind, name in ((oak, "kiosk", "Front"), (oak, "desk", "Desk"), (elm, "kiosk", "Elm front"))
    )
    host = Staff(new_id(), oak.id, None, "Ngozi Okafor", "Teacher", "Room 12", may_host=True, may_escort=True)
    other = Staff(new_id(), elm.id, None, "Peter Novak", "Teacher", "Room 1", may_host=True, may_escort=True)
    purposes = (
        Purpose("meeting", "Meeting", "Reunión", 120, ("Office", "Library"), host_required=True),
        Purpose("contractor", "Contractor", "Contratista", 480, ("Office", "Plant room"), "always"),
        Purpose("delivery", "Delivery", "Entrega", 30, ("Office",), auto_approve=False),
    )
    tokens: dict[str, str] = {}
    async with node.db.transaction() as tx:
        for row in (oak, elm, *zones.values(), *doors.values(), kiosk, desk, far):
            await node.sites.add(tx, row)
        for member in (host, other):
            await node.accounts.add(tx, member)
        await node.policies.set(tx, purposes, "system")
        for role in ("desk", "hall", "respond", "admin", "doors"):
            tokens[role] = await node.accounts.machine_token(tx, role, role, oak.id)
        tokens["elm_desk"] = await node.accounts.machine_token(tx, "elm", "desk", elm.id)
        tokens["station"] = await node.accounts.station_token(tx, kiosk.id, "system")
        tokens["elm_station"] = await node.accounts.station_token(tx, far.id, "system")
    entries = [
        Entry("F-1", (Name("REYES", "DANIEL", "ORTEGA"),), ("1986-03-14",), "M", category="fictitious"),
        Entry("F-2", (Name("HARGROVE", "WENDELL", "TATE"),), ("1971-11-02",), "M", category="fictitious"),
        Entry("F-3", (Name("QUILLFEATHER", "OSWIN"),), ("1990-01-31",), "M", category="fictitious"),
    ]
    file = tmp_path / "offenders.jsonl"
    file.write_bytes(b"".join(msgspec.json.encode(e) + b"\n" for e in entries))
    await node.registries.import_list("system", "offenders", "entries-jsonl", file)
    app = create_app(node)
    clients = {
        role: httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://visitor.test", headers={"authorization": f"Bearer {token}"}
        )
        for role, token in tokens.items()
    }
    yield School(
        node, clients, oak=oak.id, elm=elm.id, kiosk=kiosk.id, desk_station=desk.id, elm_kiosk=far.id, host=host.id, elm_host=other.id,
        doors_by_zone={name: door.id for name, door in doors.items()}, zones=zones, tokens=tokens,
    )
    for client in clients.values():
        await client.aclose()


@pytest.fixture(scope="session")
def drawing() -> Iterator[Any]:
    """One process that draws badges for all tests of a worker: starting one takes longer than most tests."""
    from visitor.badges.drawing import Drawing

    shared = Drawing(workers=1, idle=1e9)
    yield shared
    asyncio.run(shared.close())


@pytest.fixture
async def office(node: Node, drawing: Any) -> AsyncIterator[Any]:
    """A front office with two printers that are not there (tests/front_office.py); what prints is started by the test."""
    from tests.front_office import FrontOffice

    await node.printing.stop()
    own, node.badges.drawing = node.badges.drawing, drawing
    made = FrontOffice(node)
    await made.build()
    yield made
    await made.close()
    node.badges.drawing = own

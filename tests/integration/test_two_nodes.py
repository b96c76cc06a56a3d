"""A hub and two sites, each with a PostgreSQL of its own, replicating by the kinds of their tables."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from visitor import db, kinds, replication
from visitor.ids import new_id
from visitor.postgres import EmbeddedPostgres

pytestmark = pytest.mark.slow
HUB, OAK, ELM = new_id(), new_id(), new_id()


class Cluster:
    def __init__(self, server: EmbeddedPostgres, owner: Any, app: Any) -> None:
        self.server, self.owner, self.app = server, owner, app


async def _cluster(folder: Path) -> Cluster:
    folder.mkdir()
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder, {"fsync": "off", "shared_buffers": "16MB", "wal_receiver_status_interval": "1s"})
    await server.start()
    await db.migrate(server.owner_url())
    owner, app = await asyncpg.connect(server.owner_url()), await asyncpg.connect(server.app_url())
    for conn in (owner, app):
        await conn.set_type_codec("jsonb", encoder=lambda v: msgspec.json.encode(v).decode(), decoder=msgspec.json.decode, schema="pg_catalog")
    return Cluster(server, owner, app)


@pytest.fixture
async def nodes() -> AsyncIterator[dict[str, Cluster]]:
    with tempfile.TemporaryDirectory(prefix="v2-", ignore_cleanup_errors=True) as name:
        base = Path(name)
        base.chmod(0o755)
        names = ("hub", "oak", "elm")
        made = dict(zip(names, await asyncio.gather(*(_cluster(base / n) for n in names)), strict=True))
        try:
            yield made
        finally:
            for node in made.values():
                await node.owner.close()
                await node.app.close()
            # Subscribers first: a publisher waits for their last acknowledgement.
            for node in reversed(made.values()):
                await asyncio.to_thread(node.server.stop)


async def _connect(nodes: dict[str, Cluster]) -> None:
    hub, oak, elm = nodes["hub"], nodes["oak"], nodes["elm"]
    await replication.publish_as_hub(hub.owner, [OAK, ELM])
    await replication.publish_as_site(oak.owner, OAK)
    await replication.publish_as_site(elm.owner, ELM)
    for node, site in ((oak, OAK), (elm, ELM)):
        await replication.subscribe_to_hub(node.owner, site, hub.server.owner_url())
        await replication.subscribe_to_site(hub.owner, site, node.server.owner_url())


async def _arrives(conn: Any, query: str, *args: Any, want: Any = 1) -> None:
    async with asyncio.timeout(120):
        while (found := await conn.fetchval(query, *args)) != want:
            assert found is None or isinstance(found, type(want)), found
            await asyncio.sleep(0.05)


async def _site(conn: Any, site_id: UUID, kind: str, name: str) -> None:
    await conn.execute("insert into sites (id, kind, name, time_zone) values ($1, $2, $3, 'America/Chicago')", site_id, kind, name)


async def _visit(conn: Any, site_id: UUID, station: UUID, policy: UUID) -> UUID:
    now, person, visit = datetime.now(UTC), new_id(), new_id()
    await conn.execute(
        "insert into people (site_id, id, identity_key, weak, family_name, given_name, first_seen, last_seen)"
        " values ($1, $2, $3, false, 'Sample', 'Ana', $4, $4)", site_id, person, b"k" * 32, now,
    )
    await conn.execute(
        "insert into visits (site_id, id, person_id, station_id, purpose, policy_id, status, document, escort_required, checked_in_at,"
        " valid_until) values ($1, $2, $3, $4, 'meeting', $5, 'on_site', '{}', false, $6, $6)", site_id, visit, person, station, policy, now,
    )
    return visit


async def test_rows_flow_by_their_kind_and_nothing_loops(nodes: dict[str, Cluster]) -> None:
    hub, oak, elm = nodes["hub"], nodes["oak"], nodes["elm"]
    now, station, policy = datetime.now(UTC), new_id(), new_id()
    # Before the nodes know each other, so that the first copy is tried too.
    await _site(hub.app, HUB, "hub", "District")
    await _site(hub.app, OAK, "school", "Oak")
    await _connect(nodes)
    await _site(hub.app, ELM, "school", "Elm")
    await hub.app.execute("insert into stations (id, site_id, kind, name) values ($1, $2, 'kiosk', 'Front')", station, OAK)
    await hub.app.execute("insert into policies (id, name, version, body, created_at) values ($1, 'purposes', 1, '{}', $2)", policy, now)

    # hub-owned: to every site
    for node in (oak, elm):
        await _arrives(node.app, "select count(*) from sites", want=3)
        await _arrives(node.app, "select count(*) from stations where id = $1", station)
        await _arrives(node.app, "select count(*) from policies where id = $1", policy)

    # site-owned: to the hub, its changes too, and to no other site; its foreign keys hold there
    visit = await _visit(oak.app, OAK, station, policy)
    await _arrives(hub.app, "select status from visits where id = $1", visit, want="on_site")
    await oak.app.execute("update visits set status = 'checked_out' where site_id = $1 and id = $2", OAK, visit)
    await _arrives(hub.app, "select status from visits where id = $1", visit, want="checked_out")
    joined = "select count(*) from visits v join people p using (site_id) join stations s on s.id = v.station_id where v.id = $1"
    assert await hub.app.fetchval(joined, visit) == 1

    # shared: through the hub to the other site, and the row that ends it, written elsewhere
    barred = new_id()
    await oak.app.execute(
        "insert into barred_entries (site_id, id, entry, reason, created_at, created_by) values ($1, $2, '{}', 'threat', $3, 'x')",
        OAK, barred, now,
    )
    await _arrives(elm.app, "select count(*) from barred_entries where id = $1", barred)
    await elm.app.execute(
        "insert into endings (site_id, id, ends_table, ends_site_id, ends_id, reason, created_at, created_by)"
        " values ($1, $2, 'barred_entries', $3, $4, 'lifted', $5, 'x')", ELM, new_id(), OAK, barred, now,
    )
    await _arrives(oak.app, "select count(*) from endings where ends_id = $1", barred)
    await elm.app.execute("delete from endings where ends_id = $1", barred)
    await _arrives(oak.app, "select count(*) from endings where ends_id = $1", barred, want=0)

    # local: nowhere
    await oak.app.execute("insert into setup_links values ($1, 'administrator', null, $2, $2)", b"x", now)
    # A row that travels after it shows that the local one had its chance.
    await oak.app.execute(
        "insert into audit (site_id, id, at, actor, action, subject_kind, subject_id) values ($1, $2, $3, 'system', 'x.y', 'x', $2)",
        OAK, new_id(), now,
    )
    await _arrives(hub.app, "select count(*) from audit")
    assert await hub.app.fetchval("select count(*) from setup_links") == 0
    assert await elm.app.fetchval("select count(*) from visits") == 0 and await elm.app.fetchval("select count(*) from audit") == 0
    for node in nodes.values():
        assert await node.app.fetchval("select count(*) from barred_entries") == 1
        # An apply worker that met a conflict or a missing table would have been restarted and counted.
        errors = await node.owner.fetchval("select coalesce(sum(apply_error_count + sync_error_count), 0)::int from pg_stat_subscription_stats")
        assert errors == 0


async def test_a_site_goes_on_alone_and_catches_up(nodes: dict[str, Cluster]) -> None:
    hub, oak = nodes["hub"], nodes["oak"]
    station, policy = new_id(), new_id()
    await _site(hub.app, OAK, "school", "Oak")
    await hub.app.execute("insert into stations (id, site_id, kind, name) values ($1, $2, 'kiosk', 'Front')", station, OAK)
    await hub.app.execute(
        "insert into policies (id, name, version, body, created_at) values ($1, 'purposes', 1, '{}', $2)", policy, datetime.now(UTC)
    )
    await _connect(nodes)
    for table in ("sites", "stations", "policies"):
        await _arrives(oak.app, f"select count(*) from {table}")
    await hub.owner.close()
    await hub.app.close()
    await asyncio.to_thread(hub.server.stop)
    visit = await _visit(oak.app, OAK, station, policy)  # the network is down; the front office works on
    await hub.server.start()
    hub.owner, hub.app = await asyncpg.connect(hub.server.owner_url()), await asyncpg.connect(hub.server.app_url())
    await _arrives(hub.app, "select count(*) from visits where id = $1", visit)


def test_every_kind_is_published_by_its_writer() -> None:
    assert set(replication.tables("hub", "site", "shared", "local")) == set(kinds.TABLES)
    assert "sessions" not in replication.tables("hub", "site", "shared") and "audit" in replication.tables("site")

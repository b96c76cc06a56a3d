"""The table of route × role, walked: every route is in it, every row of it exists, and each role gets what the row says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from visitor import access
from visitor.app import create_app, create_litestar
from visitor.ids import new_id
from visitor.sites.models import Site, Station

ROLES = ("desk", "hall", "respond", "admin", "doors", "station")


def _routes(node: Any) -> set[tuple[str, str]]:
    found = set()
    for route in create_litestar(node).routes:
        for handler in getattr(route, "route_handlers", []):
            for method in getattr(handler, "http_methods", set()):
                if method not in ("OPTIONS", "HEAD"):
                    found.add((str(method), route.path_format))
    return found


def test_every_route_is_in_the_table_and_every_row_is_a_route(node: Any) -> None:
    routes = {r for r in _routes(node) if not r[1].startswith("/schema") or r[1].endswith("openapi.json")}
    table = {row for row in access.TABLE if not row[1].startswith("/bench")}  # the bench exists in the demo only
    assert routes - table == set(), "routes that answer nobody: add them to access.TABLE"
    assert table - routes == set(), "rows without a route"


@pytest.fixture
async def callers(node: Any) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    site = Site(new_id(), "school", "Oak", "", "America/Chicago", {})
    station = Station(new_id(), site.id, "kiosk", "Front", None, None)
    tokens = {}
    async with node.db.transaction() as tx:
        await node.sites.add(tx, site)
        await node.sites.add(tx, station)
        for role in ROLES[:-1]:
            tokens[role] = await node.accounts.machine_token(tx, role, role)
        tokens["station"] = await node.accounts.station_token(tx, station.id, "system")
    app = create_app(node)
    clients = {
        role: httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://visitor.test", headers={"authorization": f"Bearer {token}"}
        )
        for role, token in tokens.items()
    }
    clients["nobody"] = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://visitor.test")
    yield clients
    for client in clients.values():
        await client.aclose()


async def test_each_role_gets_what_its_row_says(node: Any, callers: dict[str, httpx.AsyncClient]) -> None:
    wrong = []
    for (method, template), roles in sorted(access.TABLE.items()):
        if template.startswith("/bench") or template.endswith("/events"):
            continue  # the bench exists in the demo only; an event stream does not end
        path = template
        while "{" in path:
            head, _, rest = path.partition("{")
            path = head + str(uuid4()) + rest.partition("}")[2]
        for role, client in callers.items():
            answer = await client.request(method, path, json={} if method != "GET" else None)
            kind = answer.json().get("type") if "problem" in answer.headers.get("content-type", "") else ""
            if roles is access.PUBLIC:
                ok = answer.status_code not in (401, 403) or kind == "wrong-sign-in"
            elif role == "nobody":
                ok = answer.status_code == 401
            elif role in roles:
                # It got past the table: whatever the service says of an invented id or an empty body.
                ok = answer.status_code not in (401,) and not (answer.status_code == 403 and kind == "not-allowed" and role == "admin")
            else:
                ok = answer.status_code == 403 and kind == "not-allowed"
            if not ok:
                wrong.append(f"{role} {method} {template}: {answer.status_code} {kind}")
    assert wrong == []

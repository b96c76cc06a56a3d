"""How long a person stands at a door: from a card at the reader to the lock's relay, over a real OSDP line.

    python benchmarks/door_tap.py [--taps 150] [--credentials 2000] [--write]

A libosdp peripheral over a socketpair, Secure Channel enforced, a node on its own PostgreSQL with every flush on. Beside the
whole way (tap → relay), the parts: what the line alone takes (tap → event at the bus), the decision over a table of that many
credentials, the journal's flush, and a tap by HTTP. `--write` keeps the figures in benchmarks/results/door_tap.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

# The folder of a script comes first on the path, and this one has a readers.py of its own.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from readers import CardPresented, DoorBus, encode_wiegand
from readers.testing import VirtualDoorReader
from visitor import db
from visitor.accounts.models import Staff
from visitor.app import Node, create_app, running_node
from visitor.doors.decision import decide
from visitor.doors.models import DoorEvent, DoorView, KeyedCard, TokenRead, VisitCredential
from visitor.ids import new_id
from visitor.keys import Claims, KeyRing
from visitor.postgres import EmbeddedPostgres
from visitor.settings import Settings
from visitor.sites.models import Door, Site, Zone

RESULT = Path(__file__).parent / "results" / "door_tap.json"
CARD = encode_wiegand("H10301", 4711, 12)
RELOCK_SECONDS = 0.1


def figures(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(s * 1000 for s in seconds)
    return {
        "median_ms": round(statistics.median(ordered), 3), "p95_ms": round(ordered[int(len(ordered) * 0.95)], 3),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)], 3), "worst_ms": round(ordered[-1], 3), "count": len(ordered),
    }


async def build(node: Node, credentials: int) -> tuple[Door, VisitCredential]:
    """A school with one door and one member of staff, and as many visitors in the door's table as asked for."""
    site = Site(new_id(), "school", "Benchmark School", "", "UTC", {})
    zone = Zone(new_id(), site.id, "Office", {})
    door = Door(new_id(), site.id, zone.id, "Front door", "osdp+virtual://bench", None, None, RELOCK_SECONDS, {})
    staff = Staff(new_id(), site.id, None, "A. Host", "", "", True, True)
    async with node.db.transaction() as tx:
        for row in (site, zone, door):
            await node.sites.add(tx, row)
        await node.accounts.add(tx, staff)
        await node.credentials.add_standing(tx, site_id=site.id, card_format="H10301", bits=CARD, actor="system", staff_id=staff.id)
    now = datetime.now(UTC)
    for _ in range(credentials):
        row = VisitCredential(
            new_id(), site.id, new_id(), new_id(), (), frozenset({zone.id}), False, None, "active", now, now + timedelta(hours=8)
        )
        node.doors.access.table.put(row)
    return door, row


async def each(count: int, act: Callable[[], Awaitable[float]]) -> dict[str, float]:
    """Taps at irregular moments, so that none falls in step with the line's polling."""
    found = []
    for _ in range(count):
        await asyncio.sleep(RELOCK_SECONDS + 0.15 + random.random() * 0.2)
        found.append(await act())
    return figures(found)


class Watched:
    """A virtual reader whose lock's release is noted the moment the peripheral takes the command."""

    def __init__(self) -> None:
        self.device = VirtualDoorReader(changed=self._changed)
        self.loop = asyncio.get_running_loop()
        self.released = asyncio.Event()
        self.at = 0.0
        self._armed = False

    def _changed(self) -> None:
        if self._armed and self.device.unlocked:
            self._armed, self.at = False, time.perf_counter()
            self.loop.call_soon_threadsafe(self.released.set)

    async def tap(self) -> float:
        self.released.clear()
        self._armed = True
        started = time.perf_counter()
        self.device.tap(CARD)
        await asyncio.wait_for(self.released.wait(), 5)
        return self.at - started


async def line_alone(count: int) -> dict[str, float]:
    with VirtualDoorReader() as device:
        async with DoorBus([device.configuration]) as bus:
            while not bus.online(device.configuration.name):
                await asyncio.sleep(0.05)

            async def once() -> float:
                started = time.perf_counter()
                device.tap(CARD)
                while not isinstance(await bus.next_event(), CardPresented):
                    pass
                return time.perf_counter() - started

            return await each(count, once)


async def measure(args: argparse.Namespace) -> dict[str, Any]:
    result: dict[str, Any] = {"line_alone": await line_alone(args.taps // 2)}
    with tempfile.TemporaryDirectory(prefix="door-tap-") as name:
        os.chmod(name, 0o755)  # the database's own account enters it
        folder = Path(name)
        server = EmbeddedPostgres(folder)
        await server.start()
        try:
            await db.migrate(server.owner_url())
            async with running_node(Settings(data=folder / "data"), server.app_url(), KeyRing.new()) as node:
                result |= await with_node(node, args)
        finally:
            server.stop()
    return result


async def with_node(node: Node, args: argparse.Namespace) -> dict[str, Any]:
    result: dict[str, Any] = {}
    watched = Watched()
    with watched.device:
        door, row = await build(node, args.credentials)
        node.virtual_doors["bench"] = watched.device.configuration
        await node.door_bridge.look()
        while node.doors.reader_states[door.id][0] != "online":
            await asyncio.sleep(0.05)
        result["tap_to_relay"] = await each(args.taps, watched.tap)

        view, state = DoorView(door.id, door.site_id, door.zone_id), node.sites.state(door.site_id)
        card = KeyedCard(node.credentials.identifier("H10301", CARD))
        badge = TokenRead(Claims("badge", row.badge_id or row.id, row.site_id, row.valid_from, row.valid_until))
        for kind, read in (("card", card), ("badge", badge)):
            runs = 20_000
            started = time.perf_counter()
            for _ in range(runs):
                decide(read, view, node.doors.access.table, state, row.valid_from)
            result[f"decision_{kind}_us"] = round((time.perf_counter() - started) / runs * 1e6, 2)

        flushes = []
        for _ in range(300):
            event = DoorEvent(new_id(), door.site_id, door.id, datetime.now(UTC), "denied", "expired", "visit", None, None, None, "reader")
            started = time.perf_counter()
            await node.doors.journal.append(event)
            flushes.append(time.perf_counter() - started)
        result["journal_append"] = figures(flushes)

        async with node.db.transaction() as tx:
            token = await node.accounts.machine_token(tx, "bench", "doors", door.site_id)
        transport = httpx.ASGITransport(app=create_app(node))  # type: ignore[arg-type]
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://bench", headers=headers) as http:

            async def by_http() -> float:
                started = time.perf_counter()
                answer = await http.post(f"/api/v1/doors/{door.id}/taps", json={"card": {"format": "H10301", "bits": "0" * 26}})
                assert answer.json()["reason"] == "unknown-card", answer.text
                return time.perf_counter() - started

            result["tap_by_http_denied"] = await each(args.taps // 3, by_http)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--taps", type=int, default=150)
    parser.add_argument("--credentials", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="keep the figures in benchmarks/results/")
    args = parser.parse_args()
    before = os.getloadavg()
    result = asyncio.run(measure(args))
    result["conditions"] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "python": platform.python_version(), "cores": os.cpu_count(),
        "load_before": [round(x, 2) for x in before], "load_after": [round(x, 2) for x in os.getloadavg()], "credentials": args.credentials,
    }
    print(json.dumps(result, indent=2))
    if args.write:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()

"""POST /check-ins against a real service: latency at 20 a second, the most it sustains, and check-in to printed bytes.

    python benchmarks/checkin.py [--entries 1000000] [--seconds 20] [--data DIR]

The service runs as its own process (`visitor run`) with its embedded PostgreSQL (fsync on) and a list of `--entries` invented
entries; requests come from this process over loopback, each a new person by license barcode. "Printing paused" is the desk's
hold on the printer. The peer for the ratio is the same service's `GET /health`: what HTTP alone costs here. Results go to
benchmarks/results/checkin.json.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from printers.testing import VirtualPrinter  # noqa: E402
from readers.testing import license_payload  # noqa: E402
from tests.processes import Service  # noqa: E402
from visitor.accounts.models import Staff  # noqa: E402
from visitor.app import running_node  # noqa: E402
from visitor.ids import new_id  # noqa: E402
from visitor.keys import KeyRing  # noqa: E402
from visitor.policies.models import Purpose  # noqa: E402
from visitor.postgres import EmbeddedPostgres  # noqa: E402
from visitor.settings import Settings  # noqa: E402
from visitor.sites.models import PrinterRow, Site, Station, Zone  # noqa: E402
from watchlists.testing import entries, subjects  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "checkin.json"


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def set_up(service: Service, printer: VirtualPrinter, count: int) -> dict[str, Any]:
    site = Site(new_id(), "school", "Benchmark", "", "America/Chicago", {})
    row = PrinterRow(new_id(), site.id, "Front", f"tcp://127.0.0.1:{printer.port}", "escpos-80", "80mm")
    station = Station(new_id(), site.id, "kiosk", "Front", row.id, None)
    host = Staff(new_id(), site.id, None, "Host", "", "", may_host=True, may_escort=True)
    url = EmbeddedPostgres(service.data).app_url()
    settings = Settings(data=service.data.with_name("beside"), database_url=url)
    async with running_node(settings, url, KeyRing.load(service.data / "keys.json"), hardware=False) as node:
        async with node.db.transaction() as tx:
            for one in (site, Zone(new_id(), site.id, "Office", {}), row, station):
                await node.sites.add(tx, one)
            await node.accounts.add(tx, host)
            await node.policies.set(tx, (Purpose("meeting", "Meeting", "Reunión", 120, ("Office",)),), "system")
            token = await node.accounts.machine_token(tx, "benchmark", "desk")
        file = service.data.with_name("entries.jsonl")
        encoder = msgspec.json.Encoder()
        with file.open("wb") as out:
            for entry in entries(count, seed=11):
                out.write(encoder.encode(entry) + b"\n")
        began = time.perf_counter()
        await node.registries.import_list("system", "offenders", "entries-jsonl", file)
        imported = time.perf_counter() - began
        file.unlink()
    return {"station": str(station.id), "host": str(host.id), "token": token, "printer": str(row.id), "site": str(site.id), "import_s": imported}


def payloads(count: int) -> list[bytes]:
    """Licenses of invented people who are in no list, each with a number of its own."""
    made = []
    for number, subject in enumerate(subjects(count, seed=int(time.time()) % 10_000)):
        made.append(
            license_payload(
                family_name=subject.name.family.upper(), given_name=subject.name.given.upper(), birth_date=subject.birth_date or date(1980, 1, 1),
                sex=subject.sex or "F", number=f"{int(time.time() * 10) % 10**8:08d}{number:05d}",
            )
        )
    return made


class Client:
    """Plain HTTP/1.1 on kept connections. Ours, because a full client costs as much processor time as the service it measures."""

    def __init__(self, service: Service, made: dict[str, Any]) -> None:
        self.http = httpx.AsyncClient(base_url=service.url, headers={"authorization": f"Bearer {made['token']}"}, timeout=30)
        self.port = service.port
        self.made = made
        self.outcomes: dict[str, int] = {}
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def _ask(self, request: bytes) -> tuple[int, bytes]:
        reader, writer = await self._connection()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head, re.IGNORECASE)[1])  # type: ignore[index]
        body = await reader.readexactly(length)
        self._free.append((reader, writer))
        return int(head[9:12]), body

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._free:
            reader, writer = self._free.pop()
            if not reader.at_eof():  # the service closes what was idle for half a minute
                return reader, writer
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def check_in(self, payload: bytes) -> float:
        body = json.dumps(
            {
                "station_id": self.made["station"], "purpose": "meeting", "host_id": self.made["host"],
                "scan": {"data": base64.b64encode(payload).decode(), "source": "barcode"},
            }
        )
        request = (
            f"POST /api/v1/check-ins HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\nauthorization: Bearer {self.made['token']}\r\n"
            f"content-type: application/json\r\nidempotency-key: {new_id()}\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        ).encode()
        began = time.perf_counter()
        status, answer = await self._ask(request)
        took = time.perf_counter() - began
        word = json.loads(answer)["visit"]["status"] if status == 201 else str(status)
        self.outcomes[word] = self.outcomes.get(word, 0) + 1
        return took

    async def health(self, _: bytes) -> float:
        began = time.perf_counter()
        await self._ask(f"GET /health HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n\r\n".encode())
        return time.perf_counter() - began


async def at_rate(call: Callable[[bytes], Awaitable[float]], data: list[bytes], rate: float) -> list[float]:
    """Open loop: requests leave on time whether or not earlier ones are answered."""
    tasks, began = [], time.perf_counter()
    for number, payload in enumerate(data):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(call(payload)))
    return list(await asyncio.gather(*tasks))


async def flat_out(call: Callable[[bytes], Awaitable[float]], data: list[bytes], workers: int = 16) -> float:
    """Closed loop with `workers` at a time; requests a second."""
    queue = list(data)
    began = time.perf_counter()

    async def work() -> None:
        while queue:
            await call(queue.pop())

    await asyncio.gather(*(work() for _ in range(workers)))
    return len(data) / (time.perf_counter() - began)


async def run(count: int, seconds: int, folder: Path) -> dict[str, Any]:
    service = Service(folder / "data")
    async with VirtualPrinter(keep=5) as printer:
        try:
            print(f"starting the service and importing {count:,} entries …", flush=True)
            await asyncio.to_thread(service.start)
            made = await set_up(service, printer, count)
            client = Client(service, made)
            print("waiting until the list is in force …", flush=True)
            for _ in range(600):
                state = (await client.http.get("/health")).json()
                if "watchlists" not in state["degraded"]:
                    break
                await asyncio.sleep(1)
            held = await client.http.post(f"/api/v1/printers/{made['printer']}/hold", json={"reason": "benchmark"})
            assert held.status_code < 300, held.text
            await flat_out(client.check_in, payloads(200))
            print("20 a second …", flush=True)
            steady = await at_rate(client.check_in, payloads(20 * seconds), 20)
            print("flat out …", flush=True)
            runs, costs = [], []
            for _ in range(5):
                before, count_of_run = _processor_seconds(service), 150 * seconds // 3
                runs.append(await flat_out(client.check_in, payloads(count_of_run)))
                after = _processor_seconds(service)
                costs.append({who: (after[who] - before[who]) / count_of_run * 1000 for who in after})
            health = [await flat_out(client.health, payloads(1000)) for _ in range(3)]
            outcomes = dict(client.outcomes)
            print("check-in to printed bytes …", flush=True)
            async with running_node(
                Settings(data=folder / "beside", database_url=EmbeddedPostgres(service.data).app_url()),
                EmbeddedPostgres(service.data).app_url(), KeyRing.load(service.data / "keys.json"), hardware=False,
            ) as node, node.db.connection() as conn:
                await conn.execute("update print_jobs set state = 'cancelled' where state = 'queued'")
            await client.http.post(f"/api/v1/printers/{made['printer']}/resume", json={})
            await asyncio.sleep(2)
            printed = []
            for payload in payloads(15):
                before, began = printer.count, time.perf_counter()
                await client.check_in(payload)
                while printer.count == before and time.perf_counter() - began < 60:
                    await asyncio.sleep(0.002)
                printed.append(time.perf_counter() - began)
            memory = _memory(service)
            await client.http.aclose()
        finally:
            await asyncio.to_thread(service.close)
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {_cpu()}, {_cores()} cores, Python {platform.python_version()}",
        "entries": count,
        "import_seconds": round(made["import_s"], 1),
        "at_20_per_second_ms": {
            "p50": round(percentile(steady, 0.5) * 1000, 1), "p99": round(percentile(steady, 0.99) * 1000, 1), "n": len(steady),
        },
        "sustained_per_second": {"median": round(statistics.median(runs), 1), "runs": [round(r, 1) for r in runs], "printing": "paused"},
        # Wall time on a shared machine says what was left of it; this says what a check-in takes.
        "processor_ms_per_check_in": {who: round(statistics.median(cost[who] for cost in costs), 2) for who in costs[0]},
        "load_average_at_the_end": round(os.getloadavg()[0], 1),
        "health_per_second": round(statistics.median(health), 1),
        "ratio_to_health": round(statistics.median(runs) / statistics.median(health), 3),
        "check_in_to_last_byte_s": {"median": round(statistics.median(printed), 3), "max": round(max(printed), 3), "n": len(printed)},
        "service_rss_mb": memory,
        "outcomes": outcomes,
    }


def _processor_seconds(service: Service) -> dict[str, float]:
    """User and system time so far of the service, of all of PostgreSQL's processes, and of this client."""
    assert service.process is not None
    postmaster = service.postgres_pid()
    of: dict[str, float] = {"service": 0.0, "postgresql": 0.0, "client": 0.0}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, fields = int(stat.parent.name), stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended while we looked
        parent, used = int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        if pid == service.process.pid:
            of["service"] += used
        elif postmaster in (pid, parent):
            of["postgresql"] += used
        elif pid == os.getpid():
            of["client"] += used
    return of


def _memory(service: Service) -> int:
    assert service.process is not None
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) // 1024


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vb-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        result = asyncio.run(run(args.entries, args.seconds, Path(name)))
    history = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([*history, result], indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

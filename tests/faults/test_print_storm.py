"""Many badges over the database's own rows, while printers, network and database fail at random."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from printers import Job, NetworkTransport, Policy, Timeouts, Transport
from printers.testing import Fault, FaultProxy, VirtualPrinter
from tests.front_office import FrontOffice
from tests.printers.jobkit import counting, strip
from visitor.badges.worker import PrintWorker
from visitor.ids import new_id
from visitor.postgres import EmbeddedPostgres
from visitor.sites.models import PrinterRow, Station

TOTAL = 240
STORM = 75  # seconds at most; an idle machine needs about ten
PATIENCE = 300  # seconds until all is settled


@pytest.mark.slow
async def test_of_many_badges_under_random_faults_of_printers_and_database_none_is_lost_and_none_doubled_unsaid(
    office: FrontOffice, postgres: EmbeddedPostgres, database_name: str
) -> None:
    chance = random.Random(20261122)
    async with contextlib.AsyncExitStack() as stack:
        printers = [await stack.enter_async_context(VirtualPrinter(keep=1)) for _ in range(3)]
        proxies = [await stack.enter_async_context(FaultProxy(printer.port)) for printer in printers]
        seen = counting(printers)
        rows = [
            PrinterRow(new_id(), office.site.id, f"P{i}", f"tcp://127.0.0.1:{proxy.port}", "epson-tm", "80mm")
            for i, proxy in enumerate(proxies)
        ]
        stations = [Station(new_id(), office.site.id, "desk", f"S{i}", rows[i].id, rows[(i + 1) % 3].id) for i in range(3)]
        async with office.node.db.transaction() as tx:
            for row in (*rows, *stations):
                await office.node.sites.add(tx, row)
        numbers = await _queue(office, rows)

        calm = asyncio.Event()

        def brisk(address: str, profile: str) -> Transport:
            """Quick to give up in the storm; afterwards a loaded machine may take its time."""
            port = int(address.rsplit(":", 1)[1])
            timeouts = Timeouts() if calm.is_set() else Timeouts(connect=0.5, answer=0.2, stall=0.4, finish=0.4)
            return NetworkTransport("127.0.0.1", port, profile=profile, timeouts=timeouts)

        async def produce(job: Job, printer_id: UUID) -> bytes:
            number = numbers[UUID(job.ref)]
            return strip(number, rows=20 + number % 120)

        policy = Policy(lease=2.0, poll=0.05, ask_idle=0.5, back_off=0.01, back_off_most=0.05, attempts=1000, record_for=10)
        node = office.node
        worker = PrintWorker(node.db, node.bus, node.sites, produce, brisk, policy=policy, failover_after=0.3)
        mine = {"server_settings": {"application_name": "test"}}
        root, killer = [await asyncpg.connect(postgres.owner_url(database_name), **mine) for _ in range(2)]
        stack.push_async_callback(root.close)
        stack.push_async_callback(killer.close)
        met = dict.fromkeys((*Fault, "paper", "power", "database", "restart"), 0)

        async def mischief() -> None:
            while not calm.is_set():  # ended between two deeds: a worker stopped and not started again would print no more
                index = chance.randrange(3)
                printer, proxy = printers[index], proxies[index]
                what = chance.choice(list(met))
                met[what] += 1
                if what == "paper":
                    printer.paper_rows = chance.randint(1, 300)
                elif what == "power":
                    await printer.stop()
                elif what == "database":
                    await killer.execute(
                        "select pg_terminate_backend(pid) from pg_stat_activity"
                        " where datname = current_database() and application_name <> 'test' and random() < 0.5"
                    )
                elif what == "restart":
                    await worker.stop()
                    await worker.start()
                else:
                    await proxy.set(Fault(what), after=chance.randint(0, 9_000), rate=40_000)
                await asyncio.sleep(chance.uniform(0.03, 0.15))
                if what == "power":
                    await printer.start()
                printer.refill()
                if chance.random() < 0.6:
                    await proxy.set(Fault.NONE)

        await worker.start()
        trouble = asyncio.create_task(mischief())
        try:
            began = time.monotonic()
            while (left := await _left(root)) and time.monotonic() < began + PATIENCE:
                assert calm.is_set() or not trouble.done(), trouble
                if not calm.is_set() and (left < TOTAL * 0.05 or time.monotonic() > began + STORM):
                    calm.set()  # the last few need a printer that lives
                    await trouble
                    for printer, proxy in zip(printers, proxies, strict=True):
                        printer.refill()
                        if printer._server is None:
                            await printer.start()
                        await proxy.set(Fault.NONE)
                    await worker.stop()
                    await worker.start()
                await asyncio.sleep(0.05)
        finally:
            calm.set()
            await trouble
            await worker.stop()
        found = await root.fetch("select badge_id, state from print_jobs")
        states = [row["state"] for row in found]
        assert len(found) == TOTAL and set(states) <= {"printed", "doubtful"}, {s: states.count(s) for s in states}
        for row in found:
            times = seen[numbers[row["badge_id"]]]
            assert times == 1 if row["state"] == "printed" else times <= 1, (row["state"], times)
        assert sum(count > 0 for count in met.values()) >= 6, met
        assert states.count("printed") > TOTAL / 2
        audited = await root.fetchval(
            "select count(distinct subject_id) from audit where action in ('print_job.printed', 'print_job.doubtful')"
        )
        assert audited == TOTAL


async def _queue(office: FrontOffice, rows: list[PrinterRow]) -> dict[UUID, int]:
    """Jobs of badges that are nobody's: what is drawn for each is its number."""
    numbers: dict[UUID, int] = {}
    now = datetime.now(UTC)
    jobs: list[tuple[Any, ...]] = []
    for number in range(TOTAL):
        badge = new_id()
        numbers[badge] = number
        jobs.append((new_id(), office.site.id, badge, new_id(), rows[number % 3].id, now + timedelta(hours=1), now))
    async with office.node.db.connection() as conn:
        await conn.executemany(
            "insert into print_jobs (id, site_id, badge_id, visit_id, printer_id, state, expires_at, created_at, updated_at)"
            " values ($1, $2, $3, $4, $5, 'queued', $6, $7, $7)", jobs,
        )
    return numbers


async def _left(root: Any) -> int:
    return int(await root.fetchval("select count(*) from print_jobs where state in ('queued', 'sending')"))

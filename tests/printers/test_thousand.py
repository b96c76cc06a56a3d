"""A thousand badges on four printers while everything fails at random."""

import asyncio
import contextlib
import random
from pathlib import Path

import pytest
from jobkit import counting, job, strip

from printers import FileJobStore, Job, NetworkTransport, Policy, Printer, Spool, State, Timeouts
from printers.testing import Fault, FaultProxy, VirtualPrinter
from tests.waiting import until


async def none_waits(store: FileJobStore, *printers: str) -> bool:
    return sum([await store.waiting(printer) for printer in printers]) == 0


@pytest.mark.slow
async def test_of_a_thousand_badges_under_random_faults_none_is_lost_and_none_doubled_unsaid(tmp_path: Path) -> None:
    total = 1000
    store = FileJobStore(tmp_path / "jobs")
    chance = random.Random(20261121)
    async with contextlib.AsyncExitStack() as stack:
        printers = [await stack.enter_async_context(VirtualPrinter(keep=1, buffer=8192)) for _ in range(4)]
        proxies = [await stack.enter_async_context(FaultProxy(printer.port)) for printer in printers]
        seen = counting(printers)
        names = [f"p{index}" for index in range(4)]
        brisk = Timeouts(connect=2.0, answer=0.4, stall=1.0, finish=0.8)
        desks = [
            Printer(
                name=name, title=name, transport=NetworkTransport("127.0.0.1", proxy.port, profile="epson-tm", timeouts=brisk),
                fallback=names[(index + 1) % 4], failover_after=0.3,
            )
            for index, (name, proxy) in enumerate(zip(names, proxies, strict=True))
        ]  # fmt: skip

        async def drawn(job: Job, printer: Printer) -> bytes:
            return strip(int(job.ref), rows=20 + int(job.ref) % 150)

        policy = Policy(lease=1.0, poll=0.02, ask_idle=0.5, back_off=0.01, back_off_most=0.05, attempts=1000)
        for number in range(total):
            await store.add(job(number, names[number % 4]))
        spool = Spool(store, desks, drawn, worker="w", policy=policy)
        met = dict.fromkeys((*Fault, "paper", "cover", "power"), 0)

        enough = asyncio.Event()

        async def mischief() -> None:
            while not enough.is_set():
                index = chance.randrange(4)
                printer, proxy = printers[index], proxies[index]
                what = chance.choice([*Fault, "paper", "cover", "power"])
                met[what] += 1
                if what == "paper":
                    printer.paper_rows = chance.randint(1, 400)
                elif what == "cover":
                    printer.cover_open = True
                elif what == "power":
                    await printer.stop()
                else:
                    await proxy.set(what, after=chance.randint(0, 12_000), rate=40_000)
                await asyncio.sleep(chance.uniform(0.02, 0.12))
                if what == "power":
                    await printer.start()
                printer.refill()
                printer.cover_open = False
                if chance.random() < 0.6:
                    await proxy.set(Fault.NONE)

        async def most_are_through() -> bool:
            return trouble.done() or sum(1 for found in await store.jobs() if found.state.final) > total * 0.97

        task = asyncio.create_task(spool.run())
        trouble = asyncio.create_task(mischief())
        try:
            await until(most_are_through, seconds=600, pause=0.05)
            # The last few need a printer that lives. Mischief that is stopped in the middle would leave one switched off.
            enough.set()
            await trouble
            for proxy in proxies:
                await proxy.set(Fault.NONE)
            await until(lambda: none_waits(store, *names), seconds=300)
        finally:
            trouble.cancel()
            spool.stop()
            await asyncio.gather(task, trouble, return_exceptions=True)
        jobs = await store.jobs()
        assert len(jobs) == total and all(found.state in (State.PRINTED, State.DOUBTFUL) for found in jobs)
        for found in jobs:
            times = seen[int(found.ref)]
            assert times == 1 if found.state is State.PRINTED else times <= 1, (found, times)
        assert all(met.values()), met
        doubtful = sum(found.state is State.DOUBTFUL for found in jobs)
        assert 0 < doubtful < total / 2
        # No printer obeyed anything but rasters, feeds and cuts.
        assert not any(printer.receiver.text or printer.receiver.unknown for printer in printers)
        store.close()

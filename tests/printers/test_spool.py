"""The line of jobs: order, trouble, failover, holds, and what is said of a job that broke."""

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from jobkit import PATIENT, counting, job, number_of, strip
from msgspec.structs import replace

from printers import (
    BadgeError,
    Condition,
    FileJobStore,
    Interrupted,
    Job,
    NetworkTransport,
    Paper,
    Policy,
    Printer,
    Spool,
    State,
    Timeouts,
)
from printers.testing import Fault, FaultProxy, VirtualPrinter

QUICK = Policy(lease=120.0, poll=0.02, ask_idle=0.2, back_off=0.02, back_off_most=0.1, attempts=50)
# For tests in which silence is waited out, and no patience else runs out: before the first byte, and after the last.
MUTE = replace(PATIENT, answer=1.0)
SHORT = replace(PATIENT, finish=2.0)
Until = Callable[[Callable[[], object]], Awaitable[None]]


def at(port: int, name: str = "desk", title: str = "Front desk", timeouts: Timeouts = PATIENT, **more: object) -> Printer:
    transport = NetworkTransport("127.0.0.1", port, profile="epson-tm", timeouts=timeouts)
    return Printer(name=name, title=title, transport=transport, **more)  # type: ignore[arg-type]


async def draw(job: Job, printer: Printer) -> bytes:
    return strip(int(job.ref), rows=120)


@contextlib.asynccontextmanager
async def running(spool: Spool) -> AsyncIterator[None]:
    task = asyncio.create_task(spool.run())
    try:
        yield
        spool.stop()
        async with asyncio.timeout(60):
            await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def store(tmp_path: Path):
    opened = FileJobStore(tmp_path / "jobs")
    yield opened
    opened.close()


async def state_of(store: FileJobStore, number: int) -> State:
    found = await store.get(f"job-{number:05}")
    assert found is not None
    return found.state


async def test_jobs_print_in_the_order_they_came(store: FileJobStore, until: Until) -> None:
    async with VirtualPrinter(keep=100) as printer:
        order: list[int] = []
        seen = counting([printer])
        keep = printer._on_print

        def note(badge) -> None:
            keep(badge)
            order.append(max(seen.keys() - set(order)))

        printer._on_print = note
        for number in (3, 1, 2):
            await store.add(job(number))
        async with running(Spool(store, [at(printer.port)], draw, worker="w", policy=QUICK)):
            await until(lambda: printer.count == 3)
        assert order == [1, 2, 3]


async def test_adding_twice_prints_once(store: FileJobStore, until: Until) -> None:
    async with VirtualPrinter() as printer:
        seen = counting([printer])
        async with running(Spool(store, [at(printer.port)], draw, worker="w", policy=QUICK)):
            await store.add(job(1))
            await store.add(job(1))
            await until(lambda: state_is(store, 1, State.PRINTED))
            await store.add(job(1))
            await store.add(job(2))
            await until(lambda: state_is(store, 2, State.PRINTED))
        assert seen == {1: 1, 2: 1}


async def state_is(store: FileJobStore, number: int, *states: State) -> bool:
    return await state_of(store, number) in states


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ({"paper": Paper.OUT}, "paper out at Front desk; badges wait, 1 in line"),
        ({"cover_open": True}, "cover open at Front desk; badges wait, 1 in line"),
        ({"offline": True}, "offline at Front desk; badges wait, 1 in line"),
        ({"error": True}, "cutter jammed at Front desk; badges wait, 1 in line"),
    ],
)
async def test_a_printer_that_cannot_print_holds_its_line_and_goes_on_by_itself(
    trouble: dict, words: str, store: FileJobStore, until: Until
) -> None:
    async with VirtualPrinter() as printer:
        for name, value in trouble.items():
            setattr(printer, name, value)
        await store.add(job(1))
        spool = Spool(store, [at(printer.port)], draw, worker="w", policy=QUICK)
        async with running(spool):
            await until(lambda: said(spool, words))
            assert (await spool.state("desk")).condition is Condition.WAITING
            assert printer.count == 0 and await state_of(store, 1) is State.QUEUED
            for name in trouble:
                setattr(printer, name, Paper.OK if name == "paper" else False)
            await until(lambda: state_is(store, 1, State.PRINTED))
            await until(lambda: said(spool, "Front desk ready"))
        assert printer.count == 1


async def said(spool: Spool, words: str) -> bool:
    return (await spool.state("desk")).words() == words


async def test_low_paper_is_said_and_stops_nothing(store: FileJobStore, until: Until) -> None:
    async with VirtualPrinter() as printer:
        printer.paper = Paper.LOW
        await store.add(job(1))
        spool = Spool(store, [at(printer.port)], draw, worker="w", policy=QUICK)
        async with running(spool):
            await until(lambda: state_is(store, 1, State.PRINTED))
            await until(lambda: said(spool, "Front desk ready, paper low"))


async def test_paper_that_ends_in_the_middle_of_a_badge_is_waited_for(store: FileJobStore, until: Until) -> None:
    async with VirtualPrinter() as printer:
        seen = counting([printer])
        printer.paper_rows = 100
        await store.add(job(1))
        await store.add(job(2))
        spool = Spool(store, [at(printer.port, timeouts=SHORT)], draw, worker="w", policy=QUICK)
        async with running(spool):
            await until(lambda: said(spool, "paper out at Front desk; badges wait, 2 in line"))
            # Longer than the printer may be silent: it is not silent, it says "paper out".
            await asyncio.sleep(SHORT.finish * 1.25)
            assert await state_of(store, 1) is State.SENDING
            printer.refill()
            await until(lambda: state_is(store, 2, State.PRINTED))
        assert seen == {1: 1, 2: 1} and await state_of(store, 1) is State.PRINTED


async def test_a_refused_connection_costs_no_job_and_is_said(store: FileJobStore, until: Until) -> None:
    async with VirtualPrinter() as printer:
        await printer.stop()
        await store.add(job(1))
        spool = Spool(store, [at(printer.port)], draw, worker="w", policy=QUICK)
        async with running(spool):
            await until(lambda: said(spool, "refuses the connection at Front desk; badges wait, 1 in line"))
            await printer.start()
            await until(lambda: state_is(store, 1, State.PRINTED))
        found = await store.get("job-00001")
        assert found is not None and found.attempts == 0 and found.confirmed is True


async def test_a_reset_in_the_middle_of_the_picture_prints_it_anew(store: FileJobStore, until: Until) -> None:
    async with VirtualPrinter() as printer, FaultProxy(printer.port) as proxy:
        seen = counting([printer])
        await proxy.set(Fault.RESET, after=4000, once=True)
        # Long enough that its end cannot have left when the reset comes back.
        spool = Spool(store, [at(proxy.port)], long_strip, worker="w", policy=QUICK)
        await store.add(job(1))
        async with running(spool):
            await until(lambda: state_is(store, 1, State.PRINTED, State.DOUBTFUL))
        assert proxy.met == 1
        assert await state_of(store, 1) is State.PRINTED and seen == {1: 1}


async def long_strip(job: Job, printer: Printer) -> bytes:
    return strip(int(job.ref), rows=2_000)


async def test_a_printer_that_keeps_half_a_picture_does_not_spoil_the_next_badge(store: FileJobStore, until: Until) -> None:
    async with VirtualPrinter(forgets=False, buffer=1 << 20) as printer, FaultProxy(printer.port) as proxy:
        seen = counting([printer])
        await proxy.set(Fault.RESET, after=4000, once=True)
        spool = Spool(store, [at(proxy.port)], draw, worker="w", policy=QUICK)
        await store.add(job(1))
        await store.add(job(2))
        async with running(spool):
            await until(lambda: state_is(store, 2, State.PRINTED, State.DOUBTFUL))
        assert proxy.met == 1 and await state_of(store, 2) is State.PRINTED
        assert seen[2] == 1 and set(seen) <= {1, 2} and not printer.receiver.text


@pytest.mark.parametrize("profile", ["escpos-80", "escpos-blind"])
async def test_a_printer_that_says_nothing_loses_no_badge_to_the_mending_of_the_next(
    profile: str, store: FileJobStore, until: Until
) -> None:
    """The first badge still waits in its buffer when the second breaks off; the third must harm neither itself nor it."""
    async with VirtualPrinter(forgets=False, buffer=1 << 20) as printer, FaultProxy(printer.port) as proxy:
        seen = counting([printer])
        transport = NetworkTransport("127.0.0.1", proxy.port, profile=profile, timeouts=PATIENT)
        await transport.send(strip(1, rows=60))
        printer.rows_per_second = 100
        await transport.send(strip(2, rows=60))
        # So early that the network cannot have taken the rest of it before the reset comes back.
        await proxy.set(Fault.RESET, after=2_000, once=True)
        with pytest.raises(Interrupted):
            await transport.send(strip(3, rows=256))
        printer.rows_per_second = None
        await transport.send(strip(4, rows=60))
        await until(lambda: printer.count == 3)
        assert seen[1] == seen[2] == 1 and not printer.receiver.text
        # The strip begun is filled up and hangs above the fourth badge, which is whole.
        last = printer.printed[-1].image
        assert number_of(last.crop((0, 256, last.width, last.height))) == 4


async def test_silence_after_the_last_byte_is_doubt_and_names_the_badge(store: FileJobStore, until: Until) -> None:
    async with VirtualPrinter() as printer, FaultProxy(printer.port) as proxy:
        await proxy.set(Fault.NO_ANSWER, after=8000, once=True)
        await store.add(job(1))
        await store.add(job(2))
        spool = Spool(store, [at(proxy.port, timeouts=SHORT)], draw, worker="w", policy=QUICK)
        async with running(spool):
            await until(lambda: state_is(store, 2, State.PRINTED))
            # The job is noted as printed a moment before the printer is free.
            await until(lambda: said(spool, "Front desk ready; 1 badge may be doubled, please look"))
            assert (await spool.state("desk")).doubtful == ("job-00001",)
        assert await state_of(store, 1) is State.DOUBTFUL
        doubt = await store.get("job-00001")
        assert doubt is not None and "may have been printed" in doubt.reason


async def test_a_black_hole_before_the_first_byte_is_no_doubt(store: FileJobStore, until: Until) -> None:
    async with VirtualPrinter() as printer, FaultProxy(printer.port) as proxy:
        await proxy.set(Fault.BLACK_HOLE)
        await store.add(job(1))
        spool = Spool(store, [at(proxy.port, timeouts=MUTE)], draw, worker="w", policy=QUICK)
        async with running(spool):
            await until(lambda: said(spool, "does not answer at Front desk; badges wait, 1 in line"))
            assert await state_of(store, 1) is State.QUEUED
            await proxy.set(Fault.NONE)
            await until(lambda: state_is(store, 1, State.PRINTED))
        assert printer.count == 1


async def test_a_slow_line_is_no_fault(store: FileJobStore, until: Until) -> None:
    async with VirtualPrinter() as printer, FaultProxy(printer.port) as proxy:
        await proxy.set(Fault.SLOW, rate=1000)

        async def small(job: Job, printer: Printer) -> bytes:
            return strip(int(job.ref), rows=60)

        await store.add(job(1))
        spool = Spool(store, [at(proxy.port)], small, worker="w", policy=QUICK)
        async with running(spool):
            await until(lambda: state_is(store, 1, State.PRINTED, State.DOUBTFUL, State.FAILED))
        assert await state_of(store, 1) is State.PRINTED and printer.count == 1


async def test_the_second_printer_takes_over_by_itself_after_a_while(store: FileJobStore, until: Until) -> None:
    async with VirtualPrinter() as broken, VirtualPrinter() as other:
        broken.paper = Paper.OUT
        printers = [at(broken.port, fallback="library", failover_after=0.2), at(other.port, "library", "Library")]
        for number in (1, 2):
            await store.add(job(number))
        where: list[str] = []

        async def note(job: Job, printer: Printer) -> bytes:
            where.append(printer.name)
            return strip(int(job.ref))

        async with running(Spool(store, printers, note, worker="w", policy=QUICK)):
            await until(lambda: other.count == 2)
        # Drawn for the printer that prints it.
        assert where == ["library", "library"] and broken.count == 0


async def test_behind_a_badge_that_waits_for_paper_the_others_go_to_the_second_printer(store: FileJobStore, until: Until) -> None:
    async with VirtualPrinter() as stuck, VirtualPrinter() as other:
        here, there = counting([stuck]), counting([other])
        stuck.paper_rows = 100
        printers = [at(stuck.port, timeouts=SHORT, fallback="library", failover_after=0.2), at(other.port, "library", "Library")]
        for number in (1, 2, 3):
            await store.add(job(number))
        async with running(Spool(store, printers, draw, worker="w", policy=QUICK)):
            await until(lambda: other.count == 2)
            assert await state_of(store, 1) is State.SENDING
            stuck.refill()
            await until(lambda: state_is(store, 1, State.PRINTED))
        assert here == {1: 1} and there == {2: 1, 3: 1}


async def test_without_failover_the_desk_is_offered_the_other_printer_and_may_use_it(store: FileJobStore, until: Until) -> None:
    async with VirtualPrinter() as broken, VirtualPrinter() as other:
        broken.cover_open = True
        spool = Spool(
            store, [at(broken.port, fallback="library"), at(other.port, "library", "Library")], draw, worker="w", policy=QUICK
        )
        for number in (1, 2):
            await store.add(job(number))
        async with running(spool):
            await until(lambda: said(spool, "cover open at Front desk; badges wait, 2 in line; use Library?"))
            assert await spool.use("desk", "library") == 2
            await until(lambda: other.count == 2)
        with pytest.raises(ValueError, match="no printer attic"):
            await spool.use("desk", "attic")


async def test_a_hold_stops_the_line_over_restarts_until_it_is_let_go(store: FileJobStore, until: Until, monkeypatch) -> None:
    asked = 0
    real = store.held

    async def held(name: str) -> str | None:
        nonlocal asked
        asked += 1
        return await real(name)

    monkeypatch.setattr(store, "held", held)
    async with VirtualPrinter() as printer:
        spool = Spool(store, [at(printer.port)], draw, worker="w", policy=QUICK)
        await spool.hold("desk", "changing the roll")
        await store.add(job(1))
        async with running(spool):
            await until(lambda: asked > 5)
            assert printer.count == 0
            assert await said(spool, "on hold (changing the roll) at Front desk; badges wait, 1 in line")
        store.close()
        store._lock = store._take_lock()
        store._file = store._open()
        spool = Spool(store, [at(printer.port)], draw, worker="w", policy=QUICK)
        asked = 0
        async with running(spool):
            await until(lambda: asked > 5)
            assert printer.count == 0
            await spool.resume("desk")
            await until(lambda: printer.count == 1)


async def test_a_job_is_cancelled_until_its_first_byte(store: FileJobStore, until: Until) -> None:
    async with VirtualPrinter() as printer:
        drawing, go_on = asyncio.Event(), asyncio.Event()

        async def slow(job: Job, printer: Printer) -> bytes:
            drawing.set()
            await go_on.wait()
            return strip(int(job.ref))

        spool = Spool(store, [at(printer.port)], slow, worker="w", policy=QUICK)
        await store.add(job(1))
        await store.add(job(2))
        async with running(spool):
            await drawing.wait()
            # Claimed and being drawn, yet nothing is sent.
            assert await spool.cancel("job-00001", "the visitor left")
            go_on.set()
            await until(lambda: state_is(store, 2, State.PRINTED))
            assert not await spool.cancel("job-00002", "too late")
        assert await state_of(store, 1) is State.CANCELLED and printer.count == 1


async def test_a_badge_that_cannot_be_drawn_fails_alone_and_in_words(store: FileJobStore, until: Until) -> None:
    async with VirtualPrinter() as printer:

        async def some(job: Job, printer: Printer) -> bytes:
            if job.ref == "1":
                raise BadgeError("the QR code needs 159 dots at least")
            if job.ref == "2":
                raise RuntimeError("María's photo")
            return strip(int(job.ref))

        for number in (1, 2, 3):
            await store.add(job(number))
        policy = Policy(lease=120.0, poll=0.02, back_off=0.01, attempts=2)
        async with running(Spool(store, [at(printer.port)], some, worker="w", policy=policy)):
            await until(lambda: state_is(store, 2, State.FAILED))
            await until(lambda: state_is(store, 3, State.PRINTED))
        first, second = await store.get("job-00001"), await store.get("job-00002")
        assert first is not None and first.state is State.FAILED and "159 dots" in first.reason
        assert second is not None and "María" not in second.reason and "RuntimeError" in second.reason


async def test_a_badge_whose_time_is_over_is_not_printed(store: FileJobStore, until: Until) -> None:
    async with VirtualPrinter() as printer:
        await store.add(job(1, expires_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC)))
        async with running(Spool(store, [at(printer.port)], draw, worker="w", policy=QUICK)):
            await until(lambda: state_is(store, 1, State.FAILED))
        assert printer.count == 0


async def test_a_dead_printer_delays_no_other(store: FileJobStore, until: Until) -> None:
    async with contextlib.AsyncExitStack() as stack:
        living = [await stack.enter_async_context(VirtualPrinter()) for _ in range(3)]
        hole = await stack.enter_async_context(FaultProxy(living[0].port))
        await hole.set(Fault.BLACK_HOLE)
        printers = [at(hole.port, "dead", "Attic", MUTE)] + [at(p.port, f"p{n}", f"Desk {n}") for n, p in enumerate(living)]
        for number in range(20):
            await store.add(job(number, f"p{number % 3}" if number % 4 else "dead"))
        async with running(Spool(store, printers, draw, worker="w", policy=QUICK)):
            await until(lambda: sum(p.count for p in living) == 15)
            assert await store.waiting("dead") == 5


async def test_a_store_that_is_away_for_a_moment_makes_no_doubt(store: FileJobStore, until: Until, monkeypatch) -> None:
    away = {"sending": 2, "finish": 2, "claim": 1, "recover": 1}

    def flaky(name: str):
        real = getattr(store, name)

        async def call(*args, **more):
            if away[name] > 0:
                away[name] -= 1
                raise ConnectionError("the database is restarting")
            return await real(*args, **more)

        return call

    async with VirtualPrinter() as printer:
        for name in ("sending", "finish", "claim"):
            monkeypatch.setattr(store, name, flaky(name))
        await store.add(job(1))
        async with running(Spool(store, [at(printer.port)], draw, worker="w", policy=QUICK)):
            await until(lambda: state_is(store, 1, State.PRINTED))
        assert printer.count == 1 and away == {"sending": 0, "finish": 0, "claim": 0, "recover": 1}
        done = await store.get("job-00001")
        assert done is not None and done.attempts == 0


async def test_two_workers_over_one_store_print_each_badge_once(store: FileJobStore, until: Until) -> None:
    async with VirtualPrinter() as printer:
        seen = counting([printer])
        for number in range(30):
            await store.add(job(number))
        spools = [Spool(store, [at(printer.port)], draw, worker=name, policy=QUICK) for name in ("one", "two")]
        async with running(spools[0]), running(spools[1]):
            await until(lambda: len(seen) == 30)
            await until(lambda: none_waits(store, "desk"))
        assert set(seen.values()) == {1}


async def none_waits(store: FileJobStore, *printers: str) -> bool:
    return sum([await store.waiting(printer) for printer in printers]) == 0


async def test_stopping_ends_the_job_at_hand_and_cancelling_says_what_is_known(store: FileJobStore, until: Until) -> None:
    async with VirtualPrinter() as printer:
        # It stops within the badge, so that the badge is at hand for as long as the test needs.
        printer.paper_rows = 10
        await store.add(job(1))
        spool = Spool(store, [at(printer.port)], draw, worker="w", policy=QUICK)
        task = asyncio.create_task(spool.run())
        await until(lambda: state_is(store, 1, State.SENDING))
        spool.stop()
        printer.refill()
        await task
        assert await state_of(store, 1) is State.PRINTED
        printer.paper_rows = 10
        await store.add(job(2))
        task = asyncio.create_task(Spool(store, [at(printer.port)], draw, worker="w", policy=QUICK).run())
        await until(lambda: state_is(store, 2, State.SENDING))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await state_of(store, 2) is State.DOUBTFUL

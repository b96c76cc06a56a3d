"""From a badge to what comes out of a printer, over a real socket."""

import asyncio
import datetime as dt
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import zxingcpp
from jobkit import PATIENT
from PIL import Image, ImageChops

from printers import (
    MEDIA,
    FileJobStore,
    Job,
    NetworkTransport,
    NotReady,
    Paper,
    Policy,
    Printer,
    Spool,
    State,
    produce,
    render,
)
from printers.testing import VirtualPrinter, sample_badges


@pytest.mark.parametrize("kind", ["plain", "escort", "arabic"])
async def test_the_printer_holds_the_very_dots_that_were_drawn_and_the_code_scans(kind: str) -> None:
    badge = sample_badges()[kind]
    async with VirtualPrinter() as printer:
        transport = NetworkTransport("127.0.0.1", printer.port, profile="epson-tm", timeouts=PATIENT)
        receipt = await transport.send(produce(badge, "80mm", "epson-tm"))
        assert receipt.confirmed
        assert printer.count == 1
        paper = printer.printed[0].image
        drawn = render(badge, MEDIA["80mm"])
        cropped = paper.crop((0, 0, drawn.width, drawn.height))
        difference = ImageChops.logical_xor(cropped, drawn.convert("1"))
        # A dot may differ where the encoder has broken up a real-time command.
        assert sum(difference.histogram()[1:]) < 0.0002 * drawn.width * drawn.height
        assert [found.text for found in zxingcpp.read_barcodes(paper.convert("L"))] == [badge.token]
        assert not printer.receiver.unknown and not printer.receiver.text and printer.receiver.pulses == 0


async def test_a_printer_without_paper_takes_nothing_and_says_why() -> None:
    async with VirtualPrinter() as printer:
        printer.paper = Paper.OUT
        transport = NetworkTransport("127.0.0.1", printer.port, profile="epson-tm", timeouts=PATIENT)
        assert (await transport.status()).words() == "paper out"
        with pytest.raises(NotReady, match="paper out"):
            await transport.send(b"\x1b@")
        assert not printer.receiver.unfinished


async def test_a_spool_prints_in_order_waits_for_paper_and_goes_on_by_itself(
    tmp_path: Path, until: Callable[[Callable[[], object]], Awaitable[None]]
) -> None:
    badge = sample_badges()["plain"]
    async with VirtualPrinter() as printer:
        printer.paper = Paper.OUT
        store = FileJobStore(tmp_path / "jobs")

        async def draw(job: Job, at: Printer) -> bytes:
            return produce(badge, "80mm", "epson-tm")

        transport = NetworkTransport("127.0.0.1", printer.port, profile="epson-tm", timeouts=PATIENT)
        desk = Printer(name="desk", title="Front desk", transport=transport)
        spool = Spool(store, [desk], draw, worker="one", policy=Policy(poll=0.02, back_off=0.02, back_off_most=0.05))
        running = asyncio.create_task(spool.run())
        ids = [str(uuid.uuid4()) for _ in range(2)]
        for number, job_id in enumerate(ids):
            at = dt.datetime.now(dt.UTC) + dt.timedelta(microseconds=number)
            await store.add(Job(id=job_id, printer="desk", ref="b", queued_at=at))
        spool.wake("desk")

        async def says_so() -> bool:
            return (await spool.state("desk")).words() == "paper out at Front desk; badges wait, 2 in line"

        await until(says_so)
        assert printer.count == 0
        printer.refill()
        await until(lambda: printer.count == 2)
        spool.stop()
        await running
        jobs = await store.jobs()
        assert [job.state for job in jobs] == [State.PRINTED, State.PRINTED]
        assert all(job.confirmed for job in jobs)
        store.close()


def test_drawing_is_the_same_every_time() -> None:
    badge = sample_badges()["spanish"]
    first, second = (render(badge, MEDIA["80mm"]) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert isinstance(first, Image.Image)

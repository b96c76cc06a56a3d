"""How long a badge takes: from the struct to bytes ready for the wire, and 20 jobs to 4 printers with a dead one beside them.

    python benchmarks/badge.py [--badges 200] [--write]

Each badge has a name, a code and a 1 MP photo that no other had, so that no cache flatters the figures. Besides wall time the
process's own time is given, since a machine that does other work too tells little by its wall clock. `--write` keeps the
figures in benchmarks/results/badge.json.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import io
import json
import multiprocessing
import os
import platform
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops

import printers
from printers import FileJobStore, Job, NetworkTransport, Policy, Printer, Spool, State, layout, marks, sheet
from printers.testing import VirtualPrinter, sample_photo, sample_token

RESULT = Path(__file__).parent / "results" / "badge.json"
WAYS = (("80mm", "epson-tm"), ("58mm", "escpos-58"), ("62mm", "brother-ql"), ("102mm", "zebra"), ("102x76mm", "zebra"), ("80mm", "pdf"))
GIVEN = ("Maria", "Daniel", "Nguyễn Thị", "Anne-Sophie", "José", "Olivia", "Grace", "Tomás", "Amira", "Wei")
FAMILY = ("Lopez", "Whitfield", "Phương Thảo", "Featherstonehaugh", "Gutiérrez Peña", "Okafor", "Haddad", "O’Connor", "Brandt", "Li")


def photos(count: int) -> list[bytes]:
    """Photos of 1 megapixel with the noise of a camera, each its own."""
    base = Image.open(io.BytesIO(sample_photo((1154, 866))))
    found = []
    for _ in range(count):
        noise = Image.effect_noise(base.size, 12).convert("RGB")
        out = io.BytesIO()
        ImageChops.add(base, noise, 1, -128).save(out, "JPEG", quality=88)
        found.append(out.getvalue())
    return found


def badges(count: int) -> list[printers.Badge]:
    chance, pictures = random.Random(7), photos(8)
    zone = dt.timezone(dt.timedelta(hours=-6))
    return [
        printers.Badge(
            name=f"{chance.choice(GIVEN)} {chance.choice(FAMILY)} {chance.choice('ABCDEFGHIJKLMNOP')}{number}",
            school="Lincoln Elementary School", date=dt.date(2026, 11, 20), valid_until=dt.datetime(2026, 11, 20, 15, 30, tzinfo=zone),
            host=f"Ms. {chance.choice(FAMILY)}", zones=("Main office", "Library"), escort=number % 3 == 0, purpose="Meeting",
            category=chance.choice(list(printers.Category)), number=f"LES-{number:05}", token=sample_token(number + 1),
            photo=pictures[number % len(pictures)],
        )
        for number in range(count)
    ]  # fmt: skip


def figures(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(value * 1000 for value in seconds)
    return {"median_ms": round(statistics.median(ordered), 1), "p95_ms": round(ordered[int(len(ordered) * 0.95)], 1)}


def timed(made: list[printers.Badge], media: str, profile: str) -> dict[str, Any]:
    wall, own, size = [], [], []
    for badge in made:
        started, used = time.perf_counter(), time.process_time()
        size.append(len(printers.produce(badge, media, profile)))
        own.append(time.process_time() - used)
        wall.append(time.perf_counter() - started)
    return {"wall": figures(wall), "own_time": figures(own), "median_bytes": round(statistics.median(size))}


@contextlib.contextmanager
def watched(spent: dict[str, float]) -> Iterator[None]:
    """Sum up the time spent in the parts."""
    parts: list[tuple[Any, str, str]] = [
        (layout, "open_photo", "photo decoded"), (sheet, "dithered", "photo scaled and dithered"), (marks.Code, "__init__", "QR code"),
        (sheet.Sheet, "_line", "text drawn"), (sheet, "fit", "text fitted"), (sheet.Sheet, "category", "category bars and text"),
    ]  # fmt: skip
    real = [(where, name, getattr(where, name)) for where, name, _ in parts]

    def wrapped(call: Callable[..., Any], part: str) -> Callable[..., Any]:
        def run(*args: Any, **more: Any) -> Any:
            started = time.process_time()
            try:
                return call(*args, **more)
            finally:
                spent[part] += time.process_time() - started

        return run

    for where, name, part in parts:
        setattr(where, name, wrapped(getattr(where, name), part))
    try:
        yield
    finally:
        for where, name, call in real:
            setattr(where, name, call)


def where_it_goes(made: list[printers.Badge]) -> dict[str, float]:
    spent: dict[str, float] = defaultdict(float)
    drawing = encoding = 0.0
    with watched(spent):
        for badge in made:
            started = time.process_time()
            image = printers.render(badge, printers.MEDIA["80mm"])
            drawn = time.process_time()
            printers.encode(image, "epson-tm")
            drawing += drawn - started
            encoding += time.process_time() - drawn
    told = {part: round(value / len(made) * 1000, 2) for part, value in spent.items()}
    return {"drawing in all": round(drawing / len(made) * 1000, 2), "encoding": round(encoding / len(made) * 1000, 2), **told}


async def side_by_side(made: list[printers.Badge]) -> dict[str, Any]:
    """20 jobs to 4 printers as slow as real ones (2,000 rows a second), drawn in a pool of 2; a fifth printer is dead."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(2, mp_context=context) as pool:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(pool, printers.produce, badge, "80mm", "epson-tm") for badge in made[:4]))
        async with contextlib.AsyncExitStack() as stack:
            living = [await stack.enter_async_context(VirtualPrinter(rows_per_second=2000)) for _ in range(4)]
            store = FileJobStore(Path(folder) / "jobs")

            async def draw(job: Job, printer: Printer) -> bytes:
                return await loop.run_in_executor(pool, printers.produce, made[int(job.ref)], "80mm", "epson-tm")

            places = [
                Printer(name=f"p{n}", title=f"Desk {n}", transport=NetworkTransport("127.0.0.1", p.port, profile="epson-tm"))
                for n, p in enumerate(living)
            ]
            # An address from which nothing ever answers (RFC 5737).
            dead = Printer(name="dead", title="Attic", transport=NetworkTransport("192.0.2.1", profile="epson-tm"))
            spool = Spool(store, [*places, dead], draw, worker="benchmark", policy=Policy(poll=0.2))
            now = dt.datetime.now(dt.UTC)
            for number in range(20):
                await store.add(Job(id=f"{number}", printer=f"p{number % 4}", ref=f"{number}", queued_at=now))
            await store.add(Job(id="dead", printer="dead", ref="0", queued_at=now))
            task = asyncio.create_task(spool.run())
            started, worst = time.perf_counter(), 0.0
            while sum(printer.count for printer in living) < 20:
                before = time.perf_counter()
                await asyncio.sleep(0.005)
                worst = max(worst, time.perf_counter() - before - 0.005)
            took = time.perf_counter() - started
            waiting = await store.waiting("dead")
            spool.stop()
            await task
            rows = [badge.image.height for printer in living for badge in printer.printed]
            assert all(job.state is State.PRINTED for job in await store.jobs() if job.printer != "dead") and waiting == 1
            store.close()
    return {
        "jobs": 20, "printers": 4, "seconds": round(took, 2), "paper_alone_one_by_one_seconds": round(sum(rows) / 2000, 2),
        "paper_alone_side_by_side_seconds": round(sum(rows) / 2000 / 4, 2), "loop_held_up_at_most_ms": round(worst * 1000, 1),
        "dead_printer_beside_them": True,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--badges", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="keep the figures in benchmarks/results/")
    args = parser.parse_args()
    before = os.getloadavg()
    made = badges(args.badges)
    printers.produce(made[0], "80mm", "epson-tm")
    result: dict[str, Any] = {"photo": "1 MP JPEG", "struct_to_bytes": {}}
    for media, profile in WAYS:
        some = made if (media, profile) == WAYS[0] else made[: max(1, args.badges // 4)]
        result["struct_to_bytes"][f"{media} {profile}"] = timed(some, media, profile)
    result["where_it_goes_80mm_ms_a_badge"] = where_it_goes(made[: args.badges // 2])
    result["spool"] = asyncio.run(side_by_side(made))
    result["conditions"] = {
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), "python": platform.python_version(), "cores": os.cpu_count(),
        "load_before": [round(x, 2) for x in before], "load_after": [round(x, 2) for x in os.getloadavg()], "badges": args.badges,
    }  # fmt: skip
    print(json.dumps(result, indent=2, ensure_ascii=False))
    if args.write:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()

"""What reading costs: documents, pictures, cards and doors; our own time, alternatives in the same run.

    python benchmarks/readers.py [--payloads FILE] [--peer FOLDER] [--quick] [--write]

`--payloads` is a JSON-lines file of real AAMVA payloads (field `payload`; default: ours, made). `--peer` is a folder into which
`pip install --target FOLDER --no-deps aamva-parser==0.1.1` put the only other parser PyPI has. `--write` keeps the figures in
benchmarks/results/readers.json. Figures of documents, pictures and cards are medians of the thread's
CPU time, which on a free machine is wall time, and does not count what else a loaded one does; doors are medians of wall time; idle
figures are CPU time per second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import random
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from readers import (
    CardPresented,
    CardReaders,
    DescriptorLine,
    DoorBus,
    LineScanner,
    ReaderBack,
    ReaderError,
    ReadersConfig,
    SerialLine,
    decode_image,
    encode_wiegand,
    open_readers,
    parse_aamva,
    parse_mrz,
    read_piv,
)
from readers.testing import (
    ScriptedConnection,
    TestIssuer,
    VirtualDoorReader,
    VirtualScanner,
    camera_frame,
    isolated_pcscd,
    license_image,
    license_payload,
    passport_mrz,
)

TODAY = date(2026, 11, 21)
RESULTS = Path(__file__).parent / "results" / "readers.json"


def median_us(call: Callable[[], object], rounds: int = 200) -> float:
    times = []
    for _ in range(rounds):
        started = time.thread_time()
        call()
        times.append(time.thread_time() - started)
    return statistics.median(times) * 1e6


def documents(payloads: list[str], peer: str | None) -> dict[str, Any]:
    ours, theirs, both = [], [], []
    other = None
    if peer:
        sys.path.insert(0, peer)
        import aamva_parser

        other = aamva_parser.parse
    for payload in payloads:
        try:
            parse_aamva(payload, today=TODAY)
        except ReaderError:
            continue
        ours.append(median_us(lambda p=payload: parse_aamva(p, today=TODAY), 60))
        if other is None:
            continue
        try:
            found = other(payload)
            handled = bool(found and found.last_name and found.date_of_birth)
        except Exception:
            handled = False
        if handled:
            theirs.append(median_us(lambda p=payload: other(p), 60))
            both.append(ours[-1])
    zone = passport_mrz()
    result: dict[str, Any] = {
        "payloads": len(payloads), "read": len(ours), "aamva_us": statistics.median(ours), "aamva_slowest_us": max(ours),
        "mrz_us": median_us(lambda: parse_mrz(zone, today=TODAY)),
    }  # fmt: skip
    if theirs:
        result["peer"] = {
            "name": "aamva-parser 0.1.1", "handled": len(theirs), "us": statistics.median(theirs), "ours_on_the_same_us": statistics.median(both),
            "ours_faster_on": sum(mine <= other_us for mine, other_us in zip(both, theirs, strict=True)),
        }  # fmt: skip
    return result


def pictures(count: int) -> dict[str, Any]:
    import io

    import zxingcpp
    from PIL import Image

    payload = license_payload(middle_names=("LEE",))
    image, chance = license_image(payload), random.Random(1)

    def run(low: float, high: float) -> dict[str, float]:
        times, plain, read, plain_read = [], [], 0, 0
        for seed in range(count):
            frame = camera_frame(image, tilt=chance.uniform(low, high) * chance.choice((1, -1)), blur=0.7, noise=6, seed=seed)
            started = time.thread_time()
            symbols = decode_image(frame, budget_ms=10_000)
            times.append(time.thread_time() - started)
            read += bool(symbols) and symbols[0].data == payload
            started = time.thread_time()
            found = zxingcpp.read_barcodes(Image.open(io.BytesIO(frame)).convert("L"))
            plain.append(time.thread_time() - started)
            plain_read += bool(found)
        times.sort()
        return {
            "median_ms": statistics.median(times) * 1e3, "p95_ms": times[int(count * 0.95)] * 1e3, "read": read / count,
            "zxing_cpp_alone_ms": statistics.median(plain) * 1e3, "zxing_cpp_alone_read": plain_read / count,
        }  # fmt: skip

    return {"frames_each": count, "upright": run(0, 0), "to_8_degrees": run(0, 8), "8_to_45_degrees": run(8, 45)}


def cards(rounds: int) -> dict[str, Any]:
    """Our own time: what the virtual card itself takes to compute is taken off."""
    issuer = TestIssuer()
    trust = issuer.trust()
    result = {}
    for name, key in (("p256", None), ("rsa2048", rsa.generate_private_key(65537, 2048))):
        card, times = issuer.piv("Jordan Lee", key=key), []
        for _ in range(rounds):
            straight, inside = card.connection(), 0.0

            def answer(apdu: bytes, straight: ScriptedConnection = straight) -> tuple[bytes, int]:
                nonlocal inside
                started = time.thread_time()
                try:
                    return straight.transmit(apdu)
                finally:
                    inside += time.thread_time() - started

            started = time.thread_time()
            found = read_piv(ScriptedConnection(answer), trust=trust)
            times.append(time.thread_time() - started - inside)
            assert found is not None
            assert found[0].authenticated
        result[f"piv_own_time_{name}_ms"] = statistics.median(times) * 1e3
    return result


def _peripherals(descriptors: list[int]) -> None:
    doors = [
        VirtualDoorReader(f"Door {number}", key=bytes([number]) * 16, line=DescriptorLine(descriptor)) for number, descriptor in enumerate(descriptors)
    ]
    for door in doors:
        door.power_on()
    time.sleep(600)


@contextmanager
def eight_readers_elsewhere() -> Iterator[list[Any]]:
    """Eight peripherals in another process, so that only the bus's own time is ours."""
    pairs = [socket.socketpair() for _ in range(8)]
    process = multiprocessing.get_context("fork").Process(target=_peripherals, args=([pair[1].fileno() for pair in pairs],), daemon=True)
    process.start()
    try:
        yield [
            msgspec.structs.replace(
                VirtualDoorReader(f"Door {number}", key=bytes([number]) * 16).configuration, line=DescriptorLine(pair[0].fileno())
            )
            for number, pair in enumerate(pairs)
        ]
    finally:
        process.kill()
        process.join()


async def doors(seconds: float, taps: int) -> dict[str, Any]:
    with eight_readers_elsewhere() as configurations:
        async with DoorBus(configurations) as bus:
            waiting = {configuration.name for configuration in configurations}
            while waiting:
                event = await bus.next_event()
                if isinstance(event, ReaderBack):
                    waiting.discard(event.reader)
            await asyncio.sleep(1)
            started = time.process_time()
            await asyncio.sleep(seconds)
            idle = (time.process_time() - started) / seconds
    times, back = [], 0.0
    with VirtualDoorReader("Front") as door:
        async with DoorBus([door.configuration]) as bus:
            await bus.next_event()
            for number in range(taps):
                await asyncio.sleep(random.uniform(0.05, 0.15))
                started = time.perf_counter()
                door.tap(encode_wiegand("H10301", number, 1))
                while not isinstance(await bus.next_event(), CardPresented):
                    pass
                times.append(time.perf_counter() - started)
            door.power_off()
            await bus.next_event()
            await asyncio.sleep(3)
            door.power_on()
            started = time.perf_counter()
            while not isinstance(await bus.next_event(), ReaderBack):
                pass
            back = time.perf_counter() - started
    return {"idle_bus_of_8_core_share": idle, "tap_to_event_ms": statistics.median(times) * 1e3, "returning_reader_s": back}


async def idle(seconds: float) -> dict[str, float]:
    async def share(config: ReadersConfig) -> float:
        async with open_readers(config) as stream:
            await stream.__anext__()
            await asyncio.sleep(1)
            started = time.process_time()
            await asyncio.sleep(seconds)
            return (time.process_time() - started) / seconds

    with VirtualScanner() as scanner:
        result = {"idle_scanner_core_share": await share(ReadersConfig(scanners=(LineScanner(name="a", line=SerialLine(scanner.path)),)))}
    try:
        with isolated_pcscd():
            result["idle_card_reader_core_share"] = await share(ReadersConfig(cards=CardReaders()))
    except ReaderError as error:
        print(f"no card readers measured: {error.message}")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--payloads", type=Path)
    parser.add_argument("--peer")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.payloads:
        payloads = [json.loads(line)["payload"] for line in options.payloads.read_text().splitlines() if line.strip()]
    else:
        payloads = [license_payload(issuer=issuer, version=version).decode() for issuer in ("TX", "ON") for version in range(4, 12)]
    quick = options.quick
    result: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        # First, while there is one thread: the peripherals' process is forked.
        "doors": asyncio.run(doors(3 if quick else 10, 10 if quick else 60)),
        "idle": asyncio.run(idle(3 if quick else 10)),
        "documents": documents(payloads, options.peer),
        "pictures": pictures(10 if quick else 40),
        "cards": cards(10 if quick else 50),
    }
    text = json.dumps(msgspec.json.decode(msgspec.json.encode(result)), indent=2)
    print(text)
    if options.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text + "\n")


if __name__ == "__main__":
    main()

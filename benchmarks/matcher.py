"""Speed and size of the matcher on error model A, through the Python interface.

    python benchmarks/matcher.py                       # 1,000,000 records; --records 10000 100000 1000000 for the cost curve
    python benchmarks/matcher.py --peers               # rapidfuzz cdist over the same names beside it

Times of one visitor are of the calling thread's processor (clock_gettime(CLOCK_THREAD_CPUTIME_ID)) and, beside them, of the wall:
on a machine shared with others the first is what the code costs. Medians of `--rounds` runs. Results: benchmarks/results/matcher_*.json.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accuracy import as_day, model_a
from people_census import Census

from watchlists import Entry, Index, Known, Matcher, Name, Subject, Thresholds
from watchlists.score import UNIT

RESULTS = Path(__file__).parent / "results"
COLD = 2


def percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {f"p{p}": round(ordered[min(len(ordered) - 1, len(ordered) * p // 100)] * 1e6, 1) for p in (50, 90, 99)}


def one_by_one(ask: Callable[[Subject], object], subjects: list[Subject]) -> dict[str, dict[str, float]]:
    cpu, wall = [], []
    for subject in subjects:
        a, b = time.thread_time(), time.perf_counter()
        ask(subject)
        cpu.append(time.thread_time() - a)
        wall.append(time.perf_counter() - b)
    return {"cpu_us": percentiles(cpu), "wall_us": percentiles(wall)}


def middle(runs: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {clock: {p: round(statistics.median(run[clock][p] for run in runs), 1) for p in runs[0][clock]} for clock in runs[0]}


def measure(records: int, args: argparse.Namespace) -> dict[str, Any]:
    made, known = model_a(records, min(10_000, records // 10), min(90_000, records // 10 * 9), False)  # one in ten is in the registry
    entries = list(made)
    out: dict[str, Any] = {"records": records}
    started, cpu = time.perf_counter(), time.process_time()
    index = Index.build(entries)
    out["build_s"] = {"wall": round(time.perf_counter() - started, 2), "cpu": round(time.process_time() - cpu, 2)}
    del entries
    folder = Path(tempfile.mkdtemp())
    index.save(folder / "x.idx")
    opening = []
    for _ in range(5):
        started = time.perf_counter()
        index = Index.open(folder / "x.idx")
        opening.append(time.perf_counter() - started)
    out["open_ms"] = round(statistics.median(opening) * 1e3, 1)
    out["bytes_a_record"] = round((folder / "x.idx").stat().st_size / records, 1)
    out["names"] = index.names
    matcher = Matcher({"registry": index}, Thresholds(20, 26))
    subjects = [subject for _, subject, _ in known]
    image = index._core.image  # type: ignore[attr-defined]
    some = subjects[:: max(1, len(subjects) // 4000)]
    out["cold"] = middle([one_by_one(lambda s: image.screen(s, 20 * UNIT, COLD), some) for _ in range(args.rounds)])
    one_by_one(matcher.screen, some)
    out["warm"] = middle([one_by_one(matcher.screen, some) for _ in range(args.rounds)])
    batches = []
    matcher = Matcher({"registry": Index.open(folder / "x.idx")}, Thresholds(20, 26))
    for _ in range(args.rounds + 1):
        started = time.process_time()  # of all threads: one works, one hands out and collects
        for _matches in matcher.screen_many(subjects, workers=1):
            pass
        batches.append(len(subjects) / (time.process_time() - started))
    out["batch_a_core_per_s"] = {"first": round(batches[0]), "warm": round(statistics.median(batches[1:]))}
    print(json.dumps(out), flush=True)
    (folder / "x.idx").unlink()
    folder.rmdir()
    return out


def everyone(args: argparse.Namespace) -> dict[str, Any]:
    """As many visitors as records, all new to the matcher, on two cores; then the same visitors against a delta of 10,000 entries.
    Both read anew from their objects each time, and kept ready (`Known`)."""
    made, _ = model_a(args.everyone, 10, 10, False)
    entries = list(made)
    delta = entries[:: max(1, len(entries) // 10_000)][:10_000]
    census = Census(777)
    visitors = [_subject(census) for _ in range(args.everyone)]
    out: dict[str, Any] = {"visitors": args.everyone}
    with tempfile.TemporaryDirectory() as folder:
        registry = Path(folder) / "registry.idx"
        Index.build(entries).save(registry)
        entries = []

        def all_records() -> Index:
            return Index.open(registry)  # opened anew: nothing is remembered from before

        def changed() -> Index:
            return Index.build(delta)  # within the time: a change comes as entries

        for name, index in (("all_against_all", all_records), ("against_10000_changed", changed)):
            out[name] = _timed(args.rounds, lambda make=index: _alerts(make(), visitors))
            print(name, out[name], flush=True)
        started = time.perf_counter()
        known = Known(visitors, parts=2)
        out["made_ready_s"] = round(time.perf_counter() - started, 2)
        for name, index in (("all_against_all", all_records), ("against_10000_changed", changed)):
            out[f"kept_ready_{name}"] = _timed(args.rounds, lambda make=index: len(_matcher(make()).rescreen(known)))
            print("kept ready", name, out[f"kept_ready_{name}"], flush=True)
    return out


def _matcher(index: Index) -> Matcher:
    return Matcher({"registry": index}, Thresholds(20, 26))


def _alerts(index: Index, visitors: list[Subject]) -> int:
    return sum(bool(matches) for matches in _matcher(index).screen_many(visitors, workers=2))


def _timed(rounds: int, screen: Callable[[], int]) -> dict[str, Any]:
    walls, cpus, alerts = [], [], 0
    for _ in range(rounds):
        started, cpu = time.perf_counter(), time.process_time()
        alerts = screen()
        walls.append(time.perf_counter() - started)
        cpus.append(time.process_time() - cpu)
    medians = {"wall_s": round(statistics.median(walls), 2), "cpu_s": round(statistics.median(cpus), 2)}
    return medians | {"alerts": alerts, "walls_s": [round(wall, 2) for wall in walls]}


def _subject(census: Census) -> Subject:
    g, m, family, suffix, born, sex = census.visitor(census.person(), [])[0]
    return Subject(Name(family, g, m, suffix), as_day(born), sex or None)


def peers(args: argparse.Namespace) -> dict[str, Any]:
    """rapidfuzz over the same names, aliases too: the best score of one visitor's full name against every name.

    `cdist` without birth dates, and token_sort_ratio over the names that share the birth date: what is often written by hand.
    """
    from rapidfuzz import fuzz, process

    made, known = model_a(args.peer_records, 1000, 1000, False)
    entries: list[Entry] = list(made)
    names = [(f"{name.given} {name.middle} {name.family}", number) for number, entry in enumerate(entries) for name in entry.names]
    texts = [text for text, _ in names]
    by_day: dict[str, list[str]] = {}
    for text, number in names:
        for day in entries[number].birth_dates:
            by_day.setdefault(day, []).append(text)
    some = [subject for _, subject, _ in itertools.islice(known, 0, None, 40)]

    def whole(s: Subject) -> object:
        return process.extractOne(f"{s.name.given} {s.name.middle} {s.name.family}", texts, scorer=fuzz.token_sort_ratio, score_cutoff=85)

    def same_day(s: Subject) -> object:
        near = by_day.get(s.birth_date.isoformat() if s.birth_date else "", [])
        return process.extractOne(f"{s.name.given} {s.name.middle} {s.name.family}", near, scorer=fuzz.token_sort_ratio, score_cutoff=85)

    out = {"records": args.peer_records, "names": len(texts)}
    out["rapidfuzz_token_sort_all_names"] = one_by_one(whole, some)["cpu_us"]
    out["rapidfuzz_token_sort_same_birth_date"] = one_by_one(same_day, some)["cpu_us"]
    print(json.dumps(out), flush=True)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--everyone", type=int, default=0, help="also screen this many visitors against as many records")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--peer-records", type=int, default=100_000)
    args = parser.parse_args()
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    result: dict[str, Any] = {"date": datetime.date.today().isoformat(), "machine": machine}
    result["load_average_before"] = os.getloadavg()[0]
    result["sizes"] = [measure(records, args) for records in args.records]
    if args.everyone:
        result["everyone"] = everyone(args)
    if args.peers:
        result["peers"] = peers(args)
    result["load_average_after"] = os.getloadavg()[0]
    RESULTS.mkdir(exist_ok=True)
    stem = "matcher" if args.records else "matcher_everyone" if args.everyone else "matcher_peers"
    (RESULTS / f"{stem}.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

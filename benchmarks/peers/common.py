"""What every peer shares: the same people, the same clock, the same way of choosing a threshold. Standard library only."""

from __future__ import annotations

import csv
import json
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

FALSE_ALERTS = 0.01  # the share of visitors in no record that may have any alert; thresholds are tuned to it
ROUNDS = 3
TIMED = 300  # visitors timed one by one in each round

Answer = dict[str, float]  # entry → score, the higher the likelier; entries that are not there were not found


class Registered(NamedTuple):
    """One name of one entry; aliases stand in rows of their own, with the entry's birth date (EDTF or empty) and sex."""

    entry: str
    family: str
    given: str
    middle: str
    suffix: str
    born: str
    sex: str

    @property
    def full(self) -> str:
        return " ".join(filter(None, (self.given, self.middle, self.family)))


class Visitor(NamedTuple):
    """One visitor; `entry` is who he is, empty for those in no record. Thresholds are tuned on `half` 0, reported on 1."""

    entry: str
    half: int
    family: str
    given: str
    middle: str
    suffix: str
    born: str
    sex: str

    @property
    def full(self) -> str:
        return " ".join(filter(None, (self.given, self.middle, self.family)))


def registered(folder: Path) -> Iterator[Registered]:
    with (folder / "registered.csv").open(newline="", encoding="utf-8") as file:
        yield from map(Registered._make, csv.reader(file))


def visitors(folder: Path) -> list[Visitor]:
    with (folder / "visitors.csv").open(newline="", encoding="utf-8") as file:
        return [Visitor(entry, int(half), *rest) for entry, half, *rest in csv.reader(file)]


def resident_mb() -> float:
    """The most memory this process ever held, MB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


class Stopwatch:
    """Wall and processor time (all threads of this process) of a `with` block, seconds."""

    def __enter__(self) -> Stopwatch:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall = time.perf_counter() - self._wall
        self.cpu = time.process_time() - self._cpu


def one_by_one(ask: Callable[[Visitor], object], people: Sequence[Visitor]) -> dict[str, dict[str, float]]:
    """µs a visitor, asked one by one: medians over the rounds of p50 and p99, by processor (all threads) and by wall."""
    some = people[:: max(1, len(people) // TIMED)][:TIMED]
    rounds: dict[str, list[list[float]]] = {"cpu_us": [], "wall_us": []}
    for _ in range(ROUNDS):
        cpu, wall = [], []
        for visitor in some:
            with Stopwatch() as watch:
                ask(visitor)
            cpu.append(watch.cpu * 1e6)
            wall.append(watch.wall * 1e6)
        rounds["cpu_us"].append(sorted(cpu))
        rounds["wall_us"].append(sorted(wall))
    return {
        clock: {f"p{p}": round(statistics.median(run[len(run) * p // 100] for run in runs), 1) for p in (50, 99)}
        for clock, runs in rounds.items()
    }


def accuracy(people: Sequence[Visitor], answers: Sequence[Answer]) -> dict[str, float]:
    """The threshold tuned on one half of the visitors, and recall of the true entry and false alerts on the other.

    `recall_at_1_percent` is of all visitors, at the threshold that gives all of them 1 % false alerts: nobody has that
    threshold beforehand, but it is the same point of everyone's curve, and twice as many visitors.
    """
    lost = float("-inf")
    own: list[list[float]] = [[], []]
    best: list[list[float]] = [[], []]
    for visitor, answer in zip(people, answers, strict=True):
        if visitor.entry:
            own[visitor.half].append(answer.get(visitor.entry, lost))
        else:
            best[visitor.half].append(max(answer.values(), default=lost))
    cut = _cut(own[0], best[0])
    everyone = _share(own[0] + own[1], _cut(own[0] + own[1], best[0] + best[1]))
    return {
        "threshold": round(cut, 4), "recall": _share(own[1], cut), "false_alerts": _share(best[1], cut), "true": len(own[1]),
        "false": len(best[1]), "recall_at_1_percent": everyone, "found_at_all": _share(own[1], -1e300),
    }  # fmt: skip


def _cut(own: list[float], strangers: list[float]) -> float:
    """The lowest score seen that is over the first stranger there is no room for."""
    ordered = sorted(strangers, reverse=True)
    barred = ordered[int(FALSE_ALERTS * len(ordered))]
    return min((score for score in (*own, *ordered) if score > barred), default=float("inf"))


def _share(scores: list[float], cut: float) -> float:
    return round(sum(score >= cut for score in scores) / max(1, len(scores)), 5)


def tell(result: dict[str, Any]) -> None:
    """Hand one result to the driver: a line of JSON on standard output."""
    print(json.dumps(result), flush=True)

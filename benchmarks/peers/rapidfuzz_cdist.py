"""rapidfuzz: every visitor against every name, and against the names of his birth date only."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import rescoring
from common import Answer, Stopwatch, Visitor, accuracy, one_by_one, registered, resident_mb, tell, visitors
from rapidfuzz import fuzz, process
from rapidfuzz.distance import JaroWinkler

KEEP = 20
ASKED = 1_500  # visitors asked of over a million names, one takes so long
SEX = {"M": 1, "F": 2}
THIRDS = np.array([0, 1 / 3, 2 / 3, 1], dtype=np.float32)


def _parts(born: str) -> tuple[int, int, int]:
    return int(born[:4] or 0), int(born[5:7] or 0), int(born[8:] or 0)


class EveryName:
    """`process.cdist` with Jaro-Winkler over every name, one thread; birth date and sex are added over whole columns with numpy."""

    def __init__(self, folder: Path) -> None:
        rows = list(registered(folder))
        self.texts = [row.full for row in rows]
        self.entries = [row.entry for row in rows]
        parts = np.array([_parts(row.born) for row in rows], dtype=np.int16)
        self.year, self.month, self.day = map(np.ascontiguousarray, parts.T)
        self.unknown = self.year == 0
        self.sex = np.array([SEX.get(row.sex, 0) for row in rows], dtype=np.int8)
        self.weight = 40.0

    def dates(self, v: Visitor) -> np.ndarray:
        """`rescoring.date_parts` of every row at once."""
        if not v.born:
            return np.full(len(self.texts), 0.5, dtype=np.float32)
        year, month, day = _parts(v.born)
        y, m, d = self.year == year, self.month == month, self.day == day
        same = y.astype(np.int8) + m + d
        swapped = y & (self.month == day) & (self.day == month)
        known = THIRDS[same]
        known[(same == 1) & ~y] = 0
        known[swapped & (same == 1)] = THIRDS[2]
        known[self.unknown] = 0.5
        return known

    def each(self, v: Visitor, weights: Sequence[float]) -> list[Answer]:
        names = process.cdist([v.full], self.texts, scorer=JaroWinkler.similarity, dtype=np.float32, workers=1)[0] * 100
        if v.sex:
            names -= np.float32(10) * ((self.sex != 0) & (self.sex != SEX[v.sex]))
        dates = self.dates(v)
        out = []
        for weight in weights:
            total = names + weight * dates
            best = np.argpartition(total, -KEEP)[-KEEP:]
            out.append(_strongest((self.entries[i], float(total[i])) for i in best))
        return out

    def __call__(self, v: Visitor) -> Answer:
        return self.each(v, (self.weight,))[0]


class SameBirthDate:
    """What is often written by hand: token_sort_ratio over the names of the same birth date, or of none."""

    def __init__(self, folder: Path) -> None:
        self.days: dict[str, tuple[list[str], list[str], list[str]]] = {}
        for row in registered(folder):
            texts, entries, sexes = self.days.setdefault(row.born, ([], [], []))
            texts.append(row.full)
            entries.append(row.entry)
            sexes.append(row.sex)

    def __call__(self, v: Visitor) -> Answer:
        texts, entries, sexes = self.days.get(v.born, ([], [], []))
        found = process.extract(v.full, texts, scorer=fuzz.token_sort_ratio, score_cutoff=50, limit=KEEP)
        return _strongest((entries[i], score - 10.0 * (sexes[i] != v.sex and bool(v.sex))) for _, score, i in found)


def _strongest(found: Iterable[tuple[str, float]]) -> Answer:
    out: Answer = {}
    for entry, score in found:
        out[entry] = max(score, out.get(entry, score))
    return out


def main(folder: Path) -> None:
    for name, peer, given in (
        ("rapidfuzz cdist", EveryName, "Jaro-Winkler over every name and alias, + birth date and sex (rescoring.py)"),
        ("rapidfuzz, same birth date", SameBirthDate, "token_sort_ratio over the names and aliases with that birth date, sex"),
    ):
        people = visitors(folder)
        with Stopwatch() as building:
            ask = peer(folder)
        if isinstance(ask, EveryName) and len(ask.texts) > 1_000_000:
            people = [v._replace(half=i % 2) for i, v in enumerate(people[:: max(1, len(people) // ASKED)])]
        result = {"peer": name, "given": given, "build_s": round(building.cpu, 2)}
        if isinstance(ask, EveryName):
            result["date_weight"] = ask.weight = rescoring.tuned(people, ask)
        found = accuracy(people, [ask(v) for v in people])
        tell(result | {"one_visitor": one_by_one(ask, people[::5] if len(people) == ASKED else people), "resident_mb": resident_mb(), **found})


if __name__ == "__main__":
    main(Path(sys.argv[1]))

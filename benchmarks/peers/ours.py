"""watchlists.Matcher on the same files. Run by the project's own Python."""

from __future__ import annotations

import datetime
import itertools
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from common import Stopwatch, Visitor, accuracy, one_by_one, registered, resident_mb, tell, visitors

from watchlists import Entry, Index, Matcher, Name, Subject, Thresholds

LOWEST = 14.0


def subject(v: Visitor) -> Subject:
    born = datetime.date.fromisoformat(v.born) if v.born else None
    return Subject(Name(v.family, v.given, v.middle, v.suffix), born, v.sex or None)  # type: ignore[arg-type]


def main(folder: Path) -> None:
    entries = []
    for entry_id, rows in itertools.groupby(registered(folder), key=lambda row: row.entry):
        names = list(rows)
        dates = (names[0].born,) if names[0].born else ()
        entries.append(Entry(entry_id, tuple(Name(r.family, r.given, r.middle, r.suffix) for r in names), dates, names[0].sex or None))  # type: ignore[arg-type]
    with Stopwatch() as building:
        index = Index.build(entries)
    del entries
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "x.idx"
        index.save(path)
        size = os.path.getsize(path)
        index = Index.open(path)
    people = visitors(folder)
    subjects = {v: subject(v) for v in people}
    loose = Matcher(index, Thresholds(LOWEST, 26.0))
    answers = [{match.entry_id: match.bits for match in loose.screen(subjects[v])} for v in people]
    found = accuracy(people, answers)
    matcher = Matcher(index, Thresholds(max(1.0, found["threshold"]), 40.0))
    tell({
        "peer": "watchlists.Matcher", "given": "family, given, middle, suffix, birth date, sex; aliases as names of their entry",
        "build_s": round(building.cpu, 2), "resident_mb": resident_mb(), "index_mb": round(size / 1e6, 1),
        "one_visitor": one_by_one(lambda v: matcher.screen(subjects[v]), people), **found,
    })  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))

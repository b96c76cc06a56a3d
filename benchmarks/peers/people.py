"""Write the people of error model A as plain CSV, for every peer to read the same. Run by the project's own Python.

    .venv/bin/python benchmarks/peers/people.py FOLDER --records 100000
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from accuracy import model_a


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--true", type=int, default=3_000)
    parser.add_argument("--false", type=int, default=6_000)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    entries, known = model_a(args.records, args.true, args.false, False)
    with (args.folder / "registered.csv").open("w", newline="", encoding="utf-8") as file:
        write = csv.writer(file).writerow
        for entry in entries:
            born = entry.birth_dates[0] if entry.birth_dates else ""
            for name in entry.names:
                write([entry.id, name.family, name.given, name.middle, name.suffix, born, entry.sex or ""])
    with (args.folder / "visitors.csv").open("w", newline="", encoding="utf-8") as file:
        write = csv.writer(file).writerow
        for number, (entry_id, s, _) in enumerate(known):
            name = s.name
            write([entry_id, number % 2, name.family, name.given, name.middle, name.suffix, s.birth_date or "", s.sex or ""])


if __name__ == "__main__":
    main()

"""`python -m watchlists`: build an index, screen against it, explain, evaluate; fetch, convert and compare lists."""

from __future__ import annotations

import argparse
import csv
import datetime
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

import msgspec

from . import evaluate
from .errors import SourceError
from .index import Index
from .matcher import Matcher
from .records import Match, Name, Subject, Thresholds
from .sources import FORMATS, INDIVIDUAL, commands
from .sources.commands import DONE, shown
from .sources.people import comparable
from .subjects import read_subjects

MAX_WORKERS: Final = 256
MATCHED: Final = 1  # `screen` of one person found a possible match: for scripts


def main(argv: list[str] | None = None) -> int:
    """Run one command; its exit status: 0 done, 1 a possible match (screen of one person), 2 wrong use, 3 a file was refused."""
    parser = argparse.ArgumentParser(prog="python -m watchlists", description=__doc__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    building = subparsers.add_parser("build", help="make an index of a list")
    commands.add_reading_options(building)
    building.add_argument("-o", "--output", type=Path, required=True, metavar="INDEX")
    building.add_argument("--allow-empty", action="store_true", help="make an index of a list without an entry, which clears everyone")
    building.set_defaults(run=_build)

    screening = subparsers.add_parser("screen", help="screen one person, or a file of them, against one or more indexes")
    screening.add_argument("index", type=Path, nargs="+")
    screening.add_argument("--explain", action="store_true", help="say why, in words")
    _add_person(screening)
    _add_batch(screening)
    screening.set_defaults(run=_screen)

    again = subparsers.add_parser("rescreen", help="screen known people against the entries that changed")
    again.add_argument("subjects", type=Path, help="the known people: CSV or JSON lines")
    again.add_argument("changed", type=Path, help="the changed entries")
    again.add_argument("-f", "--format", default="entries-jsonl", choices=FORMATS, help="their format (entries-jsonl)")
    _add_batch(again, subjects=False)
    again.set_defaults(run=_rescreen)

    explaining = subparsers.add_parser("explain", help="why a person does or does not match one entry")
    explaining.add_argument("index", type=Path)
    explaining.add_argument("--entry", required=True, metavar="ID")
    explaining.add_argument("--spanish", action="store_true")
    _add_person(explaining)
    explaining.set_defaults(run=_explain)

    evaluating = subparsers.add_parser("evaluate", help="recall and false alerts at every threshold, on people whose entry is known")
    evaluating.add_argument("index", type=Path)
    evaluating.add_argument("subjects", type=Path, help="people with a column entry_id, empty for those in no entry")
    evaluating.add_argument("--fit", action="store_true", help="also estimate m by EM from these people and show it beside the table's")
    evaluating.add_argument("--json", action="store_true")
    evaluating.set_defaults(run=_evaluate)

    commands.add_commands(subparsers)
    args = parser.parse_args(argv)
    run: Callable[[argparse.Namespace], int] = args.run
    return commands.guarded(run, args)


def _add_person(parser: argparse.ArgumentParser) -> None:
    who = parser.add_argument_group("the person")
    for name in ("family", "given", "middle", "suffix"):
        who.add_argument(f"--{name}", default="")
    who.add_argument("--birth-date", type=_day, metavar="YYYY-MM-DD")
    who.add_argument("--sex", choices=("M", "F", "X"))


def _day(text: str) -> datetime.date:
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        day = datetime.date.max
    if day > datetime.datetime.now(datetime.UTC).date():  # argparse would repeat a ValueError's text, and with it the date
        raise argparse.ArgumentTypeError("not a past day as YYYY-MM-DD")
    return day


def _workers(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:5]) <= MAX_WORKERS:
        raise argparse.ArgumentTypeError(f"not a number from 1 to {MAX_WORKERS}")
    return int(text)


def _add_batch(parser: argparse.ArgumentParser, subjects: bool = True) -> None:
    many = parser.add_argument_group("many people")
    if subjects:
        many.add_argument("--subjects", type=Path, help="CSV with a header or JSON lines")
    many.add_argument("-o", "--output", type=Path, help="matches as .csv or JSON lines (standard output)")
    many.add_argument("--workers", type=_workers, default=2)
    parser.add_argument("--amber", type=float, default=Thresholds().amber, help="bits from which a match is shown (20)")
    parser.add_argument("--red", type=float, default=Thresholds().red, help="bits from which it is strong (26)")


def _person(args: argparse.Namespace, otherwise: str = "") -> Subject:
    name = Name(args.family, args.given, args.middle, args.suffix)
    if not comparable((name,)):  # nothing to compare would look like nothing found
        raise ValueError(f"a name with a letter that can be compared is needed: --family and --given{otherwise}")
    return Subject(name, args.birth_date, args.sex)


def _build(args: argparse.Namespace) -> int:
    started = time.perf_counter()
    entries, report = commands.read_arguments(args, progress=sys.stderr)
    commands.not_a_folder(args.output)
    index = Index.build(entries)
    if not len(index) and not args.allow_empty:
        commands.describe(report, sys.stderr)
        raise SourceError("there is no entry in it, and an index of none would clear everyone; --allow-empty makes it", file=str(args.file))
    index.save(args.output)
    commands.describe(report, sys.stderr)
    size = args.output.stat().st_size
    sys.stdout.write(
        f"{len(index):,} entries, {index.names:,} names, {size:,} bytes, revision {index.revision}, {time.perf_counter() - started:.1f} s\n"
    )
    if not index.compiled:
        sys.stderr.write("The compiled kernel is not installed: this index is screened by the slow plain-Python scorer.\n")
    return DONE


def _matcher(paths: Iterable[Path], args: argparse.Namespace) -> Matcher:
    return Matcher({path.stem: Index.open(path) for path in paths}, Thresholds(args.amber, args.red))


def _screen(args: argparse.Namespace) -> int:
    matcher = _matcher(args.index, args)
    if args.subjects is not None:
        return _screen_file(matcher, args)
    matches = matcher.screen(_person(args, "; or --subjects FILE"))
    for match in matches:
        sys.stdout.write(f"{match.band}\t{match.bits:.1f}\t{shown(match.list)}\t{shown(match.entry_id)}\n")
        if args.explain:
            sys.stdout.writelines(f"\t{sentence}\n" for sentence in matcher.explain(match).sentences())
    return MATCHED if matches else DONE


def _screen_file(matcher: Matcher, args: argparse.Namespace) -> int:
    subjects = (subject for subject, _ in read_subjects(args.subjects))
    alerts = people = 0
    started = time.perf_counter()
    with _writer(args.output) as write:
        for number, matches in enumerate(matcher.screen_many(subjects, args.workers, _progress()), 1):
            people = number
            alerts += bool(matches)
            for match in matches:
                write(number, match)
    seconds = time.perf_counter() - started
    sys.stderr.write(f"{people:,} people, {alerts:,} with a possible match, {seconds:.1f} s\n")
    return DONE


def _rescreen(args: argparse.Namespace) -> int:
    reading = argparse.Namespace(
        file=args.changed, format=args.format, mapping=None, encoding=None, kinds=[INDIVIDUAL], strict=False, max_refused=0.01, id_key=None
    )
    changed = list(commands.read_arguments(reading)[0])
    matcher = Matcher({args.changed.stem: Index.build(changed)}, Thresholds(args.amber, args.red))
    # Not kept ready (`Known`): people who are screened once gain nothing by it, for reading them is four fifths of the time either
    # way. As they are, memory does not grow with the file, and whoever waits sees how far it is while it is read.
    return _screen_file(matcher, args)


def _explain(args: argparse.Namespace) -> int:
    index = Index.open(args.index)
    if args.entry not in index.entry_ids():
        raise SourceError("holds no entry of that id", file=str(args.index))
    matcher = Matcher(index, Thresholds(1.0, 26.0))
    for match in matcher.screen(_person(args)):
        if match.entry_id == args.entry:
            sys.stdout.writelines(f"{line}\n" for line in matcher.explain(match).sentences("es" if args.spanish else "en"))
            return DONE
    sys.stdout.write("less than one bit of evidence speaks for that entry\n")
    return DONE


def _evaluate(args: argparse.Namespace) -> int:
    index = Index.open(args.index)
    known = list(read_subjects(args.subjects))
    ids = {"", *index.entry_ids()}
    if strange := [number for number, (_, entry_id) in enumerate(known, 1) if entry_id not in ids]:
        words = f"{len(strange):,} people are said to be entries that the index does not hold, the first of them person {strange[0]:,}"
        raise SourceError(words, file=str(args.subjects))
    true = sum(bool(entry_id) for _, entry_id in known)
    if not known:
        raise SourceError("there is nobody in it", file=str(args.subjects))
    curve = evaluate.curve(index, known)
    fitted = evaluate.fit(index, [subject for subject, _ in known]) if args.fit else None
    if args.json:
        sys.stdout.write(msgspec.json.encode({"true": true, "false": len(known) - true, "curve": curve, "fitted": fitted}).decode() + "\n")
        return DONE
    sys.stdout.write(f"{true:,} people of an entry, {len(known) - true:,} of none\n")
    sys.stdout.write("bits  recall  people in no entry with an alert\n")
    sys.stdout.writelines(f"{p.bits:4.0f}  {p.recall:6.2%}  {p.false_alerts:.3%}\n" for p in curve)
    if fitted is not None:
        sys.stdout.write(f"\nm by EM over {fitted.pairs:,} candidate pairs, {fitted.links:,.1f} of them links\n")
        sys.stdout.writelines(f"  {row.field:<12} {row.level:<12} table {row.table:.4f}  here {row.here:.4f}\n" for row in fitted.rows)
    return DONE


def _progress() -> Callable[[int], None] | None:
    if not sys.stderr.isatty():
        return None
    started = time.perf_counter()

    def show(done: int) -> None:
        rate = done / max(1e-6, time.perf_counter() - started)
        sys.stderr.write(f"\r{done:,} screened, {rate:,.0f}/s   ")

    return show


@contextmanager
def _writer(path: Path | None) -> Iterator[Callable[[int, Match], None]]:
    if path is not None:
        commands.not_a_folder(path)
    stream: TextIO = sys.stdout if path is None else path.open("w", newline="", encoding="utf-8")
    try:
        if path is not None and path.suffix.lower() == ".csv":
            table = csv.writer(stream)
            table.writerow(["subject", "list", "entry_id", "band", "bits", "evidence", "contradictions", "digest"])

            def write(number: int, match: Match) -> None:
                evidence = " ".join(f"{field}:{bits:+.2f}" for field, bits in match.evidence.items())
                row = [number, match.list, match.entry_id, match.band, f"{match.bits:.3f}", evidence, " ".join(match.contradictions)]
                table.writerow([*row, match.digest])

        else:

            def write(number: int, match: Match) -> None:
                record = {"subject": number, "list": match.list, "entry_id": match.entry_id, "band": match.band, "bits": match.bits}
                more = {"evidence": match.evidence, "contradictions": match.contradictions, "digest": match.digest}
                stream.write(msgspec.json.encode(record | more).decode() + "\n")

        yield write
    finally:
        if path is not None:
            stream.close()


if __name__ == "__main__":
    sys.exit(main(list(islice(sys.argv, 1, None))))

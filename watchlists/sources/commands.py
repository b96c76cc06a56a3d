"""The import side of `python -m watchlists`: fetch, convert, diff, formats, template.

`add_commands(subparsers)` adds them to the command line; each sets `run`, a function of the parsed arguments that returns the exit
status: 0 done, 2 wrong use, 3 a file was refused, 4 the shrink guard refused a revision. `add_reading_options` and `read_arguments` are
for other commands that read a list (`build`).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, TextIO

import msgspec

from watchlists.errors import WatchlistError
from watchlists.records import Entry
from watchlists.sources import FORMATS, INDIVIDUAL, KINDS, Report, entries_jsonl, keyed_hash, read
from watchlists.sources.fetch import Fetched, fetch
from watchlists.sources.snapshot import Accepted, Diff, Limits, Refused, Snapshot, Tally, check, file_sha256

DONE: Final = 0
WRONG_USE: Final = 2
FILE_REFUSED: Final = 3
SHRANK: Final = 4
INTERRUPTED: Final = 130
TEMPLATES: Final = Path(__file__).parent / "templates"
_SHOWN: Final = 20
_MANY: Final = {"individual": "individuals", "entity": "entities", "vessel": "vessels"}
_BAR: Final = 30


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the import side's commands."""
    fetching = subparsers.add_parser("fetch", help="get a list by its URL, if it changed")
    fetching.add_argument("url")
    fetching.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where it is to lie")
    fetching.add_argument("--sha256", default="", help="what the file must hash to")
    fetching.add_argument("--max-mb", type=_mebibytes, default=1024, help="the largest file taken, in MiB (1024)")
    fetching.add_argument("--allow-http", action="store_true", help="allow an unencrypted address")
    fetching.set_defaults(run=_fetch)

    converting = subparsers.add_parser("convert", help="read a list and write its entries as lines of JSON")
    add_reading_options(converting)
    converting.add_argument("-o", "--output", type=Path, metavar="FILE", help="entries as JSON lines; - is standard output")
    converting.add_argument("--snapshot", type=Path, metavar="FILE", help="write the list's snapshot here")
    converting.set_defaults(run=_convert)

    comparing = subparsers.add_parser("diff", help="what changed since the last revision, and whether it shrank too much")
    comparing.add_argument("before", type=Path, help="the last revision: a snapshot (.json), or a list in the same format")
    add_reading_options(comparing)
    comparing.add_argument("--max-shrink", type=_share, default=Limits().share, metavar="SHARE", help="share that may go (0.10)")
    comparing.add_argument("--acknowledge", default="", metavar="TOKEN", help="the token of a refusal you have read and overrule")
    comparing.add_argument("--snapshot", type=Path, metavar="FILE", help="write the new snapshot here, if it is accepted")
    comparing.add_argument("--changed", type=Path, metavar="FILE", help="write the added and changed entries here, for rescreen")
    comparing.add_argument("--json", action="store_true", help="write the result as JSON")
    comparing.set_defaults(run=_diff)

    listing = subparsers.add_parser("formats", help="the formats that can be read")
    listing.set_defaults(run=_formats)

    template = subparsers.add_parser("template", help="write the spreadsheet of a district's own list")
    template.add_argument("name", choices=sorted(path.stem for path in TEMPLATES.glob("*.csv")))
    template.add_argument("-o", "--output", type=Path, metavar="FILE")
    template.set_defaults(run=_template)


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a command that reads one list: its file, format and how to read it."""
    parser.add_argument("file", type=Path, help="the list; zip and gzip are unpacked, ofac-csv also reads a folder")
    parser.add_argument("-f", "--format", required=True, choices=FORMATS, metavar="FORMAT", help=", ".join(FORMATS))
    parser.add_argument("--mapping", help="for mapped-csv: a TOML file, or the name of a shipped one")
    parser.add_argument("--encoding", help="of a text file, if it is not found by itself")
    parser.add_argument("--kinds", nargs="+", choices=sorted(KINDS), default=[INDIVIDUAL], help="what to read (individual)")
    parser.add_argument("--strict", action="store_true", help="refuse the file at its first row or value that cannot be read")
    parser.add_argument("--max-refused", type=_share, default=Report().max_refused, metavar="SHARE", help="rows that may be refused (0.01)")
    parser.add_argument("--id-key", type=Path, metavar="FILE", help="keep document numbers, hashed under the key in this file")


def read_arguments(args: argparse.Namespace, file: Path | None = None, *, progress: TextIO | None = None) -> tuple[Iterator[Entry], Report]:
    """The entries of the list that the arguments name, and the report that is filled as they are taken."""
    report = Report(max_refused=args.max_refused)
    key = args.id_key.read_bytes().strip() if args.id_key else None
    path = file or args.file
    entries = read(
        path,
        args.format,
        report=report,
        strict=args.strict,
        kinds=args.kinds,
        encoding=args.encoding,
        mapping=Path(args.mapping) if args.mapping and args.mapping.endswith(".toml") else args.mapping,
        hash_id=keyed_hash(key) if key else None,
    )
    return (_with_progress(entries, report, progress) if progress and progress.isatty() else entries), report


def describe(report: Report, out: TextIO) -> None:
    """Tell people what a reading came to."""
    out.write(f"{report.rows:,} rows, {report.entries:,} entries")
    out.writelines(f", {count:,} {_MANY.get(kind, kind)} left out" for kind, count in sorted(report.set_aside.items()))
    out.write(f"; {report.refused:,} rows refused, {report.dropped_values:,} values dropped\n")
    for problem in report.problems[:_SHOWN]:
        out.write(f"  {'refused' if problem.refused else 'dropped'}  {problem}\n")
    if len(report.problems) > _SHOWN:
        out.write(f"  … and {report.refused + report.dropped_values - _SHOWN:,} more\n")
    for words, count in sorted(report.notes.items()):
        out.write(f"  note  {words}" + (f" ({count:,} times)\n" if count > 1 else "\n"))


def guarded(run: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Run a command; what the library raises on purpose becomes one line and a status."""
    try:
        return run(args)
    except WatchlistError as error:
        sys.stderr.write(f"{error}\n")
        return FILE_REFUSED
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return WRONG_USE
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return INTERRUPTED
    except OSError as error:
        sys.stderr.write(f"{error.filename or 'a file'}: {error.strerror or error}\n")
        return FILE_REFUSED


def shown(text: str) -> str:
    """Text from a list for a terminal, which is not to act on what it holds."""
    return text if text.isprintable() else ascii(text)


def not_a_folder(path: Path) -> None:
    """Raises ValueError where a file is to be written and a folder is."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a file to write")


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError("not a share from 0 to 1")
    return share


def _mebibytes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:9]) <= 1 << 20:
        raise argparse.ArgumentTypeError("not a number of MiB, 1 or more")
    return int(text)


def _fetch(args: argparse.Namespace) -> int:
    done = fetch(args.url, args.output, sha256=args.sha256, max_bytes=args.max_mb << 20, allow_http=args.allow_http)
    how = "fetched" if isinstance(done, Fetched) else "unchanged"
    sys.stdout.write(f"{how}  {done.path}  {done.size:,} bytes  sha256 {done.sha256}\n")
    return DONE


def _convert(args: argparse.Namespace) -> int:
    entries, report = read_arguments(args, progress=sys.stderr)
    tally = Tally()
    with _output(args.output) as stream:
        entries_jsonl.write(tally.over(entries), stream)
    if args.snapshot:
        tally.snapshot(_checksum(args.file)).save(args.snapshot)
    describe(report, sys.stderr)
    return DONE


def _diff(args: argparse.Namespace) -> int:
    if args.before.suffix == ".json":
        before = Snapshot.load(args.before)
    else:
        old, _ = read_arguments(args, args.before, progress=sys.stderr)
        before = Snapshot.of(old)
    new, report = read_arguments(args, progress=sys.stderr)
    tally = Tally()
    for _ in tally.over(new):
        pass
    after = tally.snapshot(_checksum(args.file))
    verdict = check(before, after, Limits(share=args.max_shrink), acknowledged=args.acknowledge)
    if args.json:
        told = {
            "accepted": isinstance(verdict, Accepted),
            "before": msgspec.to_builtins(before.counts),
            "after": msgspec.to_builtins(after.counts),
            **msgspec.to_builtins(verdict),
        }
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(told)).decode() + "\n")
    else:
        describe(report, sys.stderr)
        _tell(verdict.diff, sys.stdout)
    if isinstance(verdict, Refused):
        sys.stderr.write(f"{verdict.reason} To accept exactly this change: --acknowledge {verdict.token}\n")
        return SHRANK
    if args.changed:
        wanted = {*verdict.diff.added, *verdict.diff.changed}
        again, _ = read_arguments(args)
        with _output(args.changed) as stream:
            entries_jsonl.write((entry for entry in again if entry.id in wanted), stream)
    if args.snapshot:
        after.save(args.snapshot)
    return DONE


def _checksum(path: Path) -> str:
    """SHA-256 of the list's file; none for a folder of tables."""
    if path.is_dir():
        return ""
    with path.open("rb") as stream:
        return file_sha256(stream)


def _tell(diff: Diff, out: TextIO) -> None:
    out.write(f"{len(diff.added):,} added, {len(diff.removed):,} removed, {len(diff.changed):,} changed, {diff.unchanged:,} unchanged\n")
    for sign, ids in (("+", diff.added), ("-", diff.removed), ("~", diff.changed)):
        out.writelines(f"{sign} {shown(id_)}\n" for id_ in ids)


def _formats(_: argparse.Namespace) -> int:
    width = max(map(len, FORMATS))
    sys.stdout.writelines(f"{name:<{width}}  {form.title}\n" for name, form in FORMATS.items())
    return DONE


def _template(args: argparse.Namespace) -> int:
    with _output(args.output) as stream:
        stream.write((TEMPLATES / f"{args.name}.csv").read_bytes())
    return DONE


@contextmanager
def _output(path: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that is there whole or not at all, and its owner's alone: entries are names."""
    if path is None or str(path) == "-":
        yield sys.stdout.buffer
        return
    not_a_folder(path)
    beside = path.with_name(path.name + ".new")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            yield stream
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _with_progress(entries: Iterator[Entry], report: Report, out: TextIO) -> Iterator[Entry]:
    """A bar on a terminal, redrawn every thousand entries; without the bar where the file's length says nothing (a folder, a zip)."""
    for number, entry in enumerate(entries, start=1):
        if number % 1000 == 0:
            bar = ""
            if report.fraction is not None:
                full = round(report.fraction * _BAR)
                bar = f"[{'#' * full}{'.' * (_BAR - full)}] {report.fraction:4.0%}  "
            out.write(f"\r{bar}{number:,} entries")
            out.flush()
        yield entry
    out.write("\r" + " " * (_BAR + 32) + "\r")

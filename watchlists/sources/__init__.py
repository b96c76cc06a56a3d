"""Registries of every kind, each read to a stream of `Entry`.

    from watchlists.sources import Report, read

    report = Report()
    for entry in read("sdn.zip", "ofac-csv", report=report):
        ...
    print(report.entries, report.refused, report.set_aside)

`FORMATS` names what can be read; `snapshot` says what changed since the last revision and whether to believe it; `fetch` gets a list
by its URL. See README.md beside this file for each format.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from watchlists.errors import SourceError
from watchlists.prepare import MAX_BIRTH_DATES, MAX_IDS
from watchlists.records import Entry, Subject
from watchlists.sources import (
    barred_csv,
    custody_csv,
    entries_jsonl,
    mapped_csv,
    nsopw_json,
    ofac_csv,
    ofac_xml,
    ofsi_csv,
    opensanctions_csv,
    people,
    un_xml,
)
from watchlists.sources.base import (
    AIRCRAFT,
    ENTITY,
    INDIVIDUAL,
    KINDS,
    MAX_BYTES,
    VESSEL,
    Document,
    Format,
    HashId,
    Problem,
    Report,
    Source,
    TooManyRefusedError,
    canonical_id,
    keyed_hash,
)
from watchlists.sources.district import has_ended, in_force
from watchlists.sources.opening import Readable, opened, size_of
from watchlists.sources.packed import unpacked
from watchlists.sources.tables import nearest

__all__ = [
    "AIRCRAFT", "ENTITY", "FORMATS", "INDIVIDUAL", "KINDS", "MAX_BYTES", "VESSEL", "Document", "Format", "HashId", "PersonSource",
    "Problem", "Report", "Source", "SourceError", "TooManyRefusedError", "UnknownFormatError", "canonical_id", "in_force", "keyed_hash",
    "read",
]  # fmt: skip

FORMATS: Final[dict[str, Source[Document]]] = {
    form.name: form
    for form in (
        ofac_csv.FORMAT,
        ofac_xml.FORMAT,
        un_xml.FORMAT,
        ofsi_csv.FORMAT,
        opensanctions_csv.FORMAT,
        nsopw_json.FORMAT,
        mapped_csv.FORMAT,
        barred_csv.FORMAT,
        custody_csv.FORMAT,
        entries_jsonl.FORMAT,
    )
}
"""Every format a whole list can be read in, by name."""

PersonSource = Source[Subject]
"""A registry that is asked person by person."""

_KEEP_PACKED: Final = frozenset({ofac_csv.FORMAT.name, mapped_csv.FORMAT.name})
"""Formats that may come as a zip of several files and look into it themselves."""
MAX_ID: Final = 200
"""Characters of an entry's id. Ids are shown in reports, logs and diffs."""
_TELL_EVERY: Final = 256
_FOLDERS: Final = frozenset({ofac_csv.FORMAT.name})


class UnknownFormatError(SourceError):
    """There is no format of that name."""


def read(
    source: Readable,
    format: str,
    *,
    name: str | None = None,
    report: Report | None = None,
    strict: bool | None = None,
    kinds: Collection[str] = frozenset({INDIVIDUAL}),
    encoding: str | None = None,
    hash_id: HashId | None = None,
    mapping: Mapping[str, Any] | Path | str | None = None,
    max_bytes: int = MAX_BYTES,
    as_of: date | None = None,
) -> Iterator[Entry]:
    """Yield the entries of a registry's file, one by one.

    Args:
        source: a path, a folder (`ofac-csv`), or an open binary file such as an upload; zip and gzip are unpacked.
        format: a key of `FORMATS`.
        name: what errors call the file; its path or the stream's own name when not given.
        report: filled while reading. Giving one makes the reading lenient: refused rows and dropped values are counted in it.
        strict: raise at the first of them instead. True unless a report is given.
        kinds: what to yield of `KINDS`; individuals only unless asked. The rest is counted in `report.set_aside`.
        encoding: of a text, where it is known; found by itself when not given.
        hash_id: keyed hash for document numbers. Without it they are left out.
        mapping: for `mapped-csv`, the `Path` of its TOML, the name of a shipped one (a `str` is never a path), or what it decodes to; an
            upload may be a zip of table and TOML instead.
        max_bytes: the largest file, also unpacked.
        as_of: the day the list is read for: orders whose `expires_on` lies before it are left out and counted as `ended`. Today (UTC)
            unless given; `date.min` yields them all.

    Raises:
        SourceError: the file as a whole cannot be used, or (strict) a row or value cannot; it names file, line and column.
        TooManyRefusedError: at the end, when a larger share of the rows was refused than the report allows.
    """
    if format not in FORMATS:
        raise UnknownFormatError(f"there is no format {format!r}{nearest(format, FORMATS) or '; there are ' + ', '.join(FORMATS)}")
    if unknown := set(kinds) - KINDS:
        raise ValueError(f"kinds are {', '.join(sorted(KINDS))}, not {', '.join(sorted(unknown))}")
    return _read(
        source,
        FORMATS[format],
        name,
        Document(
            stream=io.BytesIO(),
            name=name or "",
            report=Report() if report is None else report,
            strict=report is None if strict is None else strict,
            kinds=frozenset(kinds),
            encoding=encoding,
            hash_id=hash_id,
            mapping=mapping,
            max_bytes=max_bytes,
            as_of=as_of or datetime.now(UTC).date(),
        ),
    )


def _read(source: Readable, form: Source[Document], name: str | None, asked: Document) -> Iterator[Entry]:
    if isinstance(source, (str, Path)) and Path(source).is_dir():
        if form.name not in _FOLDERS:
            raise SourceError(f"this is a folder; {form.name} is read from one file", file=str(source))
        yield from _counted(form, replace(asked, folder=Path(source), name=name or str(source)))
        return
    with opened(source, name, asked.max_bytes) as (stream, shown):
        document = replace(asked, stream=stream, name=shown)
        if form.name in _KEEP_PACKED:
            yield from _counted(form, document)
        else:
            with unpacked(document) as inside:
                yield from _counted(form, inside)


def _counted(form: Source[Document], document: Document) -> Iterator[Entry]:
    report = document.report
    seen: set[str] = set()
    size = size_of(document.stream)
    for number, entry in enumerate(form.entries(document)):
        if size and number % _TELL_EVERY == 0:
            report.fraction = min(1.0, document.stream.tell() / size)
        if has_ended(entry, document.as_of):
            report.set_aside["ended"] += 1
            continue
        if len(entry.id) > MAX_ID:
            document.refuse(f"the id is longer than {MAX_ID} characters", line=report.line)
            continue
        if entry.id in seen:
            document.refuse(f"the id {entry.id!r} was used before in this list", line=report.line)
            continue
        if len(entry.birth_dates) > MAX_BIRTH_DATES or len(entry.id_hashes) > MAX_IDS:
            document.refuse(f"one entry has over {MAX_BIRTH_DATES} birth dates or {MAX_IDS} documents: rows run together", line=report.line)
            continue
        if any(map(people.too_long, entry.names)):
            kept = tuple(name for name in entry.names if not people.too_long(name))
            document.drop(f"a name of over {people.MAX_NAME} characters is dropped", line=report.line)
            if kept:
                kept = (msgspec.structs.replace(kept[0], kind="primary"), *kept[1:])
            entry = msgspec.structs.replace(entry, names=kept)
        if not people.comparable(entry.names):
            document.refuse("the entry has no name in a script that can be compared", line=report.line)
            continue
        seen.add(entry.id)
        report.entries += 1
        yield entry
    if report.refused > report.max_refused * report.rows:
        first = report.problems[0] if report.problems else None
        words = (
            f"{report.refused:,} of {report.rows:,} rows were refused, over the {report.max_refused:.1%} allowed "
            "of a list; the whole list is"
        )
        raise TooManyRefusedError(f"{words}. First: {first}" if first else words, file=document.name)

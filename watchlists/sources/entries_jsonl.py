"""Our own `Entry`, one JSON object a line: what `python -m watchlists` writes, and what another product can send without a mapping."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any, BinaryIO, Final

import msgspec

from watchlists.prepare import HEIGHTS
from watchlists.records import Address, Entry, Name
from watchlists.sources import dates, people
from watchlists.sources.base import Document, Format
from watchlists.sources.opening import lines
from watchlists.sources.tables import nearest

_KNOWN: Final[dict[type, tuple[str, ...]]] = {record: record.__struct_fields__ for record in (Entry, Name, Address)}


def read(document: Document) -> Iterator[Entry]:
    """Yield an entry a line, exactly as written but for birth dates, heights and eye colors, which are checked.

    A key that no record has is refused with the nearest right one.
    """
    decoder = msgspec.json.Decoder(Entry)
    ended = True
    for number, line in enumerate(lines(document), start=1):
        if not line.strip():
            continue
        ended = line.endswith(("\n", "\r"))
        document.report.rows += 1
        document.report.line = number
        try:
            entry = decoder.decode(line)
            unknown = unknown_key(_records(msgspec.json.decode(line)))
        except msgspec.ValidationError as error:
            words, path = place_of(str(error))
            document.refuse(words, line=number, column=path)
            continue
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            if not ended:
                raise document.fault("the last line is no whole JSON object: the file was cut off", line=number) from None
            document.refuse("the line is no JSON object", line=number)
            continue
        if unknown:
            document.refuse(unknown, line=number)
        elif not entry.id.strip():
            document.refuse("the entry has no id", line=number, column="id")
        elif not any(any(map(str.isalpha, f"{name.family}{name.given}")) for name in entry.names):
            document.refuse("the entry has no name", line=number, column="names")
        else:
            yield _sound(document, entry, number)


def write(entries: Iterable[Entry], stream: BinaryIO) -> int:
    """Write entries as lines of JSON, UTF-8; returns how many."""
    encoder = msgspec.json.Encoder()
    count = 0
    for entry in entries:
        stream.write(encoder.encode(entry) + b"\n")
        count += 1
    return count


FORMAT: Final = Format("entries-jsonl", "Entries of this program (JSON lines)", read)


def _sound(document: Document, entry: Entry, line: int) -> Entry:
    """The entry without the birth dates, height and eye color that cannot be read; each is counted as dropped."""
    kept: list[str] = []
    for value in entry.birth_dates:
        try:
            kept.append(check_edtf(value))
        except ValueError as error:
            document.drop(f"a birth date is dropped: {error}", line=line, column="birth_dates")
    if len(kept) != len(entry.birth_dates):
        entry = msgspec.structs.replace(entry, birth_dates=tuple(kept))
    if entry.height_cm is not None and entry.height_cm not in HEIGHTS:
        document.drop(f"a height is dropped: it is not {HEIGHTS.start} to {HEIGHTS.stop - 1} cm", line=line, column="height_cm")
        entry = msgspec.structs.replace(entry, height_cm=None)
    if entry.eye_color is not None:
        try:
            people.eye_color(entry.eye_color)
        except ValueError as error:
            document.drop(f"an eye color is dropped: {error}", line=line, column="eye_color")
            entry = msgspec.structs.replace(entry, eye_color=None)
    return entry


def check_edtf(value: str, *, today: date | None = None) -> str:
    """A birth date as `Entry` holds it, or ValueError."""
    first, slash, last = value.partition("/")
    for part in (first, last) if slash else (first,):
        dates.from_iso(part.removesuffix("~"), today=today)
    if slash:
        dates.between(first, last)
    return value


def _records(raw: Any) -> list[tuple[object, tuple[str, ...], str]]:
    groups: list[tuple[object, type]] = [(raw, Entry)]
    groups += [(name, Name) for name in raw.get("names", ())]
    groups += [(address, Address) for address in raw.get("addresses", ())]
    return [(found, _KNOWN[record], record.__name__) for found, record in groups]


def unknown_key(records: Iterable[tuple[object, tuple[str, ...], str]]) -> str:
    """In words, the first key of a decoded object that its record lacks, of (object, its fields, what it is); empty if there is none."""
    for found, fields, kind in records:
        for key in found if isinstance(found, dict) else ():
            if key not in fields:
                return f"{key[:60]!r} is no field of {'an' if kind[0] in 'AE' else 'a'} {kind}{nearest(key, fields)}"
    return ""


def place_of(message: str) -> tuple[str, str]:
    """Part msgspec's message into words and path. Of a value it repeats nothing but enumerations, which are cut as well."""
    words, _, path = message.partition(" - at `$")
    return re.sub(r"Invalid enum value .*", "a value that is not allowed here", words), path.rstrip("`").lstrip(".")

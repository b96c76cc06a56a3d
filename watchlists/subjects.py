"""Subjects from a file: CSV with a header, or a JSON object a line.

Read as strictly as can be: a person whose row says something that cannot be read is not screened as if it said nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from .prepare import HEIGHTS
from .records import Address, Name, Subject
from .sources import dates, people
from .sources.base import MAX_BYTES, Document, Report, T, shape
from .sources.entries_jsonl import place_of, unknown_key
from .sources.opening import lines, opened
from .sources.tables import table

COLUMNS: Final = (
    "family", "given", "middle", "suffix", "birth_date", "sex", "postal_code", "region", "height_cm", "eye_color", "entry_id",
)  # fmt: skip


def read_subjects(path: Path) -> Iterator[tuple[Subject, str]]:
    """Each subject of a file, and the id of the entry he is known to be (empty where the file does not say).

    A `.csv` has a header of any of COLUMNS (`family` at least; `x_…` are remarks); anything else is JSON lines of `Subject`, which
    may carry `entry_id` beside.

    Raises:
        SourceError: the file, a row or a value cannot be read, or a name cannot be compared; with line and column.
    """
    with opened(path, None, MAX_BYTES) as (stream, name):
        document = Document(stream, name, Report(), strict=True)
        yield from _from_csv(document) if path.suffix.lower() == ".csv" else _from_json(document)


def _from_csv(document: Document) -> Iterator[tuple[Subject, str]]:
    for row in table(document, COLUMNS[:1], COLUMNS[1:], closed=True):
        place = Address(postal_code=row["postal_code"], region=row["region"])
        subject = Subject(
            Name(row["family"], row["given"], row["middle"], row["suffix"]),
            _value(document, _day, row["birth_date"], row.line, "birth_date") if row["birth_date"] else None,
            _value(document, people.sex, row["sex"], row.line, "sex"),
            place if place.postal_code or place.region else None,
            _value(document, _height, row["height_cm"], row.line, "height_cm"),
            _value(document, people.eye_color, row["eye_color"], row.line, "eye_color"),
        )
        _check(document, subject, row.line)
        yield subject, row["entry_id"]


def _value(document: Document, parse: Callable[[str], T | None], text: str, line: int, column: str) -> T | None:
    try:
        return parse(text)
    except ValueError as error:
        raise document.fault(f"the value ({shape(text)}) cannot be read: {error}", line=line, column=column) from None


def _day(text: str) -> datetime.date:
    if len(iso := dates.from_iso(text)) != 10:
        raise ValueError("it is not a full date (YYYY-MM-DD)")
    return datetime.date.fromisoformat(iso)


def _height(text: str) -> int | None:
    return people.height_cm(text, "cm")


class _Known(msgspec.Struct):
    entry_id: str = ""


def _from_json(document: Document) -> Iterator[tuple[Subject, str]]:
    subjects, known = msgspec.json.Decoder(Subject), msgspec.json.Decoder(_Known)
    for number, line in enumerate(lines(document), 1):
        if not line.strip():
            continue
        try:
            subject, entry_id = subjects.decode(line), known.decode(line).entry_id
            raw = msgspec.json.decode(line)
        except msgspec.ValidationError as error:
            words, path = place_of(str(error))
            raise document.fault(words, line=number, column=path) from None
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            raise document.fault("the line is no JSON object", line=number) from None
        records: list[tuple[object, tuple[str, ...], str]] = [(raw, (*Subject.__struct_fields__, "entry_id"), "Subject")]
        records += [(raw.get("name"), Name.__struct_fields__, "Name"), (raw.get("address"), Address.__struct_fields__, "Address")]
        if wrong := unknown_key(records):
            raise document.fault(wrong, line=number)
        if subject.birth_date is not None:
            _value(document, _day, subject.birth_date.isoformat(), number, "birth_date")
        if subject.height_cm is not None and subject.height_cm not in HEIGHTS:
            raise document.fault(f"it is no height of {HEIGHTS.start} to {HEIGHTS.stop - 1} cm", line=number, column="height_cm")
        if subject.eye_color is not None:
            _value(document, people.eye_color, subject.eye_color, number, "eye_color")
        _check(document, subject, number)
        yield subject, entry_id


def _check(document: Document, subject: Subject, line: int) -> None:
    """Nobody is clear for want of anything to compare."""
    if people.too_long(subject.name):
        raise document.fault(f"a part of the name is longer than {people.MAX_NAME} characters", line=line, column="name")
    if not subject.id_hashes and not people.comparable((subject.name,)):
        raise document.fault("there is no name in a script that can be compared", line=line, column="name")

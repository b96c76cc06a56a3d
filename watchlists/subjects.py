"""Subjects from a file: CSV with a header, or a JSON object a line."""

from __future__ import annotations

import csv
import datetime
from collections.abc import Iterator
from pathlib import Path

import msgspec

from .errors import SourceError
from .records import Address, Name, Sex, Subject

COLUMNS = (
    "family", "given", "middle", "suffix", "birth_date", "sex", "postal_code", "region", "height_cm", "eye_color", "entry_id",
)  # fmt: skip


def read_subjects(path: Path) -> Iterator[tuple[Subject, str]]:
    """Each subject of a file, and the id of the entry he is known to be (empty where the file does not say).

    A `.csv` has a header of any of COLUMNS (`family` at least); anything else is JSON lines of `Subject`, which may
    carry `entry_id` beside. Raises SourceError with line and column for what can not be read.
    """
    try:
        yield from _from_csv(path) if path.suffix.lower() == ".csv" else _from_json(path)
    except OSError as error:
        raise SourceError(error.strerror or "can not be read", file=str(path)) from error
    except UnicodeDecodeError:
        raise SourceError("is not UTF-8", file=str(path)) from None


def _from_csv(path: Path) -> Iterator[tuple[Subject, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        header = reader.fieldnames or []
        if "family" not in header:
            raise SourceError("has no column `family`", file=str(path), line=1)
        for unknown in set(header) - set(COLUMNS):
            raise SourceError(f"column {unknown!r} is not one of {', '.join(COLUMNS)}", file=str(path), line=1)
        for row in reader:
            if None in row or None in row.values():
                raise SourceError(f"has not {len(header)} columns", file=str(path), line=reader.line_num)
            yield _subject(row, str(path), reader.line_num), row.get("entry_id", "")


def _subject(row: dict[str, str], file: str, line: int) -> Subject:
    def column(name: str) -> int:
        return list(row).index(name) + 1

    born = height = None
    if text := row.get("birth_date", "").strip():
        try:
            born = datetime.date.fromisoformat(text)
        except ValueError:
            raise SourceError("birth_date is not a date (YYYY-MM-DD)", file=file, line=line, column=column("birth_date")) from None
    if text := row.get("height_cm", "").strip():
        if not text.isdigit():
            raise SourceError("height_cm is not a number", file=file, line=line, column=column("height_cm"))
        height = int(text)
    sexes: dict[str, Sex] = {"M": "M", "F": "F", "X": "X"}
    place = Address(postal_code=row.get("postal_code", ""), region=row.get("region", ""))
    return Subject(
        Name(row["family"], row.get("given", ""), row.get("middle", ""), row.get("suffix", "")),
        born,
        sexes.get(row.get("sex", "").strip().upper()),
        place if place.postal_code or place.region else None,
        height,
        row.get("eye_color") or None,
    )


class _Known(msgspec.Struct):
    entry_id: str = ""


def _from_json(path: Path) -> Iterator[tuple[Subject, str]]:
    subjects, known = msgspec.json.Decoder(Subject), msgspec.json.Decoder(_Known)
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                yield subjects.decode(line), known.decode(line).entry_id
            except (msgspec.DecodeError, ValueError) as error:
                # msgspec names the field, not its value
                raise SourceError(str(error), file=str(path), line=number) from None

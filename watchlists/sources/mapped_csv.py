"""A state's or county's registry by a declarative mapping: which of its columns means what, in TOML.

No two registries publish the same table, and none of them publishes code. `mappings/` holds two worked examples; README.md describes
every key. A column that the mapping names and the file lacks is refused with the nearest there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import msgspec

from watchlists.records import Address, Entry, Name, NameKind
from watchlists.sources import dates, people
from watchlists.sources.base import Document, Format
from watchlists.sources.mapping import AddressColumns, Coded, NameColumns, TableMapping, load, name_columns
from watchlists.sources.packed import with_mapping
from watchlists.sources.tables import Row, fold, nearest, records, table

Cell = Callable[[str], str]
"""A row's cell by the column's name as the mapping writes it; empty for a column not named."""


def read(document: Document) -> Iterator[Entry]:
    """Yield an entry a person of the mapped table: a CSV, or a zip of it and its mapping (one `.toml`)."""
    with with_mapping(document) as found:
        yield from _read(found)


def _read(document: Document) -> Iterator[Entry]:
    if document.mapping is None:
        raise document.fault("mapped-csv needs a mapping: read(…, mapping='registry.toml'), or a zip of the table and its .toml")
    mapping = load(document.mapping)
    if document.encoding is None:
        document.encoding = mapping.file.encoding
    held: Entry | None = None
    begins = 0
    for row in _rows(document, mapping):
        found = _entry(document, mapping, row)
        if found is None:
            continue
        if held is not None and mapping.file.rows == "several" and held.id == found.id:
            held = _joined(held, found)
            continue
        if held is not None:
            document.report.line = begins
            yield held
        held, begins = found, row.line
    if held is not None:
        document.report.line = begins
        yield held


FORMAT: Final = Format("mapped-csv", "State or county registry (CSV by a mapping)", read)


def _rows(document: Document, mapping: TableMapping) -> Iterator[Row]:
    null = {word.upper() for word in mapping.file.null}
    if mapping.file.columns:
        rows = _headless(document, mapping)
    else:
        rows = table(document, mapping.columns(), delimiter=mapping.file.delimiter, banner=mapping.file.banner)
    skips = [(fold(skip.column), {value.upper() for value in skip.values}, skip.because) for skip in mapping.skip]
    named = mapping.columns()
    for row in rows:
        cells = {column: "" if (cell := row.cells[column]).upper() in null else cell for column in named}
        because = next((because for column, values, because in skips if cells[column].upper() in values), None)
        if because is None:
            yield Row(row.line, cells)
        else:
            document.report.set_aside[because] += 1


def _headless(document: Document, mapping: TableMapping) -> Iterator[Row]:
    header = [fold(column) for column in mapping.file.columns]
    for column in mapping.columns():
        if column not in header:
            raise document.fault(f"the column {column!r} is not among the mapping's file.columns{nearest(column, header)}", column=column)
    for line, cells in records(document, mapping.file.delimiter):
        document.report.rows += 1
        document.report.line = line
        if len(cells) == len(header):
            yield Row(line, dict(zip(header, map(str.strip, cells), strict=True)))
        else:
            document.refuse(f"the row has {len(cells)} cells where the mapping has {len(header)}", line=line)


def _entry(document: Document, mapping: TableMapping, row: Row) -> Entry | None:
    def cell(column: str) -> str:
        return row[fold(column)] if column else ""

    def coded(asked: Coded | None) -> str:
        if asked is None:
            return ""
        value = cell(asked.column)
        return next((ours for theirs, ours in asked.values.items() if theirs.upper() == value.upper()), value)

    if not cell(mapping.id):
        document.refuse("the row has no id", line=row.line, column=mapping.id)
        return None
    primary = next(_names(cell, mapping.name, "primary"), None)
    if primary is None:
        document.refuse("the row has no name", line=row.line, column=next(iter(name_columns(mapping.name))))
        return None
    names = [primary, *(name for alias in mapping.alias for name in _names(cell, alias, alias.kind))]
    births: list[str] = []
    for wanted in mapping.birth_date:
        whole = cell(wanted.column)
        for text in filter(None, map(str.strip, whole.split(wanted.separator) if wanted.separator else [whole])):
            if born := document.tried(partial(_birth_date, formats=wanted.formats), text, line=row.line, column=wanted.column):
                births.append(born)
    height: int | None = None
    if mapping.height is not None:
        parse = partial(people.height_cm, unit=mapping.height.unit)
        height = document.tried(parse, cell(mapping.height.column), line=row.line, column=mapping.height.column)
    addresses = filter(None, (_address(cell, columns) for columns in mapping.address))
    return Entry(
        id=mapping.id_prefix + cell(mapping.id),
        names=tuple(dict.fromkeys(names)),
        birth_dates=tuple(dict.fromkeys(births)),
        sex=document.tried(people.sex, coded(mapping.sex), line=row.line, column=mapping.sex.column if mapping.sex else 0),
        addresses=tuple(dict.fromkeys(addresses)),
        height_cm=height,
        eye_color=document.tried(
            people.eye_color, coded(mapping.eye_color), line=row.line, column=mapping.eye_color.column if mapping.eye_color else 0
        ),
        id_hashes=document.id_hashes([cell(column) for column in mapping.id_numbers]),
        photo=cell(mapping.photo) or None,
        category=mapping.category,
        fields={ours: people.clean(cell(theirs)) for ours, theirs in mapping.fields.items() if cell(theirs)},
    )


def _names(cell: Cell, columns: NameColumns, as_: NameKind) -> Iterator[Name]:
    if columns.full:
        whole = cell(columns.full)
        for text in whole.split(columns.separator) if columns.separator else [whole]:
            if name := people.split_name(text, as_, columns.order):
                yield name
    elif name := people.person(cell(columns.family), cell(columns.given), cell(columns.middle), cell(columns.suffix), as_):
        yield name


def _birth_date(text: str, formats: tuple[str, ...]) -> str:
    for pattern in formats[:-1]:
        if dates.compile_pattern(pattern).fullmatch(text):
            return dates.from_pattern(text, pattern)
    return dates.from_pattern(text, formats[-1])


def _address(cell: Cell, columns: AddressColumns) -> Address | None:
    street = ", ".join(filter(None, (people.clean(cell(column)) for column in columns.street)))
    zip_parts = [part for part in (cell(column) for column in columns.postal_code) if part.strip("0")]
    place = Address(street, people.clean(cell(columns.city)), cell(columns.region).upper(), "-".join(zip_parts), columns.country)
    return place if any((place.street, place.city, place.region, place.postal_code)) else None


def _joined(first: Entry, more: Entry) -> Entry:
    """Two rows of one person: what the second adds, its primary name as an alias when it is another."""
    known = {msgspec.structs.replace(name, kind="primary") for name in first.names}
    names = [
        msgspec.structs.replace(name, kind="alias" if name.kind == "primary" else name.kind)
        for name in more.names
        if msgspec.structs.replace(name, kind="primary") not in known
    ]
    return msgspec.structs.replace(
        first,
        names=first.names + tuple(names),
        birth_dates=tuple(dict.fromkeys(first.birth_dates + more.birth_dates)),
        addresses=tuple(dict.fromkeys(first.addresses + more.addresses)),
        id_hashes=tuple(dict.fromkeys(first.id_hashes + more.id_hashes)),
        fields={**more.fields, **first.fields},
    )

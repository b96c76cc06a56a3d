"""Delimited text with or without a header line, read row by row with its place, and refused when its columns are not the ones promised."""

from __future__ import annotations

import csv
import difflib
import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from watchlists.sources.base import Document
from watchlists.sources.opening import lines

DELIMITERS: Final = ",;\t|"
MAX_ROW_LINES: Final = 200
"""Physical lines one quoted row may span. A quote that is never closed would otherwise swallow the rest of the list as one row."""


@dataclass(slots=True)
class Row:
    """A row by column name, with the line it begins on."""

    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        """The cell, trimmed; empty when the table has no such column."""
        return self.cells.get(column, "")


@functools.lru_cache(maxsize=1024)
def fold(column: str) -> str:
    """A column's name as it is compared: `Post/Zip Code` and `post_zip_code` are one.

    >>> fold(" Post/Zip Code ")
    'post_zip_code'
    """
    return re.sub(r"[^0-9a-z]+", "_", column.strip().lower()).strip("_")


def records(
    document: Document, delimiter: str | None = None, *, rest: Iterable[str] | None = None, taken: int = 0
) -> Iterator[tuple[int, list[str]]]:
    """Every row that is not blank, as (line it begins on, cells).

    Args:
        rest: the lines to read, when some (`taken`: the header) were read before; the whole document unless given.

    Raises:
        SourceError: a quote is out of place or never closed, or a row spans over `MAX_ROW_LINES` lines.
    """
    begins, last = taken + 1, taken

    def feed() -> Iterator[str]:
        nonlocal last
        for line in rest if rest is not None else lines(document):
            last += 1
            if last - begins >= MAX_ROW_LINES:
                raise document.fault(f"a row spans over {MAX_ROW_LINES} lines: a quote before it is not closed", line=begins)
            yield line

    reader = csv.reader(feed(), delimiter=delimiter or ",", strict=True)
    while True:
        begins = last + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            words = "a quote is out of place"
            if "unexpected end" in str(error):
                words = "the file ends inside a quoted value: it was cut off, or a quote is not closed"
            elif "field larger" in str(error):
                words = "a value is longer than 131,072 characters: a quote before it is not closed"
            raise document.fault(words, line=begins) from None
        if any(map(str.strip, row)):
            yield begins, row


def table(
    document: Document,
    required: Sequence[str],
    optional: Sequence[str] = (),
    *,
    delimiter: str | None = None,
    closed: bool = False,
    banner: int = 0,
    renames: Mapping[str, str] | None = None,
) -> Iterator[Row]:
    """Rows under a header line; columns are asked for, and found, by their `fold`ed names in any order.

    Args:
        required: columns that must be there; `a|b` is satisfied by either.
        optional: columns that may be.
        delimiter: comma, semicolon, tab or bar is found by the header when not given.
        closed: other columns are refused, unless they begin with `x_`; for the formats that people type.
        banner: how many lines may stand before the header (OFSI has one).
        renames: other names of columns, folded, to the names asked for.

    Raises:
        SourceError: a column is missing, doubled or (closed) unknown, with the nearest right name; or the file was cut off.
    """
    source = lines(document)
    header: list[str] = []
    best: tuple[int, list[str], str, int] = (-1, [], ",", 1)
    consumed = 0
    wanted = [column.split("|") for column in required]
    known = {name for names in wanted for name in names} | set(optional)
    for line in source:
        consumed += 1
        if not line.strip():
            continue
        if found := re.fullmatch(r"sep=(.)", line.strip("\r\n")):
            delimiter = delimiter or found[1]
            continue
        for candidate in (delimiter,) if delimiter else DELIMITERS:
            names = [fold(cell) for cell in cells_of(line, candidate)]
            if renames:
                names = [renames.get(name, name) for name in names]
            hits = len(known.intersection(names))
            if hits > best[0]:
                best = (hits, names, candidate, consumed)
        if all(not set(best[1]).isdisjoint(names) for names in wanted) or banner == 0:
            break
        banner -= 1
    _, header, separator, header_line = best
    if not header:
        raise document.fault("there is no header line")
    _check_header(document, header, wanted, sorted(known), header_line, closed)
    width = len(header)
    # Of a state's thirty columns a dozen are asked for; the others need not be touched a million times.
    picked = [(name, at) for at, name in enumerate(header) if name in known or name.startswith("x_")]
    ended = True

    def watched() -> Iterator[str]:
        nonlocal ended
        for line in source:
            ended = line.endswith(("\n", "\r"))
            yield line

    short: tuple[int, int] | None = None
    for number, cells in records(document, separator, rest=watched(), taken=consumed):
        if short is not None:
            _refuse_width(document, *short, width)
            short = None
        document.report.rows += 1
        document.report.line = number
        if len(cells) < width:
            short = (number, len(cells))  # judged with the next row: the last row of a file that ends here was cut off
        elif len(cells) > width and any(map(str.strip, cells[width:])):
            _refuse_width(document, number, len(cells), width)
        else:
            yield Row(number, {name: cells[at].strip() for name, at in picked})
    if short is not None:
        if not ended:
            raise document.fault(f"the file ends inside a row of {width} columns: it was cut off", line=short[0])
        _refuse_width(document, *short, width)


def cells_of(line: str, delimiter: str) -> list[str]:
    """One line's cells; parted without regard to quotes where those are out of place."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return line.split(delimiter)


def nearest(name: str, among: Iterable[str]) -> str:
    """`; did you mean 'expires'?` or nothing: the nearest right name, in words to append."""
    close = difflib.get_close_matches(name, list(among), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def _check_header(
    document: Document, header: list[str], wanted: Sequence[Sequence[str]], known: Sequence[str], line: int, closed: bool
) -> None:
    for alternatives in wanted:
        if not set(header).isdisjoint(alternatives):
            continue
        column = alternatives[0]
        free = [name for name in header if name and name not in known]
        # Only a name near to a column's is shown: a file without a header has people in its first line.
        close = difflib.get_close_matches(column, free, n=1, cutoff=0.6)
        near = f"; the nearest there is {close[0]!r}" if close else f"; there are {len(header)} others: is this line the header?"
        raise document.fault(f"the column {column!r} is missing{near}", line=line, column=column)
    for column in known:
        if header.count(column) > 1:
            raise document.fault(f"the column {column!r} is there twice", line=line, column=column)
    if closed:
        for column in header:
            if column and column not in known and not column.startswith("x_"):
                near = nearest(column[:60], known)
                words = f"the column {column[:60]!r} is none of this format{near or '; name it x_… to carry it along as a remark'}"
                raise document.fault(words, line=line, column=column[:60])


def _refuse_width(document: Document, line: int, found: int, width: int) -> None:
    words = f"the row has {found} cells where the header has {width}: a comma or quote is out of place"
    document.refuse(words, line=line)

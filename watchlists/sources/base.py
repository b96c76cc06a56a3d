"""What every source shares: the Protocol it meets, what it is asked, and the account it gives of what it read.

A source yields `Entry` objects one by one and keeps account in a `Report`:

- a fault of the *file* (encoding, columns, a cut-off download, damaged XML) always raises `SourceError`;
- a *row* that cannot become an entry (no name, an id used twice) is **refused**;
- a *value* that cannot be read (a birth date of 31 February) is **dropped** and its entry kept without it: it can still be found by
  its other facts, if less surely, and a refused row cannot be found at all.

Refused rows and dropped values raise when the reading is strict, and are counted and kept with their place when it is not. None is
ever skipped unseen. Messages name file, line, column and the *shape* of a value (`99/99/99`), never the value: it may be personal.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, TypeVar

from watchlists.errors import SourceError
from watchlists.records import Entry

MAX_BYTES: Final = 1 << 30
"""The largest file read unless the caller says otherwise: 1 GiB, forty times the EU list."""

SHORTEST_ID: Final = 5
"""Characters of a document number that is worth comparing: passport number 39 is somebody else's license number, too."""

KEPT_PROBLEMS: Final = 1000
"""Problems kept with their place; past that they are only counted, so that a hostile file cannot fill the memory."""

INDIVIDUAL: Final = "individual"
ENTITY: Final = "entity"
VESSEL: Final = "vessel"
AIRCRAFT: Final = "aircraft"
KINDS: Final = frozenset({INDIVIDUAL, ENTITY, VESSEL, AIRCRAFT})
"""What a list may name. Only individuals walk in at a front desk, so only they are yielded unless more is asked for."""

T = TypeVar("T")
HashId = Callable[[str], str]
"""Makes the keyed hash of a canonical document number (see `canonical_id`); the key stays with the caller."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One row refused or one value dropped, and where."""

    error: SourceError
    refused: bool
    """True: the row gave no entry. False: the entry is there, without this value."""

    @property
    def line(self) -> int:
        return self.error.line

    @property
    def column(self) -> int | str:
        return self.error.column

    def __str__(self) -> str:
        return str(self.error)


@dataclass(slots=True)
class Report:
    """The account of one reading; complete when its iterator is exhausted.

    Pass one to `read` to read leniently: refused rows and dropped values are then counted here instead of raising, and the whole
    file is refused at its end when more than `max_refused` of its rows were (`TooManyRefusedError`).
    """

    max_refused: float = 0.01
    """The share of rows that may be refused. One row in a list of forty is 2.5 %: small lists are to be mended, not taken in part."""

    line: int = 0
    """The line of the row now being read; a count of records where the format has no lines of use."""
    fraction: float | None = None
    """How much of the file was read, 0 to 1, for progress bars; None where that is not known."""
    rows: int = 0
    entries: int = 0
    refused: int = 0
    dropped_values: int = 0
    set_aside: Counter[str] = field(default_factory=Counter)
    """Rows understood and left out on purpose, by kind: entities, vessels, aircraft, rows a mapping says to skip."""
    notes: Counter[str] = field(default_factory=Counter)
    """What a person should know but nobody need mend, counted by its wording."""
    problems: list[Problem] = field(default_factory=list)
    encoding: str | None = None
    """The encoding the text was read in, once known."""

    def note(self, words: str, count: int = 1) -> None:
        """Count something worth telling that lost nothing."""
        if words in self.notes or len(self.notes) < KEPT_PROBLEMS:
            self.notes[words] += count

    def _keep(self, problem: Problem) -> None:
        if len(self.problems) < KEPT_PROBLEMS:
            self.problems.append(problem)


class TooManyRefusedError(SourceError):
    """So many rows were refused that the file as a whole is."""


@dataclass(slots=True)
class Document:
    """A whole list to be read: what a source of this kind is asked.

    `stream` is seekable and stands at its first byte. The other fields are the options of `watchlists.sources.read`.
    """

    stream: BinaryIO
    name: str
    report: Report
    strict: bool
    kinds: frozenset[str] = frozenset({INDIVIDUAL})
    encoding: str | None = None
    hash_id: HashId | None = None
    mapping: Mapping[str, Any] | Path | str | None = None
    max_bytes: int = MAX_BYTES
    as_of: date = date.min
    """Orders that ended before this day are left out."""
    folder: Path | None = None
    """Set instead of `stream` when a folder of tables is read."""

    def fault(self, words: str, *, line: int = 0, column: int | str = 0) -> SourceError:
        """Make (not raise) the error for a fault of this file."""
        return SourceError(words, file=self.name, line=line, column=column)

    def refuse(self, words: str, *, line: int = 0, column: int | str = 0) -> None:
        """Refuse a row. Raises when strict."""
        error = self.fault(words, line=line, column=column)
        self.report.refused += 1
        self.report._keep(Problem(error, refused=True))
        if self.strict:
            raise error

    def drop(self, words: str, *, line: int = 0, column: int | str = 0) -> None:
        """Drop a value and keep its entry. Raises when strict."""
        error = self.fault(words, line=line, column=column)
        self.report.dropped_values += 1
        self.report._keep(Problem(error, refused=False))
        if self.strict:
            raise error

    def tried(self, parse: Callable[[str], T | None], text: str, *, line: int = 0, column: int | str = 0) -> T | None:
        """What `parse` makes of a value; None, and the value dropped, when it raises ValueError."""
        try:
            return parse(text)
        except ValueError as error:
            self.drop(f"the value ({shape(text)}) is dropped: {error}", line=line, column=column)
            return None

    def wants(self, kind: str) -> bool:
        """Whether entries of this kind were asked for; counts those that were not."""
        if kind in self.kinds:
            return True
        self.report.set_aside[kind] += 1
        return False

    def id_hashes(self, numbers: list[str], shortest: int = SHORTEST_ID) -> tuple[str, ...]:
        """Hash document numbers with the caller's keyed hash. Without one, and when shorter than `shortest`, they are not kept."""
        given = [number for number in dict.fromkeys(map(canonical_id, numbers)) if number]
        usable = [number for number in given if len(number) >= shortest]
        if len(usable) < len(given):
            self.report.note(f"document numbers of under {shortest} characters were left out", len(given) - len(usable))
        if not usable:
            return ()
        if self.hash_id is None:
            self.report.note("document numbers were left out: no hash_id was given to keep them by", len(usable))
            return ()
        return tuple(map(self.hash_id, usable))


Asked = TypeVar("Asked", contravariant=True)


class Source(Protocol[Asked]):
    """Somewhere entries come from.

    What it is asked is its type parameter. The formats of this package are `Source[Document]`: they are asked a whole list, which
    may be kept and indexed. A registry that forbids caching is a `Source[Subject]`: it is asked once for each person, and what it
    yields is scored by `watchlists.reference` and then forgotten.
    """

    @property
    def name(self) -> str:
        """The short name it is chosen by: `ofac-csv`."""

    @property
    def title(self) -> str:
        """What a person calls it."""

    def entries(self, asked: Asked, /) -> Iterator[Entry]:
        """Yield its entries.

        Raises:
            SourceError: the answer as a whole cannot be used.
        """


@dataclass(frozen=True, slots=True)
class Format:
    """A file format by its reading function: the usual `Source[Document]`."""

    name: str
    title: str
    reader: Callable[[Document], Iterator[Entry]]

    def entries(self, asked: Document, /) -> Iterator[Entry]:
        return self.reader(asked)


def keyed_hash(key: bytes) -> HashId:
    """HMAC-SHA-256 of a canonical document number under a key of 16 bytes or more, in hexadecimal.

    A subject's document is hashed the same way: `Subject(id_hashes=(keyed_hash(key)(canonical_id(number)),))`. Without a key the few
    million numbers a state has are guessed in a second, so there is no unkeyed form.

    Raises:
        ValueError: the key is shorter.
    """
    if len(key) < 16:
        raise ValueError("the key has fewer than 16 bytes")

    def hash_id(number: str) -> str:
        return hmac.digest(key, b"watchlists document number\0" + number.encode("utf-8", "surrogatepass"), "sha256").hex()

    return hash_id


def canonical_id(number: str) -> str:
    """A document number as it is hashed: upper case, letters and digits only.

    >>> canonical_id("d 123-456")
    'D123456'
    """
    return "".join(c for c in number.upper() if c.isalnum())


def shape(value: str, limit: int = 24) -> str:
    """The shape of a value, safe to show: digits become 9 and letters A.

    >>> shape("Mar 3, 70")
    'AAA 9, 99'
    """
    cut = value if len(value) <= limit else value[:limit]
    masked = "".join("9" if c.isdigit() else "A" if c.isalpha() else c if c.isprintable() else "?" for c in cut)
    return masked + ("…" if len(value) > limit else "")

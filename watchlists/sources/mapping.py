"""What a table's columns mean, in TOML: the declarations behind `mapped-csv`.

A mapping is checked strictly before a row is read: an unknown key is refused with the nearest right one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

import msgspec

from watchlists.errors import SourceError
from watchlists.records import NameKind
from watchlists.sources import dates, people
from watchlists.sources.tables import fold, nearest

MAX_MAPPING: Final = 256 << 10
SHIPPED: Final = Path(__file__).parent / "mappings"


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the file is written."""

    delimiter: str | None = None
    encoding: str | None = None
    columns: list[str] = []
    """Names of the columns, of a file without a header line."""
    banner: int = 0
    null: tuple[str, ...] = ("", "NULL", "N/A")
    rows: Literal["one", "several"] = "one"
    """`several`: a person has a row an address or alias; rows of one id that follow each other are put together."""


class NameColumns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a name stands: in parts, or whole (`full`)."""

    family: str = ""
    given: str = ""
    middle: str = ""
    suffix: str = ""
    full: str = ""
    order: people.Order = "given-first"
    separator: str = ""
    """Parts several names in the one `full` cell."""
    kind: NameKind = "alias"
    """Of an alias; the first name is always primary."""


class BirthDate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    column: str
    formats: tuple[str, ...] = ("YYYY-MM-DD",)
    separator: str = ""


class Coded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column whose codes the mapping may translate before they are read."""

    column: str
    values: dict[str, str] = {}


class Height(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    column: str
    unit: people.HeightUnit = "auto"


class AddressColumns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    street: list[str] = []
    city: str = ""
    region: str = ""
    postal_code: list[str] = []
    """ZIP and its four more digits may stand apart; they are joined by a hyphen."""
    country: str = "United States"
    """The country itself, not a column."""


class Skip(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows to leave out on purpose (deceased, removed); they are counted under `because`."""

    column: str
    values: list[str]
    because: str = "skipped"


class TableMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole mapping file."""

    title: str
    id: str
    name: NameColumns
    id_prefix: str = ""
    file: File = File()
    alias: list[NameColumns] = []
    birth_date: list[BirthDate] = []
    sex: Coded | None = None
    height: Height | None = None
    eye_color: Coded | None = None
    address: list[AddressColumns] = []
    id_numbers: list[str] = []
    photo: str = ""
    category: str = "sex_offender"
    """The category itself, not a column."""
    fields: dict[str, str] = {}
    """Our field's name → their column, carried along to be shown."""
    skip: list[Skip] = []

    def columns(self) -> tuple[str, ...]:
        """Every column the mapping names, folded, in the order of the mapping."""
        named = [self.id, *name_columns(self.name), *(c for alias in self.alias for c in name_columns(alias))]
        named += [date.column for date in self.birth_date]
        named += [coded.column for coded in (self.sex, self.height, self.eye_color) if coded]
        for address in self.address:
            named += [*address.street, address.city, address.region, *address.postal_code]
        named += [*self.id_numbers, self.photo, *self.fields.values(), *(skip.column for skip in self.skip)]
        return tuple(dict.fromkeys(fold(column) for column in named if column))


def parse(stream: BinaryIO, name: str) -> dict[str, Any]:
    """Decode a mapping's TOML.

    Raises:
        SourceError: too large, not UTF-8, or not TOML.
    """
    text = stream.read(MAX_MAPPING + 1)
    if len(text) > MAX_MAPPING:
        raise SourceError(f"the mapping is larger than {MAX_MAPPING:,} bytes", file=name)
    try:
        return tomllib.loads(text.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise SourceError("the mapping is not UTF-8", file=name) from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found = re.search(r"line (\d+), column (\d+)", str(error))
        line, column = map(int, found.groups()) if found else (0, 0)
        raise SourceError(f"the mapping is not TOML: {error}", file=name, line=line, column=column) from None


def shipped(name: str) -> Path:
    """The file of a mapping that comes with the library.

    Raises:
        SourceError: there is none of that name, with the nearest there is.
    """
    names = sorted(path.stem for path in SHIPPED.glob("*.toml"))
    if name not in names:
        raise SourceError(f"there is no mapping of that name{nearest(name, names) or '; there are ' + ', '.join(names)}")
    return SHIPPED / f"{name}.toml"


def load(mapping: Mapping[str, Any] | Path | str) -> TableMapping:
    """Read and check a mapping: a TOML file's `Path`, the name (a `str`) of one in `mappings/`, or what it decodes to.

    A string is never taken for a path: it may come from a form.

    Raises:
        SourceError: unreadable, not TOML, an unknown key, a missing one, or a date pattern without a four-digit year.
    """
    name = "mapping"
    if not isinstance(mapping, Mapping):
        if isinstance(mapping, str):
            mapping = shipped(mapping)
        name = str(mapping)
        try:
            with mapping.open("rb") as stream:
                mapping = parse(stream, name)
        except OSError as error:
            raise SourceError(f"the mapping cannot be read: {error.strerror}", file=name) from error
    try:
        made = msgspec.convert(dict(mapping), TableMapping)
        for birth_date in made.birth_date:
            for pattern in birth_date.formats:
                dates.compile_pattern(pattern)
    except msgspec.ValidationError as error:
        raise SourceError(_explain(str(error)), file=name) from None
    except ValueError as error:
        raise SourceError(str(error), file=name) from None
    if not name_columns(made.name):
        raise SourceError("the mapping's [name] names no column", file=name)
    if made.file.delimiter is not None and (len(made.file.delimiter) != 1 or made.file.delimiter in '"\r\n\0'):
        raise SourceError("the mapping's file.delimiter is one character, and no quote or line end", file=name)
    return made


def name_columns(columns: NameColumns) -> list[str]:
    """The columns a name stands in."""
    return [column for column in (columns.family, columns.given, columns.middle, columns.suffix, columns.full) if column]


def _explain(message: str) -> str:
    """msgspec's message about a mapping, with the nearest right key where it names a wrong one."""
    words, _, path = message.partition(" - at `$")
    at = f" in [{path.rstrip('`').lstrip('.')}]" if path else ""
    if found := re.search(r"unknown field `(.+?)`", words):
        structs = (TableMapping, File, NameColumns, BirthDate, Coded, Height, AddressColumns, Skip)
        keys = {key for struct in structs for key in struct.__struct_fields__}
        return f"the mapping has an unknown key {found[1]!r}{at}{nearest(found[1], keys)}"
    return f"the mapping is wrong{at}: {words}"

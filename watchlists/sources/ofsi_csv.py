"""The UK's consolidated list of financial sanctions targets (OFSI `ConList.csv`), and the UK Sanctions List that took its place.

A line of banner (`Last Updated,…`, `Report Date: …`), then a header. One row a name variation *and* address, joined by Group ID (in the
new list by Unique ID); the rows of a group need not stand together, so groups are gathered (20,000 rows, some 15 MB) and yielded in the
order they begin. Columns came and went over the years and are found by their names. An entry of the new list that still tells its OFSI
Group ID keeps its id, so that clearances outlive the change of lists.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from watchlists.records import Address, Entry, Name, NameKind, Sex
from watchlists.sources import dates, people
from watchlists.sources.base import ENTITY, INDIVIDUAL, VESSEL, Document, Format
from watchlists.sources.tables import Row, table

REQUIRED: Final = ("name_6", "name_1", "group_type", "group_id|unique_id")
OPTIONAL: Final = (
    "name_2", "name_3", "name_4", "name_5", "title", "name_non_latin_script", "non_latin_script_type", "non_latin_script_language", "dob",
    "town_of_birth", "country_of_birth", "nationality", "passport_number", "passport_details", "national_identification_number",
    "national_identification_details", "ni_number", "position", "gender", "address_1", "address_2", "address_3", "address_4", "address_5",
    "address_6", "post_zip_code", "country", "other_information", "alias_type", "alias_quality", "regime", "listed_on",
    "uk_sanctions_list_date_designated", "last_updated",
)  # fmt: skip
_TYPES: Final = {"individual": INDIVIDUAL, "entity": ENTITY, "ship": VESSEL, "vessel": VESSEL}
RENAMES: Final = {
    "ofsi_group_id": "group_id", "designation_type": "group_type", "name_type": "alias_type", "alias_strength": "alias_quality",
    "d_o_b": "dob", "nationality_ies": "nationality", "address_postal_code": "post_zip_code", "address_country": "country",
    "national_identifier_number": "national_identification_number", "regime_name": "regime", "date_designated": "listed_on",
    **{f"address_line_{number}": f"address_{number}" for number in range(1, 7)},
}  # fmt: skip
"""Columns of the UK Sanctions List by OFSI's names."""
_STANDING: Final = ("primary", "alias", "weak")
_NUMBERED: Final = re.compile(r"\s*\(\d+\)\s*|\s*\|\s*")
_FACTS: Final = ("title", "position", "nationality", "town_of_birth", "country_of_birth", "regime", "listed_on", "other_information")


@dataclass(slots=True)
class _Group:
    """The rows of one Group ID, put together. Dictionaries stand for ordered sets."""

    kind: str
    line: int
    names: dict[tuple[str, str, str, str], Name] = field(default_factory=dict)
    births: dict[str, None] = field(default_factory=dict)
    addresses: dict[Address, None] = field(default_factory=dict)
    numbers: dict[str, None] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    sex: Sex | None = None


def read(document: Document) -> Iterator[Entry]:
    """Yield an entry a group of rows."""
    groups: dict[str, _Group] = {}
    for row in table(document, REQUIRED, OPTIONAL, banner=1, renames=RENAMES):
        number, unique = row["group_id"], row["unique_id"]
        kind = _TYPES.get(row["group_type"].lower())
        if kind is None:
            document.refuse("the type is none of Individual, Entity and Ship", line=row.line, column="group_type")
        elif not (number or unique):
            document.refuse("the row has no group id", line=row.line, column="group_id")
        else:
            _add(document, groups.setdefault(f"ofsi-{number}" if number else f"uksl-{unique}", _Group(kind, row.line)), row)
    for id_, group in groups.items():
        document.report.line = group.line
        if not document.wants(group.kind):
            continue
        # The primary name need not be on a group's first row; an entry's first name is its primary one.
        names = sorted(group.names.values(), key=lambda name: name.kind != "primary")
        if not names:
            document.refuse("none of the group's rows has a name", line=group.line, column="name_6")
            continue
        names[0] = msgspec.structs.replace(names[0], kind="primary")
        yield Entry(
            id=id_,
            names=tuple(names),
            birth_dates=tuple(group.births),
            sex=group.sex,
            addresses=tuple(group.addresses),
            id_hashes=document.id_hashes(list(group.numbers)),
            category="sanctions",
            fields={"type": group.kind, **{key: value for key, value in group.facts.items() if value}},
        )


FORMAT: Final = Format("ofsi-csv", "UK OFSI consolidated list, or UK Sanctions List (CSV)", read)


def _add(document: Document, group: _Group, row: Row) -> None:
    for name in _names(row, group):
        # The primary name comes again on the row of every address, and sometimes as an AKA: its best standing holds.
        parts = (name.family, name.given, name.middle, name.suffix)
        if parts not in group.names or _STANDING.index(name.kind) < _STANDING.index(group.names[parts].kind):
            group.names[parts] = name
    for text in _values(row["dob"]):
        if born := document.tried(dates.from_day_first, text, line=row.line, column="dob"):
            group.births[born] = None
    if row["gender"]:
        group.sex = document.tried(people.sex, row["gender"], line=row.line, column="gender") or group.sex
    lines = [row[f"address_{number}"] for number in range(1, 7) if row[f"address_{number}"]]
    place = Address(
        street=people.clean(", ".join(lines[:-1] or lines)),
        city=people.clean(lines[-1]) if len(lines) > 1 else "",
        postal_code=people.clean(row["post_zip_code"]),
        country=people.clean(row["country"]),
    )
    if place != Address():
        group.addresses[place] = None
    for column in ("passport_number", "national_identification_number", "ni_number"):
        group.numbers |= dict.fromkeys(_values(row[column]))
    for column in _FACTS:
        if row[column]:
            group.facts.setdefault(column, people.clean(row[column]))


def _names(row: Row, group: _Group) -> Iterator[Name]:
    what, quality = row["alias_type"].lower(), row["alias_quality"].lower()
    as_: NameKind = "weak" if quality.startswith("low") else "alias"
    if what in ("primary name", "") and not any(known.kind == "primary" for known in group.names.values()):
        as_ = "primary"
    # Some copies write 0 for a part that is not there.
    forenames = [part for number in range(1, 6) if (part := row[f"name_{number}"]) not in ("", "0")]
    if group.kind == INDIVIDUAL:
        found = people.person(row["name_6"], forenames[0] if forenames else "", " ".join(forenames[1:]), "", as_)
    else:
        whole = people.clean(" ".join([*forenames, row["name_6"]]))
        found = Name(family=whole, kind=as_) if whole else None
    if found is not None:
        yield found
    if script := people.clean(row["name_non_latin_script"]):
        other = people.split_name(script, "weak" if as_ == "weak" else "alias") if group.kind == INDIVIDUAL else Name(script, kind="alias")
        if other is not None:
            yield other


def _values(cell: str) -> list[str]:
    """The values of a cell that numbers them: `(1) 55501 (2) 55502`."""
    return [part.strip(" .;") for part in _NUMBERED.split(people.clean(cell)) if part.strip(" .;")]

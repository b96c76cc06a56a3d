"""What a district's own two lists share: the columns that describe a person and an order's dates.

They are typed by people in a spreadsheet. Columns come in any order; a column that is none of the format is refused with the nearest
right name (a misspelt `expires_on` must not make an order eternal), unless it begins with `x_`, which carries it along as a remark.
Dates are ISO (`1970-03-02`) or what Excel makes of it in the United States (`3/2/1970`); of a birth date a part will do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Final

from watchlists.records import Address, Entry, Name
from watchlists.sources import dates, people
from watchlists.sources.base import Document
from watchlists.sources.tables import Row

PERSON: Final = (
    "family_name", "given_name", "middle_name", "suffix", "aliases", "birth_date", "sex", "height", "eye_color",
    "street", "city", "state", "zip", "id_number", "photo",
)  # fmt: skip
"""Columns of a person. `family_name` and `given_name` must be there, though either cell may be empty; the others may be left out."""

REASONS: Final = frozenset(
    {"trespass", "threat", "violence", "weapon", "harassment", "theft", "drugs", "sex_offense", "disruption", "court_order", "other"}
)
RESTRICTIONS: Final = frozenset({"no_contact", "no_pickup", "supervised_only", "no_entry", "no_records", "other"})
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_MAX_CELL: Final = 4000


def names(document: Document, row: Row) -> tuple[Name, ...]:
    """The name and aliases of a row; empty (and the row refused) without a name."""
    first = people.person(row["family_name"], row["given_name"], row["middle_name"], row["suffix"])
    if first is None:
        document.refuse("the row has no name", line=row.line, column="family_name")
        return ()
    found = [first]
    for part in filter(None, (text.strip() for text in row["aliases"].split(";"))):
        alias = people.split_name(part, "alias")
        if alias is None:
            document.drop("an alias has no letters", line=row.line, column="aliases")
        else:
            found.append(alias)
    return tuple(found)


def birth_dates(document: Document, row: Row) -> tuple[str, ...]:
    """The birth date as EDTF; several, where they are in doubt, are parted by semicolons."""
    parts = filter(None, (text.strip() for text in row["birth_date"].split(";")))
    found = (document.tried(dates.from_us, part, line=row.line, column="birth_date") for part in parts)
    return tuple(dict.fromkeys(filter(None, found)))


def entry(document: Document, row: Row, category: str, facts: Mapping[str, str]) -> Entry | None:
    """The entry of a row, or None when it was refused."""
    if row["entry_id"].startswith("EXAMPLE-"):
        document.report.set_aside["example"] += 1  # the sample row of our template, left in
        return None
    if not row["entry_id"]:
        document.refuse("the row has no entry_id", line=row.line, column="entry_id")
        return None
    if too_long := next((column for column, cell in row.cells.items() if len(cell) > _MAX_CELL), None):
        document.refuse(f"a cell is longer than {_MAX_CELL:,} characters", line=row.line, column=too_long)
        return None
    all_names = names(document, row)
    if not all_names:
        return None
    place = Address(row["street"], row["city"], row["state"].upper(), row["zip"], "United States")
    extra = {column: people.clean(cell) for column, cell in row.cells.items() if column.startswith("x_")}
    return Entry(
        id=row["entry_id"],
        names=all_names,
        birth_dates=birth_dates(document, row),
        sex=document.tried(people.sex, row["sex"], line=row.line, column="sex"),
        addresses=(place,) if any((row["street"], row["city"], row["state"], row["zip"])) else (),
        height_cm=document.tried(people.height_cm, row["height"], line=row.line, column="height"),
        eye_color=document.tried(people.eye_color, row["eye_color"], line=row.line, column="eye_color"),
        id_hashes=document.id_hashes([part for part in row["id_number"].split(";") if part.strip()]),
        photo=row["photo"] or None,
        category=category,
        fields={key: value for key, value in {**facts, **extra}.items() if value},
    )


def term(document: Document, row: Row) -> dict[str, str]:
    """`issued_on` and `expires_on` as ISO days. An end that cannot be read is dropped: the order then stands until someone ends it."""
    found: dict[str, str] = {}
    for column in ("issued_on", "expires_on"):
        if row[column] and (value := document.tried(day, row[column], line=row.line, column=column)):
            found[column] = value
    if found.get("expires_on", "9999") < found.get("issued_on", ""):
        document.drop("the order ends before it begins: its end is dropped", line=row.line, column="expires_on")
        del found["expires_on"]
    return found


def code(document: Document, row: Row, column: str, allowed: frozenset[str]) -> str:
    """One of a short list of codes; anything else becomes `other`, with a problem."""
    word = row[column].strip().lower().replace(" ", "_").replace("-", "_") or "other"
    if word in allowed:
        return word
    document.drop(f"the code is none of {', '.join(sorted(allowed))}; taken as other", line=row.line, column=column)
    return "other"


def day(text: str) -> str:
    """A full day, past or future, as ISO.

    Raises:
        ValueError: it is no day of the calendar, or only a part of one.
    """
    value = dates.from_us_any(text)
    if len(value) != 10:
        raise ValueError("it is not a full day as YYYY-MM-DD")
    return value


def in_force(listed: Entry, on: date) -> bool:
    """Whether an entry's order is in force on a day: its `issued_on` has come and its `expires_on`, the last day it holds, has not passed.

    Entries without such dates always are. `read` leaves out what has ended on the day it reads; what ends or begins later is for
    whoever screens to ask here.
    """
    begins = listed.fields.get("issued_on", "")
    return not has_ended(listed, on) and not (_DAY.fullmatch(begins) and begins > on.isoformat())


def has_ended(listed: Entry, on: date) -> bool:
    """Whether the last day of an entry's order, `expires_on`, has passed."""
    ends = listed.fields.get("expires_on", "")
    return bool(_DAY.fullmatch(ends)) and ends < on.isoformat()

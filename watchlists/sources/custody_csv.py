"""Custody and protective orders, from the spreadsheet in `templates/custody.csv`: who may not collect or meet which student.

The entry is the *restricted adult*. Students are named by the number of the student information system only, never by name, and only
its keyed hash is kept (`hash_id`): the desk hashes the number of the student asked for and compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from watchlists.records import Entry
from watchlists.sources import district, people
from watchlists.sources.base import Document, Format
from watchlists.sources.tables import table

REQUIRED: Final = ("entry_id", "family_name", "given_name", "restriction", "order_number")
OPTIONAL: Final = (
    *(column for column in district.PERSON if column not in REQUIRED),
    "court", "issued_on", "expires_on", "student_numbers", "relationship", "schools", "instructions",
)  # fmt: skip


def read(document: Document) -> Iterator[Entry]:
    """Yield an entry a row, its category the restriction's code. A row without an order's number is refused: nobody could enforce it."""
    for row in table(document, REQUIRED, OPTIONAL, closed=True):
        if not row["order_number"]:
            document.refuse("the row has no order_number", line=row.line, column="order_number")
            continue
        students = [number for number in row["student_numbers"].split(";") if number.strip()]
        facts = {
            "order_number": people.clean(row["order_number"]),
            "court": people.clean(row["court"]),
            "relationship": people.clean(row["relationship"]),
            "student_hashes": ";".join(document.id_hashes(students, shortest=1)),
            "schools": ";".join(filter(None, (people.clean(site) for site in row["schools"].split(";")))),
            "instructions": people.clean(row["instructions"]),
            **district.term(document, row),
        }
        category = district.code(document, row, "restriction", district.RESTRICTIONS)
        if found := district.entry(document, row, category, facts):
            yield found


FORMAT: Final = Format("custody-csv", "Custody and protective orders (CSV)", read)

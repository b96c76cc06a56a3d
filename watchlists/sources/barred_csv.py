"""A district's barred persons (trespass notices and the like), from the spreadsheet in `templates/barred.csv`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from watchlists.records import Entry
from watchlists.sources import district, people
from watchlists.sources.base import Document, Format
from watchlists.sources.tables import table

REQUIRED: Final = ("entry_id", "family_name", "given_name")
OPTIONAL: Final = (
    *(column for column in district.PERSON if column not in REQUIRED),
    "reason", "order_number", "issued_by", "issued_on", "expires_on", "schools", "instructions",
)  # fmt: skip


def read(document: Document) -> Iterator[Entry]:
    """Yield an entry a row, its category the reason's code.

    `schools` are the site codes the notice holds for, parted by semicolons; empty means every school of the district.
    `instructions` are for the desk, not for the visitor.
    """
    for row in table(document, REQUIRED, OPTIONAL, closed=True):
        facts = {
            "order_number": people.clean(row["order_number"]),
            "issued_by": people.clean(row["issued_by"]),
            "schools": ";".join(filter(None, (people.clean(site) for site in row["schools"].split(";")))),
            "instructions": people.clean(row["instructions"]),
            **district.term(document, row),
        }
        if found := district.entry(document, row, district.code(document, row, "reason", district.REASONS), facts):
            yield found


FORMAT: Final = Format("barred-csv", "District barred list (CSV)", read)

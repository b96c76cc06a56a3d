"""OpenSanctions' `targets.simple.csv`, which any of its datasets can be had in. (Its data is licensed apart: CC BY-NC, or by contract.)

Cells of several values are CSV in themselves, parted by semicolons.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from watchlists.records import Address, Entry, Name, NameKind
from watchlists.sources import dates, people
from watchlists.sources.base import AIRCRAFT, ENTITY, INDIVIDUAL, VESSEL, Document, Format
from watchlists.sources.tables import cells_of, table

REQUIRED: Final = ("id", "schema", "name")
OPTIONAL: Final = (
    "aliases", "birth_date", "countries", "addresses", "identifiers", "sanctions", "phones", "emails", "program_ids", "dataset",
    "first_seen", "last_seen", "last_change",
)  # fmt: skip
_SCHEMATA: Final = {"Person": INDIVIDUAL, "LegalEntity": INDIVIDUAL, "Vessel": VESSEL, "Airplane": AIRCRAFT}
"""A LegalEntity may be a person or a company, its publisher does not say which: it screens."""


def read(document: Document) -> Iterator[Entry]:
    """Yield an entry a row; schemata other than persons, vessels and aircraft count as entities."""
    for row in table(document, REQUIRED, OPTIONAL):
        if not row["id"]:
            document.refuse("the row has no id", line=row.line, column="id")
            continue
        kind = _SCHEMATA.get(row["schema"], ENTITY)
        if not document.wants(kind):
            continue
        names = [name for name in (_name(row["name"], kind, "primary"),) if name]
        if not names:
            document.refuse("the row has no name", line=row.line, column="name")
            continue
        names += filter(None, (_name(text, kind, "alias") for text in _values(row["aliases"])))
        births = (document.tried(dates.from_iso, text, line=row.line, column="birth_date") for text in _values(row["birth_date"]))
        facts = {
            "type": kind,
            "countries": row["countries"],
            "programs": row["program_ids"],
            "sanctions": row["sanctions"],
            "dataset": row["dataset"],
            "last_change": row["last_change"],
        }
        yield Entry(
            id=row["id"],
            names=tuple(dict.fromkeys(names)),
            birth_dates=tuple(dict.fromkeys(filter(None, births))),
            addresses=tuple(Address(street=people.clean(text)) for text in _values(row["addresses"])),
            id_hashes=document.id_hashes(_values(row["identifiers"])),
            category="sanctions" if row["sanctions"] else "",
            fields={key: people.clean(value) for key, value in facts.items() if value},
        )


FORMAT: Final = Format("opensanctions-csv", "OpenSanctions targets (CSV)", read)


def _name(text: str, kind: str, as_: NameKind) -> Name | None:
    if kind == INDIVIDUAL:
        return people.split_name(text, as_)
    text = people.clean(text)
    return Name(family=text, kind=as_) if text else None


def _values(cell: str) -> list[str]:
    if ";" not in cell and '"' not in cell:
        return [cell] if cell else []
    return [value.strip() for value in cells_of(cell, ";") if value.strip()]

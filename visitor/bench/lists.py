"""The demo's lists, all fictitious: an offender registry of 5,000 entries with aliases, a barred list, a custody order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from watchlists import Address, Entry, Name
from watchlists.testing import entries

if TYPE_CHECKING:
    from visitor.app import Node

REGISTRY_SIZE = 5_000
# One entry of the registry is described by hand, so that the bench's drawer can hold a license that resembles it.
KNOWN = Entry(
    id="F-900001", names=(Name("REYES", "DANIEL", "ORTEGA"), Name("ORTEGA", "DANNY", kind="alias")), birth_dates=("1986-03-14",), sex="M",
    addresses=(Address("2210 Walnut St", "Springvale", "TX", "75014", "US"),), eye_color="GRN", category="fictitious",
)
SURE = Entry(
    id="F-900002", names=(Name("HARGROVE", "WENDELL", "TATE"),), birth_dates=("1971-11-02",), sex="M",
    addresses=(Address("88 Mill St", "Lakeport", "OK", "73044", "US"),), height_cm=188, eye_color="BLU", category="fictitious",
)
BARRED = Entry(id="B-1", names=(Name("STRICKLAND", "COLLEEN", "ANN"),), birth_dates=("1979-07-21",), sex="F", category="barred")
CUSTODY = Entry(id="C-1", names=(Name("FONTAINE", "VICTOR", "LEE"),), birth_dates=("1983-01-09",), sex="M", category="custody")


def registry() -> Iterator[Entry]:
    yield KNOWN
    yield SURE
    yield from entries(REGISTRY_SIZE - 2, seed=20)


def write_registry(file: Path) -> Path:
    """The registry as a file of entries, one JSON object a line, as the import takes it."""
    encoder = msgspec.json.Encoder()
    with file.open("wb") as out:
        for entry in registry():
            out.write(encoder.encode(entry) + b"\n")
    return file


async def shared_rows(node: Node) -> None:
    """The barred person and the custody order, once: rows of the first school, known to both."""
    school = node.sites.schools()[0].id
    until = date(date.today().year + 1, 12, 31)  # noqa: DTZ011  a day either way does not matter
    async with node.db.transaction() as tx:
        if not await node.registries.shared_rows("barred_entries"):
            await node.registries.bar(tx, school, BARRED, "Threatened staff at a game.", "system", valid_until=until)
        if not await node.registries.shared_rows("custody_orders"):
            note = "No contact with the child; call the other parent."
            await node.registries.add_order(tx, school, CUSTODY, note, "system", valid_until=until)

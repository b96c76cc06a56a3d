"""A school with nothing but a desk, and ways to give its node lists and visits: for tests of lists, screening and policies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec

from tests.clock import NOON
from visitor.app import create_app
from visitor.ids import new_id
from visitor.people.models import Person, PersonFacts
from visitor.sites.models import Site, Station
from watchlists import Entry, Name

MARLOW = Entry("F-1", (Name("MARLOWE", "TOBIAS", "QUENTIN"),), ("1969-05-17",), "M", category="fictitious")
VESPER = Entry("F-2", (Name("VESPERINO", "LUCINDA"), Name("CALLOWAY", "LUCY", kind="alias")), ("1984-10-02",), "F", category="fictitious")
OSKARI = Entry("F-3", (Name("OSKARINEN", "PAAVO"),), ("1991-12-24",), "M", category="fictitious")
ENTRIES = (MARLOW, VESPER, OSKARI)
STRANGER = PersonFacts("Abernathy", "Ruth", birth_date=date(1977, 3, 9), sex="F", document_issuer="TX", document_number="A-100")


def known_as(entry: Entry, number: str = "Z9") -> PersonFacts:
    """A visitor whose license says what an entry says."""
    name = entry.names[0]
    return PersonFacts(
        name.family, name.given, name.middle, birth_date=date.fromisoformat(entry.birth_dates[0]), sex=entry.sex,
        document_issuer="TX", document_number=number,
    )


def write(file: Path, entries: Iterable[Entry]) -> Path:
    file.write_bytes(b"".join(msgspec.json.encode(e) + b"\n" for e in entries))
    return file


class Listings:
    def __init__(self, node: Any, folder: Path) -> None:
        self.node, self.folder = node, folder
        self.site, self.other = (Site(new_id(), "school", name, "", NOON, {}) for name in ("Oak", "Elm"))
        self.station = Station(new_id(), self.site.id, "desk", "Desk", None, None)
        self._app: Any = None
        self._clients: list[httpx.AsyncClient] = []

    async def build(self) -> Listings:
        async with self.node.db.transaction() as tx:
            for row in (self.site, self.other, self.station):
                await self.node.sites.add(tx, row)
        return self

    async def client(self, role: str, site_id: UUID | None = None) -> httpx.AsyncClient:
        """An HTTP client with a token of a role, at one school or at all."""
        async with self.node.db.transaction() as tx:
            token = await self.node.accounts.machine_token(tx, role, role, site_id)
        self._app = self._app or create_app(self.node)
        transport = httpx.ASGITransport(app=self._app)
        made = httpx.AsyncClient(transport=transport, base_url="http://visitor.test", headers={"authorization": f"Bearer {token}"})
        self._clients.append(made)
        return made

    async def load(self, entries: Iterable[Entry] = ENTRIES, name: str = "offenders", **options: Any) -> Any:
        """Import entries as a list's next revision."""
        file = write(self.folder / f"{new_id()}.jsonl", entries)
        return await self.node.registries.import_list("system", name, "entries-jsonl", file, **options)

    async def visit(self, facts: PersonFacts = STRANGER) -> tuple[UUID, Person]:
        """A held visit, as a check-in would leave it, and its person."""
        visit_id, now = new_id(), datetime.now(UTC)
        policy = await self.node.policies.current()
        async with self.node.db.transaction() as tx:
            person = await self.node.people.find_or_make(tx, self.site.id, facts, None)
            await tx.conn.execute("update visits set status = 'cancelled' where person_id = $1", person.id)
            await tx.conn.execute(
                "insert into visits (site_id, id, person_id, station_id, purpose, policy_id, status, document, escort_required,"
                " checked_in_at, valid_until) values ($1, $2, $3, $4, 'meeting', $5, 'held', '{}', false, $6, $7)",
                self.site.id, visit_id, person.id, self.station.id, policy.id, now, now + timedelta(hours=1),
            )
        return visit_id, person

    async def screen(self, facts: PersonFacts) -> Any:
        """The verdict on a person."""
        from visitor.screening.models import subject_of

        hashed = self.node.people.hashed(facts)
        return await self.node.screening.screen(subject_of(hashed), self.node.people.identity(facts))

    async def screened(self, facts: PersonFacts) -> Any:
        """The row of a screening kept with a new visit."""
        visit_id, _ = await self.visit(facts)
        verdict = await self.screen(facts)
        async with self.node.db.transaction() as tx:
            return await self.node.screening.record(tx, self.site.id, visit_id, verdict)

    async def count(self, table: str) -> int:
        async with self.node.db.connection() as conn:
            found: int = await conn.fetchval(f"select count(*) from {table}")
            return found

    def files(self) -> list[Path]:
        """Every file that imports left in the data folder."""
        return [f for f in (self.node.settings.data / "index").rglob("*") if f.is_file() and f.name != "lock"]

    async def close(self) -> None:
        for made in self._clients:
            await made.aclose()


@asynccontextmanager
async def second_process(lists: Listings, folder: Path, **screening: Any) -> AsyncIterator[Any]:
    """Another node on the same PostgreSQL with a data folder of its own, as another `visitor run` would be."""
    from visitor.app import running_node

    kept = lists.node.settings
    settings = msgspec.structs.replace(kept, data=folder, screening=msgspec.structs.replace(kept.screening, **screening))
    async with running_node(settings, settings.database_url, lists.node.keys, hardware=False) as node:
        yield node

"""A school's front office for tests: printers that are not there but speak like real ones, staff, visits with badges."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import zxingcpp

from printers import Policy
from printers.testing import PrintedBadge, VirtualPrinter, sample_photo
from tests.clock import NOON
from tests.waiting import until
from visitor.accounts.models import Staff
from visitor.app import Node
from visitor.badges import store
from visitor.badges.models import BadgeContent, BadgeRow
from visitor.badges.worker import PrintWorker
from visitor.doors.access import Access
from visitor.doors.models import EmergencyCredential, StandingCredential, VisitCredential
from visitor.events import EventBus
from visitor.hardware import transport_for
from visitor.ids import new_id
from visitor.security import Grant, Principal
from visitor.sites.models import PrinterRow, Site, Station, Zone

# As the service's own, only quicker: a test should not wait for what a person would.
QUICK = Policy(poll=0.1, ask_idle=1.0, back_off=0.05, back_off_most=0.2)


class Visit(msgspec.Struct, frozen=True):
    id: UUID
    site_id: UUID
    badge: BadgeRow | None
    token: str


class Opens(msgspec.Struct, frozen=True):
    """What opens doors: visits' credentials by badge, officers' for an incident, cards by the hash of their number."""

    badges: dict[UUID, VisitCredential]
    emergency: list[EmergencyCredential]
    cards: dict[bytes, StandingCredential]


class FrontOffice:
    """One school with two printers (`desk` and `library`) and another school without any."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.desk = VirtualPrinter()
        self.library = VirtualPrinter()
        self.site = Site(new_id(), "school", "Lincoln Elementary School", "", NOON, {})
        self.other = Site(new_id(), "school", "Washington Middle School", "", NOON, {})
        self.office = Zone(new_id(), self.site.id, "Main office", {})
        self.gym = Zone(new_id(), self.site.id, "Gym", {})
        self.brandt = Staff(new_id(), self.site.id, None, "Ms. Brandt", "Teacher", "Room 4", True, True)
        self.okafor = Staff(new_id(), self.site.id, None, "Mr. Okafor", "Librarian", "Library", True, True)
        self.cook = Staff(new_id(), self.site.id, None, "Mr. Lopez", "Cook", "Kitchen", True, False)
        self.stranger = Staff(new_id(), self.other.id, None, "Ms. Weber", "Teacher", "", True, True)
        self.name = "María García-Núñez"

    async def build(self) -> None:
        await self.desk.start()
        await self.library.start()
        self.printers = [
            PrinterRow(new_id(), self.site.id, name, f"tcp://127.0.0.1:{printer.port}", "epson-tm", "80mm")
            for name, printer in (("Front desk", self.desk), ("Library", self.library))
        ]
        self.kiosk = Station(new_id(), self.site.id, "kiosk", "Kiosk", self.printers[0].id, self.printers[1].id)
        self.library_desk = Station(new_id(), self.site.id, "desk", "Library desk", self.printers[1].id, None)
        self.bare = Station(new_id(), self.other.id, "desk", "Desk", None, None)
        node = self.node
        async with node.db.transaction() as tx:
            for row in (self.site, self.other, self.office, self.gym, *self.printers, self.kiosk, self.library_desk, self.bare):
                await node.sites.add(tx, row)
            for member in (self.brandt, self.okafor, self.cook, self.stranger):
                await node.accounts.add(tx, member)
        self.policy_id = (await node.policies.current()).id
        node.badges.content_of = self.content
        await until(self._nobody_prints)  # a session that ended holds the printing lock until the server has noticed

    async def _nobody_prints(self) -> bool:
        async with self.node.db.connection() as conn:
            return not await store.printing_somewhere(conn)

    async def content(self, site_id: UUID, visit_id: UUID) -> BadgeContent:
        return BadgeContent(name=self.name, host="Ms. Brandt", zones=("Main office",), purpose="Meeting", photo=sample_photo())

    def worker(self, **changes: Any) -> PrintWorker:
        node = self.node
        options: dict[str, Any] = {"policy": QUICK, "failover_after": None} | changes
        return PrintWorker(node.db, node.bus, node.sites, node.badges.produce, options.pop("transport_for", transport_for), **options)

    @asynccontextmanager
    async def printing(self, **changes: Any) -> AsyncIterator[PrintWorker]:
        worker = self.worker(**changes)
        await worker.start()
        try:
            yield worker
        finally:
            await worker.stop()

    async def visit(
        self, *, escorted: bool = False, hours: float = 2.0, station: Station | None = None, badge: bool = True, site: Site | None = None,
        host: Staff | None = None,
    ) -> Visit:
        """A visit let in: its rows, badge, credential, print job and escort in one transaction, as a check-in writes them."""
        node, site = self.node, site or self.site
        station = station or (self.kiosk if site is self.site else self.bare)
        visit_id, person_id, now = new_id(), new_id(), datetime.now(UTC)
        until = now + timedelta(hours=hours)
        async with node.db.transaction() as tx:
            await tx.conn.execute(
                "insert into people (site_id, id, identity_key, weak, family_name, given_name, first_seen, last_seen)"
                " values ($1, $2, $3, true, 'Doe', 'Jo', $4, $4)", site.id, person_id, person_id.bytes, now,
            )
            await tx.conn.execute(
                "insert into visits (site_id, id, person_id, station_id, purpose, policy_id, status, document, escort_required,"
                " checked_in_at, valid_until) values ($1, $2, $3, $4, 'meeting', $5, 'on_site', '{}', $6, $7, $8)",
                site.id, visit_id, person_id, station.id, self.policy_id, escorted, now, until,
            )
            row = None
            if badge:
                row = await node.badges.issue(tx, site_id=site.id, visit_id=visit_id, station=station, expires_at=until)
                await node.credentials.issue_for_visit(
                    tx, site_id=site.id, visit_id=visit_id, badge_id=row.id, zones=[self.office.id], valid_until=until, escorted=escorted
                )
                if escorted:
                    await node.escorts.ask(tx, site.id, visit_id, (host or self.brandt).id)
        return Visit(visit_id, site.id, row, node.badges.token(row) if row else "")

    async def jobs(self, visit: Visit | None = None) -> list[Any]:
        async with self.node.db.connection() as conn:
            rows = await conn.fetch(
                "select * from print_jobs where $1::uuid is null or visit_id = $1 order by created_at, id", visit and visit.id
            )
        return list(rows)

    async def audited(self, subject: UUID | None = None) -> list[str]:
        async with self.node.db.connection() as conn:
            rows = await conn.fetch("select action from audit where $1::uuid is null or subject_id = $1 order by at, id", subject)
        return [row["action"] for row in rows]

    async def opens(self) -> Opens:
        """What would open a door now, read anew as a door's process reads it at its start."""
        access = Access(self.node.db, EventBus(self.node.db), lambda: [s.id for s in self.node.sites.schools()])
        self.node.db.announce = self.node.bus._announce  # the bus above took it
        await access.load()
        table = access.table
        return Opens(
            {c.badge_id: c for c in table.visits.values() if c.badge_id is not None and c.state != "ended"},
            [c for c in table.emergency.values() if c.state != "ended"],
            {identifier: c for identifier, c in table.standing.items() if not c.revoked},
        )

    async def words(self) -> list[str]:
        return [info.words for info in await self.node.badges.printer_states(self.site.id)]

    async def close(self) -> None:
        for printer in (self.desk, self.library):
            with contextlib.suppress(RuntimeError):
                await printer.close()


def desk_at(office: FrontOffice) -> Principal:
    return Principal("account", new_id(), "Desk", (Grant("desk", office.site.id),))


async def token_for(office: FrontOffice, role: str, site_id: UUID | None) -> dict[str, str]:
    """The headers of a request by a role, at one school or at all."""
    async with office.node.db.transaction() as tx:
        token = await office.node.accounts.machine_token(tx, "test", role, site_id)  # type: ignore[arg-type]
    return {"authorization": f"Bearer {token}"}


async def state_is(office: FrontOffice, visit: Visit, state: str) -> bool:
    """Whether a visit's only print job has come to that."""
    return [job["state"] for job in await office.jobs(visit)] == [state]


def scanned(badge: PrintedBadge) -> list[str]:
    """The texts of the codes on a badge as it came out."""
    return [found.text for found in zxingcpp.read_barcodes(badge.image.convert("L"))]

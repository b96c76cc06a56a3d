"""A school with doors, staff, an officer and visits, for tests of what happens after a check-in."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from readers import encode_wiegand
from tests.clock import NOON


class Visit:
    def __init__(self, id: UUID, badge_id: UUID, token: str) -> None:
        self.id, self.badge_id, self.token = id, badge_id, token


class School:
    """Two schools (the second has one door), made through the services; visits are put where a check-in would leave them."""

    staff_card = ("H10301", encode_wiegand("H10301", 4711, 12))
    officer_card = ("H10301", encode_wiegand("H10301", 20127, 47))

    def __init__(self, node: Any, client: Any) -> None:
        self.node, self.client = node, client
        self.tokens: dict[str, str] = {}

    async def build(self) -> School:
        from visitor.accounts.models import Agency, Officer, Staff
        from visitor.ids import new_id
        from visitor.sites.models import Door, Site, Station, Zone

        node = self.node
        self.site = Site(new_id(), "school", "Oak Elementary", "1 Oak Street", NOON, {})
        self.other = Site(new_id(), "school", "Elm Middle", "2 Elm Street", NOON, {})
        self.zones = {name: Zone(new_id(), self.site.id, name, {}) for name in ("Office", "Library")}
        other_zone = Zone(new_id(), self.other.id, "Office", {})
        self.office_door = Door(new_id(), self.site.id, self.zones["Office"].id, "Office door", "", None, None, 5, {})
        self.library_door = Door(new_id(), self.site.id, self.zones["Library"].id, "Library door", "", None, None, 5, {})
        self.other_door = Door(new_id(), self.other.id, other_zone.id, "Elm door", "", None, None, 5, {})
        self.station = Station(new_id(), self.site.id, "kiosk", "Kiosk", None, None)
        self.host = Staff(new_id(), self.site.id, None, "Pat Lindqvist", "Teacher", "Room 12", True, True)
        self.second = Staff(new_id(), self.site.id, None, "Robin Ortega", "Aide", "Gym", False, True)
        agency = Agency(new_id(), "Springfield Police")
        self.officer = Officer(new_id(), agency.id, None, "Sgt. Diaz", "4711", "")
        self.policy_id = (await node.policies.current()).id
        async with node.db.transaction() as tx:
            for row in (self.site, self.other, *self.zones.values(), other_zone, self.office_door, self.library_door, self.other_door,
                        self.station):
                await node.sites.add(tx, row)
            for person in (self.host, self.second, agency, self.officer):
                await node.accounts.add(tx, person)
            standing = await node.credentials.add_standing(
                tx, site_id=self.site.id, card_format=self.staff_card[0], bits=self.staff_card[1], actor="system", staff_id=self.host.id
            )
            await node.credentials.add_standing(
                tx, site_id=self.site.id, card_format=self.officer_card[0], bits=self.officer_card[1], actor="system",
                officer_id=self.officer.id,
            )
            self.staff_standing = standing.id
            for role in ("doors", "desk", "hall", "respond", "admin"):
                self.tokens[role] = await node.accounts.machine_token(tx, role, role, self.site.id)
            self.tokens["other_doors"] = await node.accounts.machine_token(tx, "other", "doors", self.other.id)
            self.tokens["other_desk"] = await node.accounts.machine_token(tx, "other desk", "desk", self.other.id)
            self.tokens["station"] = await node.accounts.station_token(tx, self.station.id, "system")
        await node.sites.load()
        return self

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────

    async def post(self, path: str, body: Any, role: str) -> Any:
        return await self.client.post(path, json=body, headers={"authorization": f"Bearer {self.tokens[role]}"})

    async def put(self, path: str, body: Any, role: str) -> Any:
        return await self.client.put(path, json=body, headers={"authorization": f"Bearer {self.tokens[role]}"})

    async def get(self, path: str, role: str) -> Any:
        return await self.client.get(path, headers={"authorization": f"Bearer {self.tokens[role]}"})

    # ── visits ───────────────────────────────────────────────────────────────────────────────────────────

    async def visit(
        self, zones: Sequence[str] = ("Office",), escorted: bool = False, minutes: float = 60, family: str = "Bello",
        status: str | None = None,
    ) -> Visit:
        """Somebody checked in and approved, with a badge and a credential as the services give them."""
        from visitor.ids import new_id

        now, node = datetime.now(UTC), self.node
        visit_id, person_id = new_id(), new_id()
        valid_until = now + timedelta(minutes=minutes)
        zone_ids = [self.zones[z].id for z in zones]
        async with node.db.transaction() as tx:
            await tx.conn.execute(
                "insert into people (site_id, id, identity_key, weak, family_name, given_name, first_seen, last_seen)"
                " values ($1, $2, $3, false, $4, 'Aisha', $5, $5)", self.site.id, person_id, secrets.token_bytes(32), family, now,
            )
            await tx.conn.execute(
                "insert into visits (site_id, id, person_id, station_id, host_id, purpose, policy_id, status, document, zones,"
                " escort_required, checked_in_at, valid_until) values ($1,$2,$3,$4,$5,'meeting',$6,$7,'{}',$8,$9,$10,$11)",
                self.site.id, visit_id, person_id, self.station.id, self.host.id, self.policy_id,
                status or ("awaiting_escort" if escorted else "on_site"), zone_ids, escorted, now, valid_until,
            )
            if status == "held":
                tx.notify("visits", self.site.id, visit_id)
                return Visit(visit_id, visit_id, "")
            badge = await node.badges.issue(tx, site_id=self.site.id, visit_id=visit_id, station=None, expires_at=valid_until)
            await node.credentials.issue_for_visit(
                tx, site_id=self.site.id, visit_id=visit_id, badge_id=badge.id, zones=zone_ids, valid_until=valid_until,
                escorted=escorted,
            )
            if escorted:
                await node.escorts.ask(tx, self.site.id, visit_id, actor="system")
            tx.notify("visits", self.site.id, visit_id)
        return Visit(visit_id, badge.id, node.badges.token(badge))

    async def accept_escort(self, visit: Visit) -> None:
        async with self.node.db.transaction() as tx:
            await self.node.escorts.accept(tx, self.site.id, visit.id, self.host.id, actor="system")
            await self.node.credentials.activate(tx, self.site.id, visit.id, actor="system")
            await tx.conn.execute("update visits set status = 'on_site' where id = $1", visit.id)

    async def end(self, visit: Visit, status: str = "checked_out") -> None:
        async with self.node.db.transaction() as tx:
            await self.node.credentials.end(tx, self.site.id, visit.id, "checked-out", actor="system")
            await self.node.badges.void(tx, self.site.id, visit.id, "checked-out")
            await tx.conn.execute("update visits set status = $2, ended_at = now() where id = $1", visit.id, status)
            tx.notify("visits", self.site.id, visit.id)

    async def reprint(self, visit: Visit) -> str:
        from visitor.security import Grant, Principal

        desk = Principal("token", self.station.id, "desk", (Grant("desk", self.site.id),))
        row = await self.node.badges.reprint(desk, self.site.id, visit.id, "lost")
        return str(self.node.badges.token(row))

    # ── incidents ────────────────────────────────────────────────────────────────────────────────────────

    async def declare(self, state: str, exercise: bool = False) -> str:
        body = {"site_id": str(self.site.id), "state": state, "exercise": exercise, "note": ""}
        answer = await self.post("/api/v1/incidents", body, role="desk")
        assert answer.status_code == 201, answer.text
        return str(answer.json()["incident"]["id"])

    async def emergency_credential(self, incident: str) -> dict[str, Any]:
        body = {"incident_id": incident, "reason": "first on scene"}
        answer = await self.post(f"/api/v1/officers/{self.officer.id}/emergency-credential", body, role="respond")
        assert answer.status_code == 201, answer.text
        return dict(answer.json()["credential"])

    async def drained(self) -> None:
        """Until every door event is in the database."""
        doors = self.node.doors
        while doors.journal.waiting or doors._unwritten:
            await asyncio.sleep(0.02)

"""Declaring, changing and resolving incidents; issuing what officers need; telling who is on site.

Declaring writes the incident, its frozen list and the site's state in one transaction and touches no credential: the doors
read the state. Nothing here asks the hub, and nothing here waits for an alert to have been heard.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

from visitor import audit, db, metrics
from visitor.accounts.service import Accounts
from visitor.credentials.models import EmergencyCredential
from visitor.credentials.service import Credentials
from visitor.emergency import store
from visitor.emergency.models import (
    MAX_NOTE,
    ON_SITE,
    AlreadyDeclared,
    FrozenPerson,
    Incident,
    IncidentOver,
    IncidentState,
    IssuedCredential,
    OnSiteList,
    Outcome,
    ReasonNeeded,
    Source,
    Withdrawal,
    here,
    source_of,
)
from visitor.errors import BadInput, NotFound
from visitor.ids import new_id
from visitor.security import Principal
from visitor.sites.models import SiteState
from visitor.sites.service import Sites
from visitor.visits.models import OnSite


class Emergency:
    """`open_at` gives the open visits of a site (`Visits.open_at`)."""

    def __init__(
        self, database: db.Database, sites: Sites, accounts: Accounts, credentials: Credentials,
        open_at: Callable[[UUID], Awaitable[list[OnSite]]],
    ) -> None:
        self._db = database
        self._sites = sites
        self._accounts = accounts
        self._credentials = credentials
        self._open_at = open_at

    # ── incidents ────────────────────────────────────────────────────────────────────────────────────────

    async def declare(
        self, principal: Principal, site_id: UUID, state: IncidentState, *, exercise: bool, note: str = "", source: Source | None = None
    ) -> Incident:
        """Declare an incident or a drill. Raises AlreadyDeclared, NotFound, Forbidden, BadInput."""
        self._site(principal, site_id, "desk", "hall", "respond", "admin", "station")
        note = _note(note)
        try:
            async with self._db.transaction() as tx:
                incident = await store.declare(
                    tx.conn, site_id=site_id, id=new_id(), state=state, exercise=exercise, note=note,
                    source=source or source_of(principal, site_id), declared_by=principal.actor, declared_at=datetime.now(UTC),
                )
                now = await self._sites.set_state(tx, site_id, state, exercise=exercise, incident_id=incident.id)
                await audit.record(
                    tx, site_id, principal.actor, "incident.declared", incident.id, state=state, exercise=exercise,
                    source=incident.source, frozen=len(incident.snapshot),
                )
                tx.notify("incidents", site_id, incident.id)
        except AlreadyDeclared as e:
            async with self._db.connection() as conn:
                current = await store.open_at(conn, site_id)
            raise AlreadyDeclared(e.detail, **({"incident_id": str(current.id), "state": current.state} if current else {})) from None
        self._sites.committed(now)
        metrics.INCIDENTS.labels("exercise" if exercise else "real").inc()
        return incident

    async def change(self, principal: Principal, incident_id: UUID, state: IncidentState) -> Incident:
        """From hold to lockdown, from lockdown to evacuate: the same incident, another instruction. Raises IncidentOver."""
        async with self._db.transaction() as tx:
            incident = await self._open(tx, principal, incident_id, "desk", "hall", "respond", "admin")
            if incident.state == state:
                return incident
            changed = await store.change_state(tx.conn, incident, state)
            now = await self._sites.set_state(tx, incident.site_id, state, exercise=incident.exercise, incident_id=incident.id)
            await audit.record(
                tx, incident.site_id, principal.actor, "incident.changed", incident.id, before=incident.state, state=state
            )
            tx.notify("incidents", incident.site_id, incident.id)
        self._sites.committed(now)
        return changed

    async def resolve(self, principal: Principal, incident_id: UUID, outcome: Outcome = "resolved") -> Incident:
        """End the incident: the site is normal again, and the credentials issued for it are over. Raises IncidentOver."""
        async with self._db.transaction() as tx:
            incident = await self._open(tx, principal, incident_id, "desk", "respond", "admin")
            resolved = await store.resolve(tx.conn, incident, datetime.now(UTC), principal.actor, outcome)
            ended = await self._credentials.end_for_incident(tx, incident.site_id, incident.id, actor=principal.actor)
            now = await self._sites.set_state(tx, incident.site_id, "normal", exercise=False, incident_id=None)
            await audit.record(
                tx, incident.site_id, principal.actor, "incident.resolved", incident.id, outcome=outcome, credentials_ended=ended
            )
            tx.notify("incidents", incident.site_id, incident.id)
        self._sites.committed(now)
        return resolved

    async def incidents(self, principal: Principal, site_id: UUID, limit: int = 50) -> list[Incident]:
        """The newest first."""
        self._site(principal, site_id)
        async with self._db.connection() as conn:
            return await store.listed(conn, site_id, min(max(limit, 1), 500))

    async def current(self, site_id: UUID) -> Incident | None:
        """The incident that is declared at the site now."""
        async with self._db.connection() as conn:
            return await store.open_at(conn, site_id)

    async def frozen(self, principal: Principal, incident_id: UUID) -> tuple[Incident, list[FrozenPerson]]:
        """An incident and who was on site when it was declared, with where each visit stands now."""
        async with self._db.connection() as conn:
            incident = await store.incident(conn, incident_id)
            if incident is None:
                raise NotFound("There is no such incident.")
            self._site(principal, incident.site_id, "desk", "respond", "admin")
            return incident, await store.names(conn, incident.site_id, incident.snapshot)

    async def issued(self, incident: Incident) -> list[IssuedCredential]:
        """What officers were given for an incident. The caller has checked who asks."""
        async with self._db.connection() as conn:
            return await store.credentials_of(conn, incident)

    # ── officers ─────────────────────────────────────────────────────────────────────────────────────────

    async def issue_credential(self, principal: Principal, officer_id: UUID, incident_id: UUID, reason: str) -> EmergencyCredential:
        """A credential that opens this site's controlled doors for one officer while the incident lasts, four hours at most.

        Declaring is not issuing: this takes the respond or admin role, a fresh password and a reason. One given to the same
        officer before ends with it. Raises IncidentOver, NotFound, Forbidden, ReasonNeeded.
        """
        reason = _note(reason)
        if not reason:
            raise ReasonNeeded("Say why this officer needs to open doors; the reason is kept in the audit.")
        async with self._db.transaction() as tx:
            incident = await self._open(tx, principal, incident_id, "respond", "admin")
            self._accounts.require_fresh(principal)
            officer = await self._accounts.officer(officer_id)
            for earlier in await store.live_credentials_of(tx.conn, incident, officer.id):
                await self._credentials.end_one(tx, incident.site_id, earlier, "replaced", actor=principal.actor)
            issued = await self._credentials.issue_emergency(
                tx, site_id=incident.site_id, officer_id=officer.id, incident_id=incident.id, reason=reason, actor=principal.actor
            )
            tx.notify("incidents", incident.site_id, incident.id)
        return issued

    async def end_credential(self, principal: Principal, incident_id: UUID, credential_id: UUID, reason: Withdrawal) -> None:
        """End one officer's credential before the incident ends: a phone was lost. No fresh password: closing is never held up.

        Raises NotFound, Forbidden, IncidentOver, NoCredential (it has ended already).
        """
        async with self._db.transaction() as tx:
            incident = await self._open(tx, principal, incident_id, "respond", "desk", "admin")
            if credential_id not in {c.id for c in await store.credentials_of(tx.conn, incident)}:
                raise NotFound("This incident has no such credential.")
            await self._credentials.end_one(tx, incident.site_id, credential_id, reason, actor=principal.actor)
            tx.notify("incidents", incident.site_id, incident.id)

    # ── who is here ──────────────────────────────────────────────────────────────────────────────────────

    async def on_site(self, principal: Principal, site_id: UUID) -> tuple[SiteState, OnSiteList]:
        """The live list, longest here first."""
        self._site(principal, site_id, "desk", "respond", "admin")
        now = datetime.now(UTC)
        rows = [(row, here(row, self._sites.zone_names(row.zones), now)) for row in await self._open_at(site_id)]
        people = tuple(person for row, person in rows if row.status in ON_SITE)
        waiting = tuple(person for row, person in rows if row.status not in ON_SITE)
        return self._sites.state(site_id), OnSiteList(people, waiting)

    # ── checks ───────────────────────────────────────────────────────────────────────────────────────────

    def _site(self, principal: Principal, site_id: UUID, *roles: str) -> None:
        if self._sites.site(site_id).kind != "school":
            raise NotFound("There is no such school.")
        principal.require(site_id, *roles)  # type: ignore[arg-type]

    async def _open(self, tx: db.Tx, principal: Principal, incident_id: UUID, *roles: str) -> Incident:
        incident = await store.incident(tx.conn, incident_id, lock=True)
        if incident is None:
            raise NotFound("There is no such incident.")
        self._site(principal, incident.site_id, *roles)
        if not incident.open:
            raise IncidentOver("This incident was resolved already. Declare a new one if it is needed.")
        return incident


def _note(text: str) -> str:
    text = text.strip()
    if len(text) > MAX_NOTE:
        raise BadInput(f"Use at most {MAX_NOTE} characters.")
    return text

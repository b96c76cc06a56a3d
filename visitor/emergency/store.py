"""SQL of the emergency slice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from visitor import db
from visitor.emergency.models import AlreadyDeclared, FrozenPerson, FrozenVisit, Incident, IncidentState, IssuedCredential, Outcome, Source

_q = db.queries(__file__)


async def declare(
    conn: db.Connection, *, site_id: UUID, id: UUID, state: IncidentState, exercise: bool, note: str, source: Source,
    declared_by: str, declared_at: datetime,
) -> Incident:
    """Insert the incident with its frozen list. Raises AlreadyDeclared when one is open, however many declare at once."""
    try:
        row = await _q.declare(
            conn, site_id=site_id, id=id, state=state, exercise=exercise, note=note, source=source, declared_by=declared_by,
            declared_at=declared_at,
        )
    except asyncpg.UniqueViolationError:
        raise AlreadyDeclared("An incident is declared here already. Resolve it first, or change its state.") from None
    declared = db.one(row, Incident)
    assert declared is not None
    return declared


async def open_at(conn: db.Connection, site_id: UUID) -> Incident | None:
    return db.one(await _q.open_at(conn, site_id=site_id), Incident)


async def incident(conn: db.Connection, incident_id: UUID, *, lock: bool = False) -> Incident | None:
    query = _q.incident_for_update if lock else _q.incident
    return db.one(await query(conn, id=incident_id), Incident)


async def listed(conn: db.Connection, site_id: UUID, limit: int) -> list[Incident]:
    return await db.each(_q.listed(conn, site_id=site_id, limit=limit), Incident)


async def resolve(conn: db.Connection, incident: Incident, now: datetime, by: str, outcome: Outcome) -> Incident:
    await _q.resolve(conn, site_id=incident.site_id, id=incident.id, now=now, by=by, outcome=outcome)
    return msgspec.structs.replace(incident, resolved_at=now, resolved_by=by, outcome=outcome)


async def change_state(conn: db.Connection, incident: Incident, state: IncidentState) -> Incident:
    await _q.change_state(conn, site_id=incident.site_id, id=incident.id, state=state)
    return msgspec.structs.replace(incident, state=state)


async def live_credentials_of(conn: db.Connection, incident: Incident, officer_id: UUID) -> list[UUID]:
    rows = _q.live_credentials_of(conn, site_id=incident.site_id, incident_id=incident.id, officer_id=officer_id)
    return [row["id"] async for row in rows]


async def credentials_of(conn: db.Connection, incident: Incident) -> list[IssuedCredential]:
    return await db.each(_q.credentials_of(conn, site_id=incident.site_id, incident_id=incident.id), IssuedCredential)


async def names(conn: db.Connection, site_id: UUID, frozen: Sequence[FrozenVisit]) -> list[FrozenPerson]:
    """The frozen list with names, in its own order; a person whose record is gone since is named "(no longer kept)"."""
    found = {row["visit_id"]: row async for row in _q.names_of(conn, site_id=site_id, visits=[v.visit_id for v in frozen])}
    people = []
    for visit in frozen:
        row = found.get(visit.visit_id)
        people.append(
            FrozenPerson(
                visit_id=visit.visit_id, name=f"{row['given_name']} {row['family_name']}".strip() if row else "(no longer kept)",
                status=visit.status, place=visit.place, at=visit.at, status_now=row["status"] if row else "",
                ended_at=row["ended_at"] if row else None,
            )
        )
    return people

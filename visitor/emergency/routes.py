"""HTTP of incidents, emergency credentials and the on-site list."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from visitor.emergency.models import IncidentState, IncidentView, OnSiteAnswer, Outcome, SiteShown, Source, Withdrawal
from visitor.emergency.service import Emergency
from visitor.security import Principal
from visitor.sites.service import Sites


class DeclareInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`source` is where the declaration came from; left out, it is told by who makes it."""

    site_id: UUID
    state: IncidentState
    exercise: bool = False
    note: str = ""
    source: Source | None = None


class StateInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    state: IncidentState


class ResolveInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    outcome: Outcome = "resolved"


class CredentialInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    incident_id: UUID
    reason: str


class CredentialIssued(msgspec.Struct, frozen=True):
    """`token` is the text of the code to show at a door's scanner; it counts until `until`, or until the incident is resolved."""

    id: UUID
    token: str
    until: datetime


@post("/api/v1/incidents", tags=["emergency"])
async def declare(
    data: JSONBody[DeclareInput], principal: NamedDependency[Principal], emergency: NamedDependency[Emergency]
) -> dict[str, IncidentView]:
    """Declare an incident or a drill at a school. 409 `incident-already-declared` while one is open."""
    incident = await emergency.declare(
        principal, data.site_id, data.state, exercise=data.exercise, note=data.note, source=data.source
    )
    return {"incident": incident.view}


@get("/api/v1/incidents", tags=["emergency"])
async def list_incidents(
    site: FromQuery[UUID], principal: NamedDependency[Principal], emergency: NamedDependency[Emergency], limit: FromQuery[int] = 50
) -> dict[str, list[IncidentView]]:
    """A school's incidents and drills, newest first."""
    return {"incidents": [i.view for i in await emergency.incidents(principal, site, limit)]}


@get("/api/v1/incidents/{incident_id:uuid}", tags=["emergency"])
async def get_incident(
    incident_id: FromPath[UUID], principal: NamedDependency[Principal], emergency: NamedDependency[Emergency]
) -> dict[str, Any]:
    """An incident with the list that was frozen when it was declared, and the credentials issued for it."""
    incident, people = await emergency.frozen(principal, incident_id)
    return {"incident": incident.view, "frozen": people, "credentials": await emergency.issued(incident)}


@post("/api/v1/incidents/{incident_id:uuid}/state", status_code=200, tags=["emergency"])
async def change_state(
    incident_id: FromPath[UUID], data: JSONBody[StateInput], principal: NamedDependency[Principal], emergency: NamedDependency[Emergency]
) -> dict[str, IncidentView]:
    """Another instruction for the same incident, such as from hold to lockdown."""
    return {"incident": (await emergency.change(principal, incident_id, data.state)).view}


@post("/api/v1/incidents/{incident_id:uuid}/resolve", status_code=200, tags=["emergency"])
async def resolve(
    incident_id: FromPath[UUID],
    principal: NamedDependency[Principal],
    emergency: NamedDependency[Emergency],
    data: JSONBody[ResolveInput | None] = None,
) -> dict[str, IncidentView]:
    """End an incident: doors and kiosks work as before, emergency credentials are over. 409 `incident-over` when it was."""
    return {"incident": (await emergency.resolve(principal, incident_id, (data or ResolveInput()).outcome)).view}


@post("/api/v1/officers/{officer_id:uuid}/emergency-credential", tags=["emergency"])
async def issue_credential(
    officer_id: FromPath[UUID],
    data: JSONBody[CredentialInput],
    principal: NamedDependency[Principal],
    emergency: NamedDependency[Emergency],
) -> dict[str, CredentialIssued]:
    """A credential for one officer and one incident. A signed-in person must have given the password within ten minutes."""
    issued = await emergency.issue_credential(principal, officer_id, data.incident_id, data.reason)
    return {"credential": CredentialIssued(issued.id, issued.token, issued.until)}


class EndInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: Withdrawal


@post("/api/v1/incidents/{incident_id:uuid}/credentials/{credential_id:uuid}/end", status_code=200, tags=["emergency"])
async def end_credential(
    incident_id: FromPath[UUID],
    credential_id: FromPath[UUID],
    data: JSONBody[EndInput],
    principal: NamedDependency[Principal],
    emergency: NamedDependency[Emergency],
) -> dict[str, Any]:
    """Withdraw one officer's emergency credential at once, for a lost phone. 409 `no-credential` when it has ended already."""
    await emergency.end_credential(principal, incident_id, credential_id, data.reason)
    return {"credential": {"id": credential_id, "state": "ended"}}


@get("/api/v1/sites/{site_id:uuid}/on-site", tags=["emergency"])
async def on_site(
    site_id: FromPath[UUID],
    principal: NamedDependency[Principal],
    emergency: NamedDependency[Emergency],
    sites: NamedDependency[Sites],
) -> OnSiteAnswer:
    """Who is in the building now, with where each was seen last. `waiting` stand at the front office, not decided yet."""
    state, found = await emergency.on_site(principal, site_id)
    incident = await emergency.current(site_id)
    site = sites.site(site_id)
    return OnSiteAnswer(
        site=SiteShown(site.id, site.name, site.address), state=state.state, exercise=state.exercise, since=state.since,
        incident=incident.view if incident else None, count=len(found.people), people=found.people, waiting=found.waiting,
    )


HANDLERS: list[Any] = [declare, list_incidents, get_incident, change_state, resolve, issue_credential, end_credential, on_site]

"""Live pages: events of a school for staff, of a station for its kiosk. Ids only; a page fetches what it may see."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import ServerSentEvent

from visitor.db import Event
from visitor.errors import Forbidden
from visitor.events import EventBus
from visitor.http import live
from visitor.security import Principal, Role
from visitor.sites.service import Sites

# What each role's pages listen to. Hall and respond learn of visits by looking again, never by more than an id.
TOPICS: Final[dict[Role, frozenset[str]]] = {
    "desk": frozenset(
        {"visits", "badges", "printers", "challenges", "site_state", "incidents", "sites", "doors", "watchlists", "policies"}
    ),
    "hall": frozenset({"visits", "site_state", "incidents", "sites"}),
    "respond": frozenset({"visits", "site_state", "incidents", "credentials", "doors", "sites"}),
    "station": frozenset({"visits", "site_state", "sites", "policies"}),
}


@get("/api/v1/sites/{site_id:uuid}/events", tags=["live"])
async def site_events(
    site_id: FromPath[UUID], principal: NamedDependency[Principal], sites: NamedDependency[Sites], bus: NamedDependency[EventBus]
) -> ServerSentEvent:
    """Server-sent events of a school: `event: <topic>`, `data: <row id>`; `sync` means look again, `beat` comes every 15 s."""
    site = sites.site(site_id)
    principal.require(site.id, "desk", "hall", "respond", "admin")
    topics: frozenset[str] = frozenset()
    for role in ("desk", "hall", "respond", "admin"):
        if principal.may(site.id, role):
            topics |= TOPICS["desk"] | TOPICS["respond"] if role == "admin" else TOPICS[role]

    def wanted(event: Event) -> bool:
        if event.topic == "site_state" and principal.may(event.site_id, "respond", "admin"):
            return True  # who responds to several schools learns of each
        return event.topic in topics and (event.site_id == site.id or event.topic in ("watchlists", "policies"))

    return live(bus, wanted)


@get("/api/v1/stations/{station_id:uuid}/events", tags=["live"])
async def station_events(
    station_id: FromPath[UUID], principal: NamedDependency[Principal], sites: NamedDependency[Sites], bus: NamedDependency[EventBus]
) -> ServerSentEvent:
    """Server-sent events of a station: `readings` (a reader of this node read a document for it) and its school's state."""
    station = sites.station(station_id)
    if principal.kind == "station":
        if principal.id != station.id:
            raise Forbidden("A station listens only to itself.")
    else:
        principal.require(station.site_id, "desk", "admin")
    topics = TOPICS["station"]
    return live(
        bus,
        lambda event: (event.topic == "readings" and event.site_id == station.id)
        or (event.topic in topics and (event.site_id == station.site_id or event.topic == "policies")),
    )


HANDLERS: list[Any] = [site_events, station_events]

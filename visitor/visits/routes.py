"""HTTP of the journey: /api/v1/check-ins, /api/v1/visits, /api/v1/check-outs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody

from visitor.errors import BadInput, NotFound
from visitor.people.service import People
from visitor.security import Principal
from visitor.visits.models import FOLLOWS, CheckIn, Language, Status
from visitor.visits.service import Visits
from visitor.visits.views import DeskView, StationView, Views

_CHECK_IN_BYTES = 24_000_000  # a photo and a frame in base64, each within its own bound


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: Annotated[str, msgspec.Meta(max_length=2000)] = ""


class EscortAccept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    staff_id: UUID


class CheckOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    station_id: UUID
    token: Annotated[str, msgspec.Meta(max_length=2048)] = ""
    reading_id: UUID | None = None
    language: Language = "en"


def _body(view: StationView | DeskView) -> dict[str, Any]:
    return {"visit": msgspec.to_builtins(view)}


@post("/api/v1/check-ins", tags=["visits"], request_max_body_size=_CHECK_IN_BYTES)
async def check_in(
    data: JSONBody[CheckIn],
    principal: NamedDependency[Principal],
    visits: NamedDependency[Visits],
    views: NamedDependency[Views],
    idempotency_key: Annotated[str | None, HeaderParameter(name="Idempotency-Key")] = None,
) -> Response[dict[str, Any]]:
    """Check a visitor in from a scan or a document. The same `Idempotency-Key` and body give the same visit again."""
    outcome = await visits.check_in(principal, data, idempotency_key)
    view = await views.of(principal, outcome.visit, outcome.given_name, data.language, outcome.fresh)
    headers = {"idempotent-replayed": "true"} if outcome.replayed else {}
    return Response(_body(view), status_code=201, headers=headers)


@get("/api/v1/visits", tags=["visits"])
async def list_visits(
    principal: NamedDependency[Principal],
    visits: NamedDependency[Visits],
    views: NamedDependency[Views],
    site: FromQuery[UUID | None] = None,
    status: FromQuery[str | None] = None,
    before: FromQuery[datetime | None] = None,
    limit: FromQuery[int] = 100,
) -> dict[str, Any]:
    """Visits of a school or of all of the caller's, newest first; `status` may name several, separated by commas."""
    statuses: list[Status] | None = None
    if status:
        unknown = [s for s in status.split(",") if s not in FOLLOWS]
        if unknown:
            raise BadInput(f"There is no such status. Known: {', '.join(FOLLOWS)}.")
        statuses = status.split(",")  # type: ignore[assignment]
    found = await visits.listed(principal, site, statuses, before, limit)
    return {"visits": [msgspec.to_builtins(view) for view in await views.listed(found)]}


@get("/api/v1/visits/{visit_id:uuid}", tags=["visits"])
async def get_visit(
    visit_id: FromPath[UUID], principal: NamedDependency[Principal], visits: NamedDependency[Visits], views: NamedDependency[Views]
) -> dict[str, Any]:
    """One visit; a station sees its status and message only."""
    visit = await visits.get(principal, visit_id, "station", "desk", "admin")
    return _body(await views.of(principal, visit))


@post("/api/v1/visits/{visit_id:uuid}/approve", status_code=200, tags=["visits"])
async def approve(
    visit_id: FromPath[UUID], data: JSONBody[Reason], principal: NamedDependency[Principal], visits: NamedDependency[Visits],
    views: NamedDependency[Views],
) -> dict[str, Any]:
    """Let a held visitor in; 409 `screening-undecided` while a possible match is open."""
    return _body(await views.of(principal, await visits.approve(principal, visit_id, data.reason)))


@post("/api/v1/visits/{visit_id:uuid}/refuse", status_code=200, tags=["visits"])
async def refuse(
    visit_id: FromPath[UUID], data: JSONBody[Reason], principal: NamedDependency[Principal], visits: NamedDependency[Visits],
    views: NamedDependency[Views],
) -> dict[str, Any]:
    return _body(await views.of(principal, await visits.refuse(principal, visit_id, data.reason)))


@post("/api/v1/visits/{visit_id:uuid}/cancel", status_code=200, tags=["visits"])
async def cancel(
    visit_id: FromPath[UUID], data: JSONBody[Reason], principal: NamedDependency[Principal], visits: NamedDependency[Visits],
    views: NamedDependency[Views],
) -> dict[str, Any]:
    """The visitor went before anything was decided, or before the escort came."""
    return _body(await views.of(principal, await visits.cancel(principal, visit_id, data.reason)))


@post("/api/v1/visits/{visit_id:uuid}/remove", status_code=200, tags=["visits"])
async def remove(
    visit_id: FromPath[UUID], data: JSONBody[Reason], principal: NamedDependency[Principal], visits: NamedDependency[Visits],
    views: NamedDependency[Views],
) -> dict[str, Any]:
    """The visitor was sent or led away."""
    return _body(await views.of(principal, await visits.remove(principal, visit_id, data.reason)))


@post("/api/v1/visits/{visit_id:uuid}/escort/accept", status_code=200, tags=["visits"])
async def accept_escort(
    visit_id: FromPath[UUID], data: JSONBody[EscortAccept], principal: NamedDependency[Principal], visits: NamedDependency[Visits],
    views: NamedDependency[Views],
) -> dict[str, Any]:
    """A member of staff takes charge of the visitor; the badge opens doors from here."""
    return _body(await views.of(principal, await visits.accept_escort(principal, visit_id, data.staff_id)))


@post("/api/v1/visits/{visit_id:uuid}/check-out", status_code=200, tags=["visits"])
async def check_out(
    visit_id: FromPath[UUID], principal: NamedDependency[Principal], visits: NamedDependency[Visits], views: NamedDependency[Views]
) -> dict[str, Any]:
    return _body(await views.of(principal, await visits.check_out(principal, visit_id)))


@post("/api/v1/check-outs", status_code=200, tags=["visits"])
async def check_out_by_badge(
    data: JSONBody[CheckOut], principal: NamedDependency[Principal], visits: NamedDependency[Visits], views: NamedDependency[Views]
) -> dict[str, Any]:
    """A visitor scans the badge at a paired station and leaves."""
    visit, given_name = await visits.check_out_by_badge(principal, data.station_id, data.token, data.reading_id)
    return _body(await views.of(principal, visit, given_name, data.language))


@get("/api/v1/stations/{station_id:uuid}/readings/{reading_id:uuid}", tags=["visits"])
async def reading(
    station_id: FromPath[UUID], reading_id: FromPath[UUID], principal: NamedDependency[Principal], visits: NamedDependency[Visits]
) -> dict[str, Any]:
    """What a reader of this node read for a station: its kind, and a sentence where it could not be used. Never its content."""
    kind, problem = visits.reading_kind(principal, station_id, reading_id)
    return {"reading": {"id": reading_id, "kind": kind, "problem": problem}}


@get("/api/v1/visits/{visit_id:uuid}/photo", tags=["visits"], media_type="image/jpeg")
async def photo(
    visit_id: FromPath[UUID], principal: NamedDependency[Principal], visits: NamedDependency[Visits], people: NamedDependency[People]
) -> Response[bytes]:
    """The visitor's photo, for staff who decide, check or respond."""
    visit = await visits.get(principal, visit_id, "desk", "hall", "respond", "admin")
    image = await people.photo(visit.site_id, visit.person_id)
    if image is None:
        raise NotFound("There is no photo of this visitor.")
    return Response(image, media_type="image/jpeg")


HANDLERS: list[Any] = [
    check_in, list_visits, get_visit, approve, refuse, cancel, remove, accept_escort, check_out, check_out_by_badge, reading, photo,
]

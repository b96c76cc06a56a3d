"""The hall's page: a phone that checks badges, takes escort requests and reports somebody without a badge."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery
from litestar.response import Template

from visitor.security import Principal, Role
from visitor.sites.models import Site
from visitor.web.board import OUTCOMES
from visitor.web.shell import Faces
from visitor.web.templating import named

_ROLES: Final[tuple[Role, ...]] = ("hall", "desk", "respond", "admin")


class Request(msgspec.Struct, frozen=True):
    """A visitor who waits for me, or whom I have with me."""

    visit_id: UUID
    staff_id: UUID
    name: str
    about: str
    photo: str
    since: datetime
    mine: bool


async def _requests(faces: Faces, principal: Principal, site: Site) -> tuple[list[Request], list[Request]]:
    """(who waits for an escort that I may be, who is with me). Nothing for somebody who is no escort here."""
    me = next((s for s in await faces.accounts.staff(site.id) if s.account_id == principal.id and s.may_escort), None)
    if me is None:
        return [], []
    visits = {v.visit_id: v for v in await faces.visits.open_at(site.id)}
    purposes = {p.key: p.label_en for p in (await faces.policies.current()).purposes}
    waiting, with_me = [], []
    for row in await faces.escorts.open_for(site.id):
        visit = visits.get(row.visit_id)
        if visit is None:
            continue
        about = ", ".join(x for x in (purposes.get(visit.purpose, visit.purpose), f"to see {visit.host}" if visit.host else "") if x)
        photo = f"/api/v1/visits/{visit.visit_id}/photo" if visit.has_photo else ""
        one = Request(visit.visit_id, me.id, named(visit.name), about, photo, row.accepted_at or row.asked_at, row.staff_id == me.id)
        if row.state == "asked" and visit.status == "awaiting_escort" and row.staff_id in (None, me.id):
            waiting.append(one)
        elif row.state == "accepted" and row.staff_id == me.id:
            with_me.append(one)
    return sorted(waiting, key=lambda r: not r.mine), with_me


async def _context(faces: Faces, principal: Principal, asked: UUID | None) -> dict[str, Any]:
    site = faces.school(principal, asked, *_ROLES)
    waiting, with_me = await _requests(faces, principal, site)
    return faces.context(
        principal, site, *_ROLES, waiting=waiting, with_me=with_me, zones=faces.sites.zones(site.id), outcomes=OUTCOMES
    )


@get("/hall", include_in_schema=False)
async def hall(principal: NamedDependency[Principal], faces: NamedDependency[Faces], site: FromQuery[UUID | None] = None) -> Template:
    return Template("hall/hall.html", context=await _context(faces, principal, site))


@get("/hall/requests", include_in_schema=False)
async def requests_part(principal: NamedDependency[Principal], faces: NamedDependency[Faces], site: FromQuery[UUID]) -> Template:
    """Escort requests and the school's state, fetched again whenever a visit changed."""
    return Template("hall/requests.html", context=await _context(faces, principal, site))


HANDLERS: list[Any] = [hall, requests_part]

"""The desk's page and its parts: the board, what opens beside it, printers, the incident form."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Template

from visitor.security import Principal, Role
from visitor.sites.models import Site
from visitor.web.board import OUTCOMES, board
from visitor.web.review import Review, review, row_of
from visitor.web.shell import Faces
from visitor.web.templating import plural

_ROLES: Final[tuple[Role, ...]] = ("desk", "admin")


def _site(faces: Faces, principal: Principal, asked: UUID | None) -> Site:
    return faces.school(principal, asked, *_ROLES)


def _context(faces: Faces, principal: Principal, site: Site, **more: Any) -> dict[str, Any]:
    return faces.context(principal, site, *_ROLES, **more)


async def _board(faces: Faces, principal: Principal, site: Site) -> dict[str, Any]:
    purposes = {p.key: p.label_en for p in (await faces.policies.current()).purposes}
    rows = board(await faces.visits.open_at(site.id), purposes, site.zone_info, datetime.now(UTC))
    last = max(rows.needs, key=lambda row: row.since, default=None)
    return {
        "needs": rows.needs, "escorts": rows.escorts, "over": rows.over, "here": rows.here, "outcomes": OUTCOMES,
        "challenges": await faces.hall.challenges(principal, site.id), "announce": f"{last.name}: {last.says}" if last else "",
    }


async def _summary(faces: Faces, principal: Principal, site: Site) -> dict[str, Any]:
    """One line on printers, doors and lists: ready, or what is the matter."""
    printers = await faces.badges.printer_states(site.id)
    troubles = [p.words for p in printers if not p.ok]
    troubles += [f"{d.name}: {d.trouble}" for d in faces.doors.states(principal, site.id) if d.trouble][:2]
    lists = faces.registries.lists()
    troubles += [one.trouble for one in lists if one.trouble]
    stale = [one.title for one in lists if one.required and (one.stale or not one.revision)]
    if stale:
        troubles.append(f"{stale[0]} is out of date" if len(stale) == 1 else f"{plural(len(stale), 'list')} out of date")
    return {"troubles": troubles, "ready": "Printers and lists ready" if printers else "Lists ready; no printer here"}


async def _review(faces: Faces, principal: Principal, visit_id: UUID) -> tuple[Site, Review]:
    visit = await faces.visits.get(principal, visit_id, *_ROLES)
    site = faces.sites.site(visit.site_id)
    row = row_of(await faces.visits.open_at(site.id), visit.id)
    return site, await review(
        visit, row, views=faces.views, people=faces.people, registries=faces.registries, accounts=faces.accounts,
        policy=await faces.policies.version(visit.policy_id), zone=site.zone_info,
        titles={one.name: one.title for one in faces.registries.lists()},
    )


@get("/desk", include_in_schema=False)
async def desk(
    principal: NamedDependency[Principal], faces: NamedDependency[Faces], site: FromQuery[UUID | None] = None,
    visit: FromQuery[UUID | None] = None,
) -> Template:
    found: Review | None = None
    if visit is not None:
        place, found = await _review(faces, principal, visit)
    else:
        place = _site(faces, principal, site)
    context = _context(faces, principal, place, review=found, visit_id=visit)
    context |= await _board(faces, principal, place)
    context |= await _summary(faces, principal, place)
    return Template("desk/desk.html", context=context)


@get("/desk/board", include_in_schema=False)
async def board_part(principal: NamedDependency[Principal], faces: NamedDependency[Faces], site: FromQuery[UUID]) -> Template:
    place = _site(faces, principal, site)
    return Template("desk/board.html", context=_context(faces, principal, place, **await _board(faces, principal, place)))


@get("/desk/summary", include_in_schema=False)
async def summary_part(principal: NamedDependency[Principal], faces: NamedDependency[Faces], site: FromQuery[UUID]) -> Template:
    place = _site(faces, principal, site)
    return Template("desk/summary.html", context=_context(faces, principal, place, **await _summary(faces, principal, place)))


@get("/desk/banner", include_in_schema=False)
async def banner_part(principal: NamedDependency[Principal], faces: NamedDependency[Faces], site: FromQuery[UUID]) -> Template:
    return Template("desk/banner.html", context=_context(faces, principal, _site(faces, principal, site)))


@get("/desk/nothing", include_in_schema=False)
async def nothing_part(principal: NamedDependency[Principal], faces: NamedDependency[Faces], site: FromQuery[UUID]) -> Template:
    return Template("desk/nothing.html", context=_context(faces, principal, _site(faces, principal, site)))


@get("/desk/visits/{visit_id:uuid}", include_in_schema=False)
async def visit_part(visit_id: FromPath[UUID], principal: NamedDependency[Principal], faces: NamedDependency[Faces]) -> Template:
    """One visitor, to decide on. Raises NotFound for another school's."""
    site, found = await _review(faces, principal, visit_id)
    return Template("desk/review.html", context=_context(faces, principal, site, review=found))


@get("/desk/printers", include_in_schema=False)
async def printers_part(principal: NamedDependency[Principal], faces: NamedDependency[Faces], site: FromQuery[UUID]) -> Template:
    place = _site(faces, principal, site)
    printers, doors = await faces.badges.printer_states(place.id), faces.doors.states(principal, place.id)
    context = _context(faces, principal, place, printers=printers, doors=doors, lists=faces.registries.lists())
    return Template("desk/printers.html", context=context)


@get("/desk/incident", include_in_schema=False)
async def incident_part(principal: NamedDependency[Principal], faces: NamedDependency[Faces], site: FromQuery[UUID]) -> Template:
    place = _site(faces, principal, site)
    context = _context(faces, principal, place, incident=await faces.emergency.current(place.id))
    return Template("desk/incident.html", context=context)


class Find(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A badge under the desk's scanner; in the body, so that no token stands in an address."""

    site_id: UUID
    token: str


@post("/desk/find", status_code=200, include_in_schema=False)
async def find(data: JSONBody[Find], principal: NamedDependency[Principal], faces: NamedDependency[Faces]) -> dict[str, Any]:
    """The visit of a scanned badge. Raises NotOnSite for a badge that is not this school's."""
    place = _site(faces, principal, data.site_id)
    return {"id": await faces.visits.of_token(data.token, place.id)}


HANDLERS: list[Any] = [
    desk, board_part, summary_part, banner_part, nothing_part, visit_part, printers_part, incident_part, find,
]

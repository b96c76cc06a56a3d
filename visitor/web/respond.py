"""The responders' page: what is declared, who is where, how to get in."""

from __future__ import annotations

import io
from collections import Counter
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
import segno
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody
from litestar.response import Template

from visitor.accounts.service import Accounts
from visitor.emergency.models import PersonHere
from visitor.errors import Unauthenticated
from visitor.security import SESSION_COOKIE, Principal, Role
from visitor.web.plan import plan_of
from visitor.web.shell import Faces
from visitor.web.templating import named

_ROLES: Final[tuple[Role, ...]] = ("respond", "desk", "admin")
_SOURCES: Final = {"desk": "at the desk", "phone": "from a phone", "panic": "by the panic button", "api": "by a machine"}


class Person(msgspec.Struct, frozen=True):
    """A line for responders: `seen` is whether a door or a phone saw this visitor since the incident was declared."""

    id: UUID
    name: str
    photo: str
    place: str
    at: datetime | None
    about: str
    seen: bool
    badge: int | None


def _people(people: tuple[PersonHere, ...], since: datetime | None) -> list[Person]:
    found = []
    for p in people:
        about = ", ".join(x for x in (f"with {p.escort}" if p.escort else "", f"to see {p.host}" if p.host else "") if x)
        seen = since is not None and p.last_seen is not None and p.last_seen >= since
        found.append(
            Person(p.visit_id, named(p.name), p.photo or "", p.last_place or "front office", p.last_seen or p.checked_in_at, about, seen,
                   p.badge_number)
        )
    return sorted(found, key=lambda p: (p.seen, p.name))


async def _context(faces: Faces, principal: Principal, asked: UUID | None) -> dict[str, Any]:
    alarmed = [s for s in faces.schools(principal, *_ROLES) if faces.sites.state(s.id).state != "normal"]
    # An officer of every school is first shown the one where something is happening.
    site = faces.school(principal, asked or (alarmed[0].id if alarmed else None), *_ROLES)
    _, here = await faces.emergency.on_site(principal, site.id)
    incident = await faces.emergency.current(site.id)
    people = _people(here.people, incident.declared_at if incident else None)
    left = 0
    if incident is not None:
        _, frozen = await faces.emergency.frozen(principal, incident.id)
        left = sum(p.ended_at is not None for p in frozen)
    officers = await faces.accounts.officers()
    mine = [o for o in officers if o.account_id == principal.id]
    may_issue = principal.may(site.id, "respond", "admin")
    doors = {d.id: d for d in faces.doors.states(principal, site.id)}
    return faces.context(
        principal, site, *_ROLES, incident=incident, people=people, left=left, waiting=_people(here.waiting, None),
        plan=plan_of(site, faces.sites.zones(site.id), faces.sites.doors(site.id), Counter(p.place for p in people)),
        officers=(mine or officers) if may_issue else [], doors=sorted(doors.values(), key=lambda d: d.name),
        source=_SOURCES.get(incident.source, "") if incident else "", elsewhere=[s for s in alarmed if s.id != site.id],
    )


@get("/respond", include_in_schema=False)
async def respond(principal: NamedDependency[Principal], faces: NamedDependency[Faces], site: FromQuery[UUID | None] = None) -> Template:
    return Template("respond/respond.html", context=await _context(faces, principal, site))


@get("/respond/board", include_in_schema=False)
async def board_part(principal: NamedDependency[Principal], faces: NamedDependency[Faces], site: FromQuery[UUID]) -> Template:
    return Template("respond/board.html", context=await _context(faces, principal, site))


class CredentialForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The password again, in the same request: no credential lies about after a page that was left open."""

    officer_id: UUID
    incident_id: UUID
    reason: str
    password: str

    def __repr__(self) -> str:
        return "CredentialForm(…)"


@post("/respond/credential", status_code=201, include_in_schema=False)
async def credential(
    request: Request[Any, Any, Any], data: JSONBody[CredentialForm], principal: NamedDependency[Principal],
    faces: NamedDependency[Faces], accounts: NamedDependency[Accounts],
) -> Template:
    """Check the password, issue the credential and draw it. The token is in the picture only, never in an address."""
    cookie = request.cookies.get(SESSION_COOKIE, "")
    await accounts.confirm_password(principal, data.password[:500], cookie)
    fresh = await accounts.by_session(cookie)
    if fresh is None:
        raise Unauthenticated("Your sign-in has ended. Sign in again.")
    issued = await faces.emergency.issue_credential(fresh, data.officer_id, data.incident_id, data.reason)
    incident, _ = await faces.emergency.frozen(principal, data.incident_id)
    site = faces.sites.site(incident.site_id)
    officer = await accounts.officer(data.officer_id)
    context = faces.context(principal, site, *_ROLES, qr=draw(issued.token), until=issued.until, officer=officer, incident=incident)
    return Template("respond/credential.html", context=context, status_code=201)


def draw(token: str) -> str:
    """A token's QR code as SVG without styles (the content security policy forbids them), black on white in any theme."""
    out = io.BytesIO()
    segno.make(token, error="q", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=False, nl=False, omitsize=True, border=4, dark="#000", light="#fff", lineclass=None,
        svgclass=None, title="Emergency credential",
    )
    return out.getvalue().decode()


HANDLERS: list[Any] = [respond, board_part, credential]

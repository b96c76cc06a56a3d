"""The district's safety director: is it set up right, and can it be proved? Plain pages, previews of effect, tables that export."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Template

from visitor import audit
from visitor.db import Database
from visitor.errors import NotFound
from visitor.ids import new_id
from visitor.security import Principal, Role
from visitor.settings import Settings
from visitor.sites.models import Site
from visitor.web.shell import Faces
from watchlists.sources import FORMATS

_ROLES: Final[tuple[Role, ...]] = ("admin",)
_PAGE: Final = 100
_EXPORT: Final = 20_000
SUBJECTS: Final = (
    "visit", "screening", "clearance", "badge", "badge_check", "credential", "card", "challenge", "incident", "door", "watchlist",
    "policy", "station", "printer", "print_job",
)
"""What the audit is asked about: the first word of its actions."""
FORMAT_WORDS: Final = {
    "ofac-csv": "US Treasury (OFAC SDN), CSV", "ofac-xml": "US Treasury (OFAC SDN), XML", "un-xml": "United Nations consolidated list, XML",
    "ofsi-csv": "UK Treasury (OFSI), CSV", "opensanctions-csv": "OpenSanctions, CSV",
    "nsopw-json": "National sex offender registry (NSOPW), JSON",
    "mapped-csv": "State registry with a column mapping, CSV", "barred-csv": "District barred list, CSV",
    "custody-csv": "Custody orders, CSV", "entries-jsonl": "Visitor’s own format, JSON lines",
}


def _schools(faces: Faces, principal: Principal) -> list[Site]:
    schools = faces.schools(principal, *_ROLES)
    if not schools and principal.sites(*_ROLES) is not None:
        raise NotFound("No school is set up for you yet.")
    return schools


def _context(faces: Faces, principal: Principal, page: str, **more: Any) -> dict[str, Any]:
    schools = _schools(faces, principal)
    zone = schools[0].zone_info if schools else None
    return {
        "page": page, "schools": schools, "me": principal.name, "csrf": principal.csrf, "zone": zone,
        "district": principal.sites(*_ROLES) is None, **more,
    }


async def _entries(
    database: Database, faces: Faces, principal: Principal, site: UUID | None, subject: UUID | None, kind: str, before: datetime | None,
    limit: int,
) -> list[audit.Entry]:
    """Audit rows that the caller may see; somebody who administers one school sees that school's."""
    if site is not None:
        faces.school(principal, site, *_ROLES)
    elif principal.sites(*_ROLES) is not None:
        site = _schools(faces, principal)[0].id
    return await audit.read(database, site, subject, before, limit, kind=kind or None)


@get("/admin", include_in_schema=False)
async def overview(
    principal: NamedDependency[Principal], faces: NamedDependency[Faces], database: NamedDependency[Database], node: NamedDependency[Any]
) -> Template:
    """Whether everything works, by school, and what happened last."""
    schools = []
    for site in _schools(faces, principal):
        here = await faces.visits.open_at(site.id)
        printers = await faces.badges.printer_states(site.id)
        doors = faces.doors.states(principal, site.id)
        schools.append({
            "site": site, "state": faces.sites.state(site.id), "here": sum(v.status == "on_site" for v in here),
            "waiting": sum(v.status == "held" for v in here), "printers": printers, "doors": doors,
            "troubles": [p.words for p in printers if not p.ok] + [f"{d.name}: {d.trouble}" for d in doors if d.trouble],
        })
    health = [sentence for check in node.degraded.values() if (sentence := check())]
    recent = await _entries(database, faces, principal, None, None, "", None, 12)
    context = _context(
        faces, principal, "overview", rows=schools, health=health, lists=faces.registries.lists(), entries=recent,
        names={s.id: s.name for s in faces.sites.schools()},
    )
    return Template("admin/overview.html", context=context)


@get("/admin/lists", include_in_schema=False)
async def lists(principal: NamedDependency[Principal], faces: NamedDependency[Faces]) -> Template:
    """The lists in force, importing one with a preview, and those kept by hand."""
    mine = {s.id for s in _schools(faces, principal)}
    kept = {
        table: [row for row in await faces.registries.shared_rows(table) if row.site_id in mine]
        for table in ("barred_entries", "custody_orders")
    }
    formats = [(key, FORMAT_WORDS.get(key, key)) for key in FORMATS]
    context = _context(
        faces, principal, "lists", lists=faces.registries.lists(), formats=formats, barred=kept["barred_entries"],
        orders=kept["custody_orders"], names={s.id: s.name for s in faces.sites.schools()},
    )
    return Template("admin/lists.html", context=context)


@get("/admin/purposes", include_in_schema=False)
async def purposes(principal: NamedDependency[Principal], faces: NamedDependency[Faces]) -> Template:
    policy = await faces.policies.current()
    zones = sorted({z.name for s in _schools(faces, principal) for z in faces.sites.zones(s.id)})
    return Template("admin/purposes.html", context=_context(faces, principal, "purposes", policy=policy, zones=zones))


@get("/admin/devices", include_in_schema=False)
async def devices(principal: NamedDependency[Principal], faces: NamedDependency[Faces]) -> Template:
    """Stations with their pairing, printers and doors of each school."""
    rows = []
    for site in _schools(faces, principal):
        printers = await faces.badges.printer_states(site.id)
        rows.append({
            "site": site, "stations": faces.sites.stations(site.id), "printers": printers, "doors": faces.doors.states(principal, site.id),
            "printer_names": {p.id: p.name for p in faces.sites.printers(site.id)},
        })
    return Template("admin/devices.html", context=_context(faces, principal, "devices", rows=rows))


@post("/admin/stations/{station_id:uuid}/pairing", status_code=201, include_in_schema=False)
async def pairing(
    station_id: FromPath[UUID], principal: NamedDependency[Principal], faces: NamedDependency[Faces],
    database: NamedDependency[Database], settings: NamedDependency[Settings],
) -> dict[str, str]:
    """A one-time link that makes a device this station; good for an hour."""
    station = faces.sites.station(station_id)
    principal.require(station.site_id, *_ROLES)
    async with database.transaction() as tx:
        code = await faces.accounts.pairing_code(tx, station.id)
        await audit.record(tx, station.site_id, principal.actor, "station.pairing_offered", station.id, offer=str(new_id()))
    return {"link": f"{settings.url}/pair/{code}"}


@get("/admin/people", include_in_schema=False)
async def people(principal: NamedDependency[Principal], faces: NamedDependency[Faces]) -> Template:
    rows = [(site, await faces.accounts.staff(site.id)) for site in _schools(faces, principal)]
    officers = await faces.accounts.officers()
    return Template("admin/people.html", context=_context(faces, principal, "people", rows=rows, officers=officers))


@get("/admin/audit", include_in_schema=False)
async def audit_page(
    principal: NamedDependency[Principal], faces: NamedDependency[Faces], database: NamedDependency[Database],
    site: FromQuery[UUID | None] = None, subject: FromQuery[UUID | None] = None, kind: FromQuery[str] = "",
    before: FromQuery[datetime | None] = None,
) -> Template:
    """Who decided what, newest first; every subject is a link to its own history."""
    found = await _entries(database, faces, principal, site, subject, kind, before, _PAGE)
    context = _context(
        faces, principal, "audit", entries=found, chosen=site, subject=subject, kind=kind, subjects=SUBJECTS,
        older=found[-1].at if len(found) == _PAGE else None, names={s.id: s.name for s in faces.sites.schools()},
    )
    return Template("admin/audit.html", context=context)


@get("/admin/export/{what:str}", include_in_schema=False)
async def export(
    what: FromPath[str], principal: NamedDependency[Principal], faces: NamedDependency[Faces], database: NamedDependency[Database],
    site: FromQuery[UUID | None] = None, subject: FromQuery[UUID | None] = None, kind: FromQuery[str] = "",
) -> Response[bytes]:
    """A table as CSV: `audit.csv`, `lists.csv` or `staff.csv`. Raises NotFound for any other."""
    rows: Iterable[tuple[Any, ...]]
    if what == "audit.csv":
        head: tuple[str, ...] = ("at", "school", "actor", "action", "subject", "detail")
        names = {s.id: s.name for s in faces.sites.schools()}
        found = await _entries(database, faces, principal, site, subject, kind, None, _EXPORT)
        rows = (
            (e.at.isoformat(), names.get(e.site_id, "district"), e.actor, e.action, e.subject_id, msgspec.json.encode(e.detail).decode())
            for e in found
        )
    elif what == "lists.csv":
        head = ("name", "title", "category", "revision", "entries", "imported_at", "age_hours", "stale", "required")
        rows = (tuple(getattr(one, h) for h in head) for one in faces.registries.lists())
    elif what == "staff.csv":
        head = ("school", "name", "title", "place", "may_host", "may_escort")
        rows = [
            (school.name, m.name, m.title, m.place, m.may_host, m.may_escort)
            for school in _schools(faces, principal) for m in await faces.accounts.staff(school.id)
        ]
    else:
        raise NotFound("There is no such table to export.")
    return Response(
        table(head, rows), media_type=MediaType.TEXT, headers={
            "content-type": "text/csv; charset=utf-8", "content-disposition": f'attachment; filename="{what}"',
        },
    )


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> bytes:
    """RFC 4180 CSV. A cell that a spreadsheet would run as a formula gets an apostrophe before it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(list(head))
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return out.getvalue().encode()


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


HANDLERS: list[Any] = [overview, lists, purposes, devices, pairing, people, audit_page, export]

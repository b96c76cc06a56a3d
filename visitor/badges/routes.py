"""HTTP of badges and printers: a badge's picture, another print, and what a desk does about a printer that does not print."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from visitor.badges.models import BadgeRow, PrintJob
from visitor.badges.service import Badges
from visitor.security import Principal


class ReprintInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: str


class HoldInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why the badges are to wait, for the others at the desk."""

    reason: str


class UseInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The printer that takes over the waiting badges."""

    printer_id: UUID


class SettleInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person found at the printer: one badge that is whole, or none."""

    printed: bool


def badge_view(badges: Badges, row: BadgeRow) -> dict[str, Any]:
    """A badge in force as the API gives it."""
    return {
        "id": row.id, "visit_id": row.visit_id, "number": row.number, "status": row.status, "token": badges.token(row),
        "issued_at": row.issued_at, "expires_at": row.expires_at, "replaces": row.replaces,
    }


@get("/api/v1/visits/{visit_id:uuid}/badge.png", tags=["badges"], media_type="image/png")
async def picture(visit_id: FromPath[UUID], principal: NamedDependency[Principal], badges: NamedDependency[Badges]) -> Response[bytes]:
    """The visit's badge in force, as its printer gets it. 409 `no-badge` where there is none."""
    site_id = await badges.site_of(visit_id)
    principal.require(site_id, "desk", "admin")
    return Response(await badges.png(site_id, visit_id), media_type="image/png", headers={"cache-control": "no-store"})


@post("/api/v1/visits/{visit_id:uuid}/badge/reprint", status_code=201, tags=["badges"])
async def reprint(
    visit_id: FromPath[UUID], data: JSONBody[ReprintInput], principal: NamedDependency[Principal], badges: NamedDependency[Badges]
) -> dict[str, Any]:
    """Print another badge in place of the one in force, whose token counts no more from now on."""
    site_id = await badges.site_of(visit_id)
    return {"badge": badge_view(badges, await badges.reprint(principal, site_id, visit_id, data.reason))}


@get("/api/v1/sites/{site_id:uuid}/printers", tags=["printers"])
async def list_printers(
    site_id: FromPath[UUID], principal: NamedDependency[Principal], badges: NamedDependency[Badges]
) -> dict[str, Any]:
    """Each printer of the school in words, with how many badges wait and which may be doubled."""
    principal.require(site_id, "desk", "admin")
    return {"printers": await badges.printer_states(site_id)}


@get("/api/v1/sites/{site_id:uuid}/print-jobs", tags=["printers"])
async def list_jobs(
    site_id: FromPath[UUID], principal: NamedDependency[Principal], badges: NamedDependency[Badges]
) -> dict[str, list[PrintJob]]:
    """What waits, is being sent or is in doubt, and the last day's, newest first."""
    principal.require(site_id, "desk", "admin")
    return {"jobs": await badges.jobs(site_id)}


@post("/api/v1/printers/{printer_id:uuid}/hold", status_code=204, tags=["printers"])
async def hold(
    printer_id: FromPath[UUID], data: JSONBody[HoldInput], principal: NamedDependency[Principal], badges: NamedDependency[Badges]
) -> None:
    """Stop a printer's line until it is resumed; the badge that is being printed is printed."""
    await badges.hold(principal, printer_id, data.reason)


@post("/api/v1/printers/{printer_id:uuid}/resume", status_code=204, tags=["printers"])
async def resume(printer_id: FromPath[UUID], principal: NamedDependency[Principal], badges: NamedDependency[Badges]) -> None:
    """Let a printer's line go on."""
    await badges.resume(principal, printer_id)


@post("/api/v1/printers/{printer_id:uuid}/use", status_code=200, tags=["printers"])
async def use(
    printer_id: FromPath[UUID], data: JSONBody[UseInput], principal: NamedDependency[Principal], badges: NamedDependency[Badges]
) -> dict[str, int]:
    """Send the badges that wait for this printer to another one of the same school."""
    return {"moved": await badges.use(principal, printer_id, data.printer_id)}


@post("/api/v1/print-jobs/{job_id:uuid}/settle", status_code=200, tags=["printers"])
async def settle(
    job_id: FromPath[UUID], data: JSONBody[SettleInput], principal: NamedDependency[Principal], badges: NamedDependency[Badges]
) -> dict[str, PrintJob]:
    """Decide a badge in doubt, as a person found. Where none came out, it is put in line again by itself."""
    return {"job": await badges.settle(principal, job_id, printed=data.printed)}


@post("/api/v1/print-jobs/{job_id:uuid}/cancel", status_code=200, tags=["printers"])
async def cancel(
    job_id: FromPath[UUID], principal: NamedDependency[Principal], badges: NamedDependency[Badges]
) -> dict[str, PrintJob]:
    """Take a badge out of the line. 409 `print-job-decided` once its first byte has gone."""
    return {"job": await badges.cancel(principal, job_id)}


@post("/api/v1/print-jobs/{job_id:uuid}/again", status_code=201, tags=["printers"])
async def again(
    job_id: FromPath[UUID], principal: NamedDependency[Principal], badges: NamedDependency[Badges]
) -> dict[str, PrintJob]:
    """Put a badge that failed to print in line again. Its token stays, since it is on no paper."""
    return {"job": await badges.again(principal, job_id)}


HANDLERS: list[Any] = [picture, reprint, list_printers, list_jobs, hold, resume, use, settle, cancel, again]

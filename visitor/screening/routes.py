"""HTTP of the screening slice."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from visitor.screening.models import DecisionInput, ScreeningRow
from visitor.screening.service import Screening
from visitor.security import Principal


class RevokeInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: str


def shown(row: ScreeningRow) -> dict[str, Any]:
    """A screening for the desk."""
    return {
        "id": row.id, "visit_id": row.visit_id, "outcome": row.outcome, "reason": row.reason, "revisions": row.revisions,
        "screened_at": row.screened_at, "decided_at": row.decided_at, "matches": msgspec.to_builtins(row.matches),
    }


@post("/api/v1/screenings/{screening_id:uuid}/decision", status_code=200, tags=["screening"])
async def decide(
    screening_id: FromPath[UUID], data: JSONBody[DecisionInput], principal: NamedDependency[Principal],
    screening: NamedDependency[Screening],
) -> dict[str, Any]:
    """Decide a possible match: `cleared` (another person), `confirmed` (the same), or `escalated` to somebody else. The visit is
    approved or refused after it."""
    return {"screening": shown(await screening.decide(principal, screening_id, data.outcome, data.reason))}


@post("/api/v1/clearances/{clearance_id:uuid}/revoke", status_code=200, tags=["screening"])
async def revoke(
    clearance_id: FromPath[UUID], data: JSONBody[RevokeInput], principal: NamedDependency[Principal], screening: NamedDependency[Screening]
) -> dict[str, Any]:
    """End a clearance: from now on the match is shown again."""
    await screening.revoke(principal, clearance_id, data.reason)
    return {"clearance": {"id": clearance_id, "ended": True}}


HANDLERS: list[Any] = [decide, revoke]
"""For `app.create_litestar`."""

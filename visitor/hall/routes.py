"""HTTP of the hall."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from visitor.hall.models import Challenge, CheckAnswer
from visitor.hall.service import Hall
from visitor.security import Principal


class CheckInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`token` is whatever text was scanned; `place` where the checker stands: a zone's id, which the visit's
    zones are held against, or any words, which are only kept."""

    token: str
    site_id: UUID
    place: str = ""


class ChallengeInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`outcome` is a short word for what happened, such as "walked-to-office", "left" or "help-needed"."""

    site_id: UUID
    place: str
    description: str = ""
    outcome: str = ""


@post("/api/v1/badge-checks", status_code=200, tags=["hall"])
async def check_badge(data: JSONBody[CheckInput], principal: NamedDependency[Principal], hall: NamedDependency[Hall]) -> CheckAnswer:
    """May the bearer of this badge be here? Answers 200 for yes and no alike; the check is kept."""
    return await hall.check(principal, data.site_id, data.token, data.place)


@post("/api/v1/challenges", tags=["hall"])
async def challenge(
    data: JSONBody[ChallengeInput], principal: NamedDependency[Principal], hall: NamedDependency[Hall]
) -> dict[str, Challenge]:
    """Report somebody without a badge."""
    return {"challenge": await hall.challenge(principal, data.site_id, data.place, data.description, data.outcome)}


@get("/api/v1/challenges", tags=["hall"])
async def list_challenges(
    site: FromQuery[UUID], principal: NamedDependency[Principal], hall: NamedDependency[Hall], all: FromQuery[bool] = False
) -> dict[str, list[Challenge]]:
    """A school's challenges that are not closed yet, newest first; closed ones too with `all=true`."""
    return {"challenges": await hall.challenges(principal, site, open_only=not all)}


@post("/api/v1/challenges/{challenge_id:uuid}/close", status_code=200, tags=["hall"])
async def close_challenge(
    challenge_id: FromPath[UUID], principal: NamedDependency[Principal], hall: NamedDependency[Hall]
) -> dict[str, Challenge]:
    """The desk has seen to it."""
    return {"challenge": await hall.close_challenge(principal, challenge_id)}


HANDLERS: list[Any] = [check_badge, challenge, list_challenges, close_challenge]

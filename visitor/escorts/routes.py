"""HTTP of escorts. Accepting is a step of the visit (visits/routes.py): it puts the visitor on site."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from visitor.escorts.models import EscortRow
from visitor.escorts.service import Escorts
from visitor.security import Principal


class HandOverInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who takes over."""

    staff_id: UUID


@post("/api/v1/visits/{visit_id:uuid}/escort/hand-over", status_code=200, tags=["visits"])
async def hand_over(
    visit_id: FromPath[UUID], data: JSONBody[HandOverInput], principal: NamedDependency[Principal], escorts: NamedDependency[Escorts]
) -> dict[str, EscortRow]:
    """Another member of staff takes over: from now on it is their card that leads through doors."""
    return {"escort": await escorts.relieve(principal, visit_id, data.staff_id)}


HANDLERS: list[Any] = [hand_over]

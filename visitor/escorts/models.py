"""An escort's states: asked → accepted → handed_over (another accepted) … → ended."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from visitor.errors import Conflict, Forbidden

EscortState = Literal["asked", "accepted", "handed_over", "ended"]


class NoEscortAsked(Conflict):
    type = "no-escort-asked"
    title = "This visit is not waiting for an escort"


class NotEscorted(Conflict):
    type = "not-escorted"
    title = "Nobody is escorting this visitor"


class MayNotEscort(Forbidden):
    type = "may-not-escort"
    title = "This member of staff may not escort visitors here"


class EscortRow(msgspec.Struct, frozen=True):
    """A row of `escorts`. `staff_id` is who was asked (None: anyone who may), then who accepted."""

    site_id: UUID
    id: UUID
    visit_id: UUID
    staff_id: UUID | None
    state: EscortState
    asked_at: datetime
    accepted_at: datetime | None
    ended_at: datetime | None

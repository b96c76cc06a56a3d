"""HTTP of the cards that staff and officers carry always."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from visitor.credentials.cards import Cards
from visitor.credentials.models import Card
from visitor.security import Principal


class CardInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A card as the door's reader gives it: the format's name and its bits ("0" and "1"), or its identifier for chip cards."""

    format: str
    bits: str
    staff_id: UUID | None = None
    officer_id: UUID | None = None
    valid_until: datetime | None = None

    def __repr__(self) -> str:
        return "<CardInput>"


@get("/api/v1/cards", tags=["cards"])
async def list_cards(principal: NamedDependency[Principal], cards: NamedDependency[Cards]) -> dict[str, list[Card]]:
    """The cards in use that the caller administers. Their numbers are kept nowhere."""
    return {"cards": await cards.listed(principal)}


@post("/api/v1/cards", status_code=201, tags=["cards"])
async def give_card(data: JSONBody[CardInput], principal: NamedDependency[Principal], cards: NamedDependency[Cards]) -> dict[str, Card]:
    """Give a card to a member of staff or an officer. 409 `card-already-known` while somebody carries it."""
    card = await cards.give(
        principal, card_format=data.format, bits=data.bits, staff_id=data.staff_id, officer_id=data.officer_id, valid_until=data.valid_until
    )
    return {"card": card}


@post("/api/v1/cards/{card_id:uuid}/revoke", status_code=204, tags=["cards"])
async def revoke_card(card_id: FromPath[UUID], principal: NamedDependency[Principal], cards: NamedDependency[Cards]) -> None:
    """Take a card back: from now on it opens nothing, anywhere."""
    await cards.revoke(principal, card_id)


HANDLERS: list[Any] = [list_cards, give_card, revoke_card]

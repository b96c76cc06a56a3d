"""HTTP of the doors: taps that a door controller brings, and the doors' state for desk and responders."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from visitor.doors.models import DoorEvent, DoorState, TapAnswer
from visitor.doors.service import Doors, answer_of
from visitor.errors import BadInput
from visitor.security import Principal


class CardInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A card as the reader gave it: the format's name and its bits ("0" and "1"), or its identifier for chip cards."""

    format: str
    bits: str


class TapInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exactly one of `token` (the text of a badge's code) and `card`."""

    token: str | None = None
    card: CardInput | None = None


class NotOneThing(BadInput):
    type = "token-or-card"
    title = "A tap brings either a token or a card"


@post("/api/v1/doors/{door_id:uuid}/taps", status_code=200, tags=["doors"])
async def tap(
    door_id: FromPath[UUID], data: JSONBody[TapInput], principal: NamedDependency[Principal], doors: NamedDependency[Doors]
) -> TapAnswer:
    """Decide a tap at a door. Answers 200 with `{verdict, reason, message}` for granted and denied alike."""
    if (data.token is None) == (data.card is None):
        raise NotOneThing("Send either token or card, not both and not neither.")
    door = doors.require_door(principal, door_id)
    if data.card is not None:
        if not data.card.bits or len(data.card.bits) > 1024 or not data.card.format or len(data.card.format) > 32:
            raise BadInput("A card needs a format and its bits (up to 1024 characters).")
        read = doors.read_card(data.card.format, data.card.bits)
    else:
        read = doors.read_token(data.token or "")
    return answer_of(await doors.tap(door.id, read, principal.actor))


@get("/api/v1/doors", sync_to_thread=False, tags=["doors"])
def list_doors(site: FromQuery[UUID], principal: NamedDependency[Principal], doors: NamedDependency[Doors]) -> dict[str, list[DoorState]]:
    """The doors of a school with their readers' state and last tap."""
    return {"doors": doors.states(principal, site)}


@get("/api/v1/door-events", tags=["doors"])
async def list_events(
    site: FromQuery[UUID],
    principal: NamedDependency[Principal],
    doors: NamedDependency[Doors],
    door: FromQuery[UUID | None] = None,
    limit: FromQuery[int] = 100,
) -> dict[str, list[DoorEvent]]:
    """What happened at a school's doors, newest first."""
    return {"events": await doors.events(principal, site, door, limit)}


class ReaderInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`address` as in `osdp+serial:///dev/serial/by-id/…?address=0`, empty for a door without a reader of ours; `key` is the
    reader's Secure Channel base key in 32 hexadecimal digits, left out to keep the one there is."""

    address: str
    key: str | None = None


@put("/api/v1/doors/{door_id:uuid}/reader", tags=["doors"])
async def set_reader(
    door_id: FromPath[UUID], data: JSONBody[ReaderInput], principal: NamedDependency[Principal], doors: NamedDependency[Doors]
) -> dict[str, Any]:
    """Say where a door's reader hangs. It is driven from then on; GET /api/v1/doors tells whether it answers."""
    try:
        key = None if data.key is None else bytes.fromhex(data.key)
    except ValueError:
        raise BadInput("The Secure Channel key must be 32 hexadecimal digits.") from None
    await doors.set_reader(principal, door_id, data.address.strip(), key)
    return {"door": {"id": door_id, "address": data.address.strip()}}


HANDLERS: list[Any] = [tap, list_doors, list_events, set_reader]

"""A credential's states, what the door table is made of, and the rules that need no database.

    pending (awaiting escort) → active → ended(reason)

Whether a credential opens a door *now* is judged by `doors` with the clock and the site's state, never by what is stored.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec

from visitor.errors import BadInput, Conflict, NotFound

Kind = Literal["visit", "emergency"]
CredentialState = Literal["pending", "active", "ended"]
EMERGENCY_LIFE: Final = timedelta(hours=4)


class CardKnown(Conflict):
    type = "card-already-known"
    title = "This card is given to somebody already"


class CardUnreadable(BadInput):
    type = "card-unreadable"
    title = "This card's number cannot be used"


class NoCredential(Conflict):
    type = "no-credential"
    title = "There is no credential that could be used for this"


class UnknownCard(NotFound):
    type = "unknown-card"
    title = "There is no such card"


class Credential(msgspec.Struct, frozen=True):
    """A row of `credentials`: of a visit, or of an officer for the length of an incident."""

    site_id: UUID
    id: UUID
    kind: Kind
    visit_id: UUID | None
    badge_id: UUID | None
    officer_id: UUID | None
    incident_id: UUID | None
    zones: tuple[UUID, ...]
    escorted: bool
    state: CredentialState
    kid: str
    valid_from: datetime
    valid_until: datetime


class Standing(msgspec.Struct, frozen=True):
    """A card that a person carries always. `site_id` is a staff member's school; None for an officer's card.

    `identifier` is a keyed hash of format and number (`Credentials.identifier`): the number itself is not kept.
    """

    id: UUID
    officer_id: UUID | None
    staff_id: UUID | None
    site_id: UUID | None
    format: str
    identifier: bytes
    valid_from: datetime
    valid_until: datetime | None

    def __repr__(self) -> str:
        return f"<Standing {self.id}, {'officer' if self.officer_id else 'staff'}>"


class Card(msgspec.Struct, frozen=True):
    """A card in use, as administrators see it: whose it is, never its number."""

    id: UUID
    format: str
    staff_id: UUID | None
    officer_id: UUID | None
    site_id: UUID | None
    holder: str
    agency: str
    valid_from: datetime
    valid_until: datetime | None


class EmergencyCredential(msgspec.Struct, frozen=True):
    """What an officer is given: the token's text, for a code on a phone or on paper, and until when it holds."""

    id: UUID
    token: str
    until: datetime

    def __repr__(self) -> str:
        return f"<EmergencyCredential {self.id}>"


def card_text(card_format: str, bits: str) -> bytes:
    """One spelling of a card's format and number, for its keyed hash. Raises CardUnreadable.

    `bits` is what a reader gives: a Wiegand number's bits as "0" and "1", or a card's identifier in letters and digits.
    """
    name, number = card_format.strip().lower(), bits.strip().lower()
    if not name or len(name) > 32 or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
        raise CardUnreadable("The card's format must be a short name, such as H10301, PKOC or PIV.")
    if not number or len(number) > 1024 or not number.isascii() or not number.replace("-", "").replace(":", "").isalnum():
        raise CardUnreadable("The card's number must be the bits or the identifier that the reader gave.")
    return f"{name}\0{number}".encode()

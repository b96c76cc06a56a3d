"""What a card gave: the one value every reader of cards ends in."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

__all__ = ["CardConnection", "CardFormat", "CardRead"]

CardFormat = Literal["H10301", "H10302", "H10304", "H10306", "C1k35s", "C1k48s", "raw", "ascii", "uid", "pkoc", "piv"]


class CardRead(msgspec.Struct, frozen=True, kw_only=True):
    """One presented card.

    ``identifier`` names the card within its ``format``: hexadecimal for uid, pkoc and piv and for raw bits, decimal
    "facility-number" (or "number") for Wiegand layouts whose parity holds. ``bits`` is what came over a Wiegand-style
    interface, first bit first; empty otherwise. ``authenticated`` is true only when the card proved possession of a key
    in this very exchange and that key is trusted: a UID or a Wiegand number never is.
    """

    reader: str
    format: CardFormat
    identifier: str
    bits: str = ""
    facility: int | None = None
    number: int | None = None
    authenticated: bool = False

    def __repr__(self) -> str:
        return f"CardRead(reader={self.reader!r}, format={self.format!r}, authenticated={self.authenticated})"


class CardConnection(Protocol):
    """All that a card application asks of a reader: send one command APDU, get response data and status word."""

    def transmit(self, apdu: bytes) -> tuple[bytes, int]:
        """Exchange one APDU. Raises CardRemovedError or ReaderLostError when card or reader are gone."""
        ...

"""What readers report: one set of events for scanners, card readers and doors.

``reader`` is the name the configuration gave the device, or PC/SC's own name for it.
"""

from __future__ import annotations

import msgspec

from .cards.read import CardRead
from .document import IdDocument, Reading

__all__ = [
    "CardPresented",
    "CardRemoved",
    "DocumentScanned",
    "DoorEvent",
    "KeysPressed",
    "ReaderBack",
    "ReaderEvent",
    "ReaderLost",
    "Tampered",
    "Unreadable",
]


class DocumentScanned(msgspec.Struct, frozen=True):
    """A scanner read something we recognise. The same symbol held before the scanner is reported once."""

    reader: str
    reading: Reading


class CardPresented(msgspec.Struct, frozen=True):
    """A card was presented and read. ``document`` is what a PIV card says of its holder; None for other cards."""

    reader: str
    card: CardRead
    document: IdDocument | None = None


class CardRemoved(msgspec.Struct, frozen=True):
    """The card left the reader."""

    reader: str


class ReaderLost(msgspec.Struct, frozen=True):
    """The device does not answer any more; it is looked for until it is back. ``reason`` says what to check."""

    reader: str
    reason: str


class ReaderBack(msgspec.Struct, frozen=True):
    """The device answers: for the first time, or again after ReaderLost."""

    reader: str


class Unreadable(msgspec.Struct, frozen=True):
    """Something was presented that cannot be accepted: ``code`` for programs, ``reason`` as a sentence for a person."""

    reader: str
    code: str
    reason: str


class KeysPressed(msgspec.Struct, frozen=True):
    """Keys typed on a door reader's keypad. They may be a PIN, so they never show in a repr."""

    reader: str
    keys: str

    def __repr__(self) -> str:
        return f"KeysPressed(reader={self.reader!r}, keys=…)"


class Tampered(msgspec.Struct, frozen=True):
    """The door reader's housing was opened (``open`` true) or closed again."""

    reader: str
    open: bool


ReaderEvent = DocumentScanned | CardPresented | CardRemoved | ReaderLost | ReaderBack | Unreadable
DoorEvent = CardPresented | KeysPressed | Tampered | ReaderLost | ReaderBack | Unreadable

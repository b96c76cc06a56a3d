"""A contactless card's serial number (ISO 14443-3), by the pseudo-APDU of PC/SC part 3, clause 3.2.2.1.3.

A UID is sent in the clear and copied with a phone: it names a card and proves nothing.
"""

from __future__ import annotations

from readers.apdu import SW_OK, command
from readers.errors import CardError

from .read import CardConnection, CardRead

__all__ = ["read_uid"]

_GET_UID = command(0xFF, 0xCA, 0x00, 0x00, le=0)


def read_uid(connection: CardConnection, *, reader: str = "") -> CardRead:
    """The card's UID, 4, 7 or 10 bytes, never authenticated. Raises CardError ``no_uid`` when there is none to be had."""
    data, sw = connection.transmit(_GET_UID)
    if sw != SW_OK or not 4 <= len(data) <= 10:
        raise CardError("no_uid", "This card has no number that can be read. Use another card.")
    return CardRead(reader=reader, format="uid", identifier=data.hex().upper(), bits=f"{int.from_bytes(data, 'big'):0{len(data) * 8}b}")

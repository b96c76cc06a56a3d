"""Command APDUs (ISO 7816-4): building, chaining, and collecting long responses within bounds."""

from __future__ import annotations

from .cards.read import CardConnection
from .errors import ApduError, CardError

__all__ = ["SW_OK", "command", "select", "send"]

SW_OK = 0x9000
# The largest PIV object is below 13 kB; a card that goes on answering "more" is stopped well before memory is.
MAX_RESPONSE = 65_536
MAX_EXCHANGES = 512
_CHUNK = 255


def command(cla: int, ins: int, p1: int, p2: int, data: bytes = b"", le: int | None = None) -> bytes:
    """One short command APDU; ``le`` 0 asks for all there is (256)."""
    apdu = bytes([cla, ins, p1, p2])
    if data:
        apdu += bytes([len(data)]) + data
    if le is not None:
        apdu += bytes([le & 0xFF])
    return apdu


def exchange(connection: CardConnection, cla: int, ins: int, p1: int, p2: int, data: bytes = b"", le: int | None = 0) -> tuple[bytes, int]:
    """Send one command, chained where its data is long, and collect the whole response; the status word is not judged.

    Raises CardError ``endless_response`` when the card goes on past any real object, and what ``transmit`` raises.
    """
    while len(data) > _CHUNK:
        head, data = data[:_CHUNK], data[_CHUNK:]
        _, sw = connection.transmit(command(cla | 0x10, ins, p1, p2, head))
        if sw != SW_OK:
            return b"", sw
    response, sw = connection.transmit(command(cla, ins, p1, p2, data, le))
    collected = bytearray(response)
    for _ in range(MAX_EXCHANGES):
        if sw >> 8 == 0x6C:
            # Wrong Le: the card names the right one (clause 5.3.4).
            more, sw = connection.transmit(command(cla, ins, p1, p2, data, sw & 0xFF))
        elif sw >> 8 == 0x61:
            more, sw = connection.transmit(command(cla & 0x0F, 0xC0, 0, 0, le=sw & 0xFF))
        else:
            return bytes(collected), sw
        collected += more
        if len(collected) > MAX_RESPONSE:
            break
    raise CardError("endless_response", "The card answers without end. Use another card.")


def send(connection: CardConnection, what: str, cla: int, ins: int, p1: int, p2: int, data: bytes = b"", le: int | None = 0) -> bytes:
    """``exchange``, with ApduError for any status word but 9000; ``what`` completes "The card refused to …"."""
    response, sw = exchange(connection, cla, ins, p1, p2, data, le)
    if sw != SW_OK:
        raise ApduError(sw, what)
    return response


def select(connection: CardConnection, aid: bytes) -> bytes | None:
    """Select an application by its identifier; None when the card has no such application."""
    response, sw = exchange(connection, 0x00, 0xA4, 0x04, 0x00, aid)
    return response if sw == SW_OK else None

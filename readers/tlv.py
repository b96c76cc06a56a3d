"""BER-TLV (ISO 7816-4 clause 5.2.2, X.690), with every length checked before it is believed."""

from __future__ import annotations

from typing import NamedTuple

from .errors import CardError

__all__ = ["MAX_LENGTH", "Tlv", "encode", "find", "parse"]

# No PIV object is larger than 12,704 bytes (SP 800-73-4 part 1, table 11) and no certificate we meet comes near this.
MAX_LENGTH = 65_536


class Tlv(NamedTuple):
    """One data object: tag as a number of its bytes, value, and where value and object end in what was parsed."""

    tag: int
    value: bytes
    start: int
    end: int


def read_one(data: bytes, at: int = 0) -> Tlv:
    """The object at ``at``. Raises CardError ``bad_tlv`` when tag or length run past the end or make no sense."""
    start, size = at, len(data)
    if at >= size:
        raise _bad()
    tag = data[at]
    at += 1
    if tag & 0x1F == 0x1F:
        for _ in range(3):
            if at >= size:
                raise _bad()
            tag = tag << 8 | data[at]
            at += 1
            if not data[at - 1] & 0x80:
                break
        else:
            raise _bad()
    if at >= size:
        raise _bad()
    length = data[at]
    at += 1
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 3 or at + count > size:
            raise _bad()
        length = int.from_bytes(data[at : at + count], "big")
        at += count
    if length > MAX_LENGTH or at + length > size:
        raise _bad()
    return Tlv(tag, data[at : at + length], start, at + length)


def parse(data: bytes) -> list[Tlv]:
    """All objects side by side in ``data``; trailing zero bytes are padding. Raises CardError ``bad_tlv``."""
    found = []
    at = 0
    while at < len(data):
        if data[at] == 0 and not data[at:].strip(b"\x00"):
            break
        item = read_one(data, at)
        found.append(item)
        at = item.end
    return found


def find(data: bytes, tag: int) -> bytes | None:
    """The value of the first object with ``tag`` at the top level, or None. Raises CardError ``bad_tlv``."""
    return next((item.value for item in parse(data) if item.tag == tag), None)


def encode(tag: int, value: bytes) -> bytes:
    """One object, its length in the shortest form."""
    head = tag.to_bytes(max(1, (tag.bit_length() + 7) // 8), "big")
    size = len(value)
    if size < 0x80:
        return head + bytes([size]) + value
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return head + bytes([0x80 | len(length)]) + length + value


def _bad() -> CardError:
    return CardError("bad_tlv", "The card sent damaged data. Present it again, or use another card.")

"""Wiegand card formats as data: where facility and number stand, and which bits each parity bit covers.

Bit 0 is the first bit on the wire. A length alone does not name a format (13 of the 26 single-bit errors in an H10301
frame still fit another 26-bit layout), so only the layouts listed here are decoded, only when every parity bit holds, and
everything else stays raw bits. Layouts: HID Global's published card formats.
"""

from __future__ import annotations

import msgspec

from .cards.read import CardFormat, CardRead
from .errors import CardError

__all__ = ["FORMATS", "Layout", "decode", "encode"]

MAX_BITS = 512


class Parity(msgspec.Struct, frozen=True):
    """One parity bit at ``at``: the bits ``covers`` and itself together have an ``odd`` or even number of ones."""

    at: int
    odd: bool
    covers: tuple[int, ...]


class Layout(msgspec.Struct, frozen=True):
    """One format. ``facility`` and ``number`` are (first bit, how many); parity is computed in the order given."""

    name: CardFormat
    length: int
    facility: tuple[int, int] | None
    number: tuple[int, int]
    parity: tuple[Parity, ...]


def _span(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1))


def _pairs(first: int, last: int) -> tuple[int, ...]:
    """Two bits of every three, from ``first``: the Corporate 1000 masks."""
    return tuple(bit for bit in range(first, last + 1) if (bit - first) % 3 < 2)


FORMATS: tuple[Layout, ...] = (
    Layout("H10301", 26, (1, 8), (9, 16), (Parity(0, False, _span(1, 12)), Parity(25, True, _span(13, 24)))),
    Layout("H10306", 34, (1, 16), (17, 16), (Parity(0, False, _span(1, 16)), Parity(33, True, _span(17, 32)))),
    # H10302 and H10304 share length and parity: H10304 is chosen only where the caller says so (see ``decode``).
    Layout("H10302", 37, None, (1, 35), (Parity(0, False, _span(1, 18)), Parity(36, True, _span(18, 35)))),
    Layout("H10304", 37, (1, 16), (17, 19), (Parity(0, False, _span(1, 18)), Parity(36, True, _span(18, 35)))),
    Layout(
        "C1k35s", 35, (2, 12), (14, 20),
        (Parity(1, False, _pairs(2, 33)), Parity(34, True, _pairs(1, 32)), Parity(0, True, _span(1, 34))),
    ),
    Layout(
        "C1k48s", 48, (2, 22), (24, 23),
        (Parity(1, False, _pairs(3, 46)), Parity(47, True, _pairs(2, 45)), Parity(0, True, _span(1, 47))),
    ),
)  # fmt: skip
_BY_NAME = {layout.name: layout for layout in FORMATS}


def decode(bits: str, *, reader: str = "", prefer: tuple[CardFormat, ...] = ("H10302",)) -> CardRead:
    """Read ``bits`` ("0" and "1", first bit first) by the one layout that fits its length and parity, else raw.

    37 bits are H10302 and H10304 at once: the first of ``prefer`` that fits wins. A raw read's identifier is the bits
    as hexadecimal, left-aligned, with their count ("26:b188eb80"). Raises CardError ``bad_bits``.
    """
    if not bits or len(bits) > MAX_BITS or bits.strip("01"):
        raise CardError("bad_bits", "The reader sent something that is no card. Check the reader's wiring.")
    fitting = [layout for layout in FORMATS if layout.length == len(bits) and _parity_holds(bits, layout)]
    if not fitting:
        padded = bits.ljust(-(-len(bits) // 8) * 8, "0")
        value = int(padded, 2).to_bytes(len(padded) // 8, "big").hex()
        return CardRead(reader=reader, format="raw", identifier=f"{len(bits)}:{value}", bits=bits)
    layout = next((known for name in prefer for known in fitting if known.name == name), fitting[0])
    number = _read(bits, layout.number)
    facility = None if layout.facility is None else _read(bits, layout.facility)
    identifier = str(number) if facility is None else f"{facility}-{number}"
    return CardRead(reader=reader, format=layout.name, identifier=identifier, bits=bits, facility=facility, number=number)


def encode(name: CardFormat, number: int, facility: int | None = None) -> str:
    """The bits of a card, parity included. Raises CardError ``unknown_format`` or ``out_of_range``."""
    layout = _BY_NAME.get(name)
    if layout is None:
        raise CardError("unknown_format", f"{name!r} is no Wiegand format this program knows: {', '.join(_BY_NAME)}.")
    bits = ["0"] * layout.length
    _write(bits, layout.number, number)
    if layout.facility is not None:
        _write(bits, layout.facility, facility or 0)
    elif facility is not None:
        raise CardError("out_of_range", f"{name} carries no facility code.")
    for parity in layout.parity:
        ones = sum(bits[index] == "1" for index in parity.covers)
        bits[parity.at] = str((ones + parity.odd) % 2)
    return "".join(bits)


def _parity_holds(bits: str, layout: Layout) -> bool:
    return all(
        (sum(bits[index] == "1" for index in parity.covers) + (bits[parity.at] == "1")) % 2 == parity.odd for parity in layout.parity
    )


def _read(bits: str, place: tuple[int, int]) -> int:
    first, length = place
    return int(bits[first : first + length], 2)


def _write(bits: list[str], place: tuple[int, int], value: int) -> None:
    first, length = place
    if not 0 <= value < 1 << length:
        raise CardError("out_of_range", f"The value does not fit into {length} bits.")
    bits[first : first + length] = f"{value:0{length}b}"

"""The FASC-N: 25 bytes of 5-bit characters that number a federal card (PACS TIG 2.3, clause 6; SP 800-73-4 part 1)."""

from __future__ import annotations

import msgspec

from readers.errors import CardError

__all__ = ["FascN"]

_SS, _FS, _ES = 0b1011, 0b1101, 0b1111
# Field widths in order; a separator follows each of the first five.
_WIDTHS = (4, 4, 6, 1, 1, 10, 1, 4, 1)
_SEPARATED = 5


class FascN(msgspec.Struct, frozen=True):
    """The fields, as digits with their leading zeros. Agency 9999 means: not a federal issuer, use the card's UUID."""

    agency: str
    system: str
    credential: str
    series: str
    issue: str
    person: str
    category: str
    organization: str
    association: str

    def __repr__(self) -> str:
        return f"FascN(agency={self.agency!r}, …)"

    @property
    def text(self) -> str:
        """The part that is unique to one card: agency, system, credential, series and issue."""
        return "-".join((self.agency, self.system, self.credential, self.series, self.issue))

    @classmethod
    def decode(cls, data: bytes) -> FascN:
        """Raises CardError ``bad_fascn`` for wrong length, parity, separators or check character."""
        if len(data) != 25:
            raise _bad()
        bits = f"{int.from_bytes(data, 'big'):0200b}"
        characters = []
        for at in range(0, 200, 5):
            chunk = bits[at : at + 5]
            if chunk.count("1") % 2 != 1:
                raise _bad()
            characters.append(int(chunk[3::-1], 2))  # four bits, lowest first, then odd parity
        if characters[0] != _SS or characters[38] != _ES:
            raise _bad()
        check = 0
        for character in characters[:39]:
            check ^= character
        if check != characters[39]:
            raise _bad()
        fields = []
        at = 1
        for index, width in enumerate(_WIDTHS):
            digits = characters[at : at + width]
            if any(digit > 9 for digit in digits):
                raise _bad()
            fields.append("".join(map(str, digits)))
            at += width
            if index < _SEPARATED:
                if characters[at] != _FS:
                    raise _bad()
                at += 1
        return cls(*fields)

    def encode(self) -> bytes:
        """The 25 bytes. Raises CardError ``bad_fascn`` when a field has the wrong width or holds no digits."""
        values = (
            self.agency, self.system, self.credential, self.series, self.issue,
            self.person, self.category, self.organization, self.association,
        )  # fmt: skip
        characters = [_SS]
        for index, (value, width) in enumerate(zip(values, _WIDTHS, strict=True)):
            if len(value) != width or not (value.isascii() and value.isdigit()):
                raise _bad()
            characters.extend(map(int, value))
            if index < _SEPARATED:
                characters.append(_FS)
        characters.append(_ES)
        check = 0
        for character in characters:
            check ^= character
        characters.append(check)
        bits = "".join(_character(value) for value in characters)
        return int(bits, 2).to_bytes(25, "big")


def _character(value: int) -> str:
    low_first = f"{value:04b}"[::-1]
    return low_first + ("0" if low_first.count("1") % 2 else "1")


def _bad() -> CardError:
    return CardError("bad_fascn", "The card's number is damaged. Use another card.")

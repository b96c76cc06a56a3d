"""Which of the things we know a scan is, decided by its content alone."""

from __future__ import annotations

import re
from datetime import date

from .aamva import looks_like_aamva, parse_aamva
from .document import BadgeToken, CardNumber, InvitationToken, Reading
from .errors import DocumentError
from .mrz import looks_like_mrz, parse_mrz

__all__ = ["MAX_SCAN_BYTES", "parse"]

# A PDF417 symbol holds at most 2,710 digits and a QR code 7,089; twice that leaves room for a wedge's doubled
# separators and refuses a 10 MB paste before any pattern looks at it.
MAX_SCAN_BYTES = 16_384

_TOKENS = ("VB1:", "VI1:")
# RFC 9285 base45 alphabet; a signed token has at least a COSE header and a 64-byte signature.
_TOKEN = re.compile(r"(V[BI]1):([0-9A-Z $%*+\-./:]{60,4000})\Z")
_CARD = re.compile(r"[;]?([0-9A-Za-z][0-9A-Za-z _./=:\-]{1,62}[0-9A-Za-z])[?]?\Z")


def parse(data: bytes, *, today: date | None = None) -> Reading:
    """Recognise what ``data`` (one scan, as the scanner sent it) is and read it.

    Recognised by content: an AAMVA barcode or magnetic stripe, an ICAO 9303 machine-readable zone, a badge or invitation
    of this house, or a plain card number. ``today`` (default: the machine's date) decides ``expired`` and ``under_age``.

    Raises DocumentError: ``empty``, ``too_long``, ``not_text``, ``token_damaged``, ``unknown``, or what the reader of the
    recognised kind raises.
    """
    if not data.strip(b" \t\r\n\x00"):
        raise DocumentError("empty", "Nothing was scanned. Hold the document closer and scan again.")
    if len(data) > MAX_SCAN_BYTES:
        raise DocumentError("too_long", "This is longer than any identity document's barcode. Scan the document again.")
    if not _looks_known(data) and _looks_known(data.swapcase()):
        data = data.swapcase()  # typed by a keyboard wedge while Caps Lock was on
    if looks_like_aamva(data):
        return parse_aamva(data, today=today)
    text = _decode(data)
    stripped = text.strip()
    if stripped[:4] in _TOKENS:
        # Only line endings are a scanner's own: a base45 text may itself end in a blank.
        return _token(text.lstrip().rstrip("\r\n\t\x00"))
    if looks_like_mrz(stripped):
        return parse_mrz(stripped, today=today)
    match = _CARD.match(stripped)
    if match and any(letter.isdigit() for letter in stripped):
        return CardNumber(match[1])
    raise DocumentError(
        "unknown", "This is neither an identity document nor a badge this program knows. Try the other side, or type it in."
    )


def _looks_known(data: bytes) -> bool:
    return looks_like_aamva(data) or data.strip()[:4].decode("latin-1") in _TOKENS


def _token(text: str) -> BadgeToken | InvitationToken:
    match = _TOKEN.match(text)
    if match is None:
        raise DocumentError("token_damaged", "The badge's code was only partly read. Scan it again, flat and well lit.")
    return BadgeToken(text) if match[1] == "VB1" else InvitationToken(text)


def _decode(data: bytes) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise DocumentError(
            "not_text", "The scan holds characters that no identity document or badge uses. Scan it again."
        ) from None

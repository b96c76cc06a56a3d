"""Sample documents: AAMVA payloads with exact offsets, their PDF417 pictures, camera frames of them, passport lines."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from datetime import date

from readers.aamva_data import CANADA, ISSUERS
from readers.barcode.zxing import draw_pdf417
from readers.mrz import check_digit

__all__ = ["camera_frame", "license_image", "license_payload", "passport_mrz"]

_IIN = {letters: number for number, letters in reversed(ISSUERS.items()) if number != "990876"}
_SEX = {"M": "1", "F": "2", "X": "9"}
_EYES = {"brown": "BRO", "blue": "BLU", "green": "GRN", "hazel": "HAZ", "gray": "GRY", "black": "BLK"}


def license_payload(
    *,
    family_name: str = "SAMPLE",
    given_name: str = "JORDAN",
    middle_names: Sequence[str] = (),
    suffix: str = "",
    birth_date: date = date(1985, 4, 12),
    sex: str = "F",
    number: str = "D1234567",
    issuer: str = "TX",
    issue_date: date = date(2023, 6, 1),
    expiry_date: date = date(2031, 4, 12),
    street: str = "100 MAIN STREET",
    street2: str = "",
    city: str = "SPRINGFIELD",
    postal_code: str = "787010000",
    height_in: int = 67,
    eye_color: str = "brown",
    version: int = 10,
    kind: str = "DL",
) -> bytes:
    """The bytes of a card's PDF417 symbol after the AAMVA DL/ID standard (annex D), its offsets exact.

    ``issuer`` is a state's or province's letters, ``version`` 4 to 11, ``kind`` DL, ID or EN. KeyError for an unknown issuer.
    """
    canadian = issuer in CANADA

    def day(value: date) -> str:
        return value.strftime("%Y%m%d") if canadian else value.strftime("%m%d%Y")

    elements = [
        ("DAQ", number), ("DCS", family_name), ("DDE", "N"), ("DAC", given_name), ("DDF", "N"),
        ("DAD", " ".join(middle_names) or "NONE"), ("DDG", "N"), ("DCA", "C"), ("DCB", "NONE"), ("DCD", "NONE"),
        ("DBD", day(issue_date)), ("DBB", day(birth_date)), ("DBA", day(expiry_date)), ("DBC", _SEX[sex]),
        ("DAU", f"{round(height_in * 2.54):03d} CM" if canadian else f"{height_in:03d} IN"), ("DAY", _EYES.get(eye_color, "BRO")),
        ("DAG", street), *([("DAH", street2)] if street2 else []), ("DAI", city), ("DAJ", issuer),
        ("DAK", postal_code.ljust(11)), ("DCF", "0123456789ABCDEF"), ("DCG", "CAN" if canadian else "USA"),
        *([("DCU", suffix)] if suffix else []),
    ]  # fmt: skip
    body = kind + "\n".join(key + value for key, value in elements) + "\r"
    header = f"@\n\x1e\rANSI {_IIN[issuer]}{version:02d}0001"
    offset = len(header) + 10
    return f"{header}{kind}{offset:04d}{len(body.encode()):04d}{body}".encode()


def license_image(payload: bytes | None = None, *, scale: int = 3) -> bytes:
    """A PNG of the PDF417 symbol of ``payload`` (default: the sample license), quiet zone included, ``scale`` pixels a module."""
    picture = draw_pdf417(payload if payload is not None else license_payload(), scale=scale)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def camera_frame(
    image: bytes,
    *,
    size: tuple[int, int] = (1280, 720),
    tilt: float = 0.0,
    blur: float = 0.0,
    noise: float = 0.0,
    seed: int = 0,
    quality: int = 85,
) -> bytes:
    """A JPEG as a camera would see ``image`` lying on a desk: turned by ``tilt`` degrees, ``blur`` pixels out of focus,
    with ``noise`` (standard deviation in gray levels) from ``seed``."""
    from PIL import Image, ImageChops, ImageFilter

    symbol = Image.open(io.BytesIO(image)).convert("L")
    chance = random.Random(seed)  # noqa: S311 - a picture needs no cryptographic chance
    fit = min(size[0] * 0.8 / symbol.width, size[1] * 0.8 / symbol.height, 1.0)
    if fit < 1.0:
        symbol = symbol.resize((int(symbol.width * fit), int(symbol.height * fit)), Image.Resampling.LANCZOS)
    frame = Image.new("L", size, 120)
    card = Image.new("L", (min(size[0], symbol.width + 60), min(size[1], symbol.height + 60)), 245)
    card.paste(symbol, ((card.width - symbol.width) // 2, (card.height - symbol.height) // 2))
    mask = Image.new("L", card.size, 255)
    if tilt:
        card = card.rotate(tilt, Image.Resampling.BICUBIC, expand=True)
        mask = mask.rotate(tilt, Image.Resampling.NEAREST, expand=True)
    at = ((size[0] - card.width) // 2 + chance.randint(-20, 20), (size[1] - card.height) // 2 + chance.randint(-10, 10))
    frame.paste(card, at, mask)
    if blur:
        frame = frame.filter(ImageFilter.GaussianBlur(blur))
    if noise:
        speckle = Image.frombytes("L", (size[0] // 2, size[1] // 2), chance.randbytes(size[0] // 2 * (size[1] // 2))).resize(size)
        # Uniform bytes have a standard deviation of 74: scale to what was asked for, around the frame's own values.
        spread = speckle.point(lambda value: int((value - 128) * noise / 74 + 128))
        frame = ImageChops.add(frame, spread, scale=1.0, offset=-128)
    out = io.BytesIO()
    frame.save(out, "JPEG", quality=quality)
    return out.getvalue()


def passport_mrz(
    *,
    family_name: str = "SAMPLE",
    given_names: str = "JORDAN LEE",
    number: str = "X12345678",
    issuer: str = "USA",
    nationality: str = "USA",
    birth_date: date = date(1985, 4, 12),
    sex: str = "F",
    expiry_date: date = date(2031, 4, 12),
    personal_number: str = "",
) -> str:
    """The two lines of a passport (ICAO 9303 part 4, TD3), check digits included."""

    def field(text: str, width: int) -> str:
        return text.upper().replace(" ", "<").replace("-", "<").replace("'", "")[:width].ljust(width, "<")

    name = field(f"{family_name.replace(' ', '<')}<<{given_names.replace(' ', '<')}", 39)
    number_field, personal = field(number, 9), field(personal_number, 14)
    birth, expiry = birth_date.strftime("%y%m%d"), expiry_date.strftime("%y%m%d")
    number_part, birth_part, expiry_part = (text + check_digit(text) for text in (number_field, birth, expiry))
    personal_part = personal + check_digit(personal)
    whole = check_digit(number_part + birth_part + expiry_part + personal_part)
    letter = {"M": "M", "F": "F"}.get(sex, "<")
    return f"P<{field(issuer, 3)}{name}\n{number_part}{field(nationality, 3)}{birth_part}{letter}{expiry_part}{personal_part}{whole}"

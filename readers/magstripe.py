"""The AAMVA magnetic stripe: three tracks, as a swipe reader types them (card design standard, annex F).

Track 1: ``%`` state(2) city(13, ``^`` when shorter) name(35, ``$`` between parts) ``^`` address(29) ``^?``
Track 2: ``;`` issuer(6) number(13) ``=`` expiry YYMM birth CCYYMMDD number overflow(5) ``?``
Track 3: start, versions(2) postal code(11) class(2) restrictions(10) endorsements(4) sex(1) height(3) weight(3) hair(3) eyes(3)
"""

from __future__ import annotations

import calendar
import re
from datetime import date

from .aamva_data import CANADA, EYE_COLORS, ISSUERS, PLACEHOLDERS
from .document import Address, DocumentWarning, IdDocument, Sex

__all__ = ["looks_like_stripe", "parse_stripe"]

_START = re.compile(r"\s*%[A-Z]{2}[^\n^]{2,60}\^")
_TRACK_2 = re.compile(r";(\d{6})(\d{1,13})=(\d{4})(\d{8})(\d{0,5})=?\?")
_TRACK_3 = re.compile(r"\?.{0,3}?[#%+!](?:.{2})([A-Z0-9 ]{11}).{2}.{10}.{4}([12MFX90 ])([0-9 ]{3})([0-9 ]{3})([A-Z ]{3})([A-Z ]{3})")
_NUMBER_WIDTH, _ADDRESS_WIDTH = 13, 29
_SEX: dict[str, Sex] = {"1": "M", "M": "M", "2": "F", "F": "F", "9": "X", "X": "X"}


def looks_like_stripe(text: str) -> bool:
    """Whether ``text`` begins like track 1 of an AAMVA card."""
    return _START.match(text) is not None


def parse_stripe(text: str, *, today: date) -> IdDocument:
    """Read an AAMVA magnetic stripe; a track that is missing or unreadable costs its fields and leaves a warning."""
    warnings: list[DocumentWarning] = []
    body = text.lstrip()[1:]
    end = body.find("?")
    track_1 = (body if end < 0 else body[:end]).rstrip("\\ ")
    state, track_1 = track_1[:2], track_1[2:]
    caret = track_1.find("^", 0, 14)
    city, rest = (track_1[:caret], track_1[caret + 1 :]) if caret >= 0 else (track_1[:13], track_1[13:])
    fields = rest.split("^")
    # Only an address that fills its 29 places goes without the mark at its end.
    if len(fields) != 3 and not (len(fields) == 2 and len(fields[1]) >= _ADDRESS_WIDTH):
        warnings.append(DocumentWarning("element_malformed", "name"))
    # The first part is the family name; Manitoba and British Columbia leave a comma before the "$".
    names = [piece.strip().rstrip(",").strip() for piece in fields[0].split("$")]
    family, given, middle = _names(names)
    if family is None or given is None or any(ch.isdigit() for ch in fields[0]):
        warnings.append(DocumentWarning("element_malformed", "name"))
    lines = [line.strip() for line in (fields[1] if len(fields) > 1 else "").split("$")]
    if caret < 0 and not any(line.startswith(city.strip()) for line in lines[1:]):
        # A city of 13 letters, or one whose mark was lost, and then letters of the name are in it.
        warnings.append(DocumentWarning("element_malformed", "city"))

    number = birth = expiry = None
    issuer = state
    if found := _TRACK_2.search(text):
        issuer = ISSUERS.get(found[1], "??")
        if issuer == "??":
            issuer = state
            warnings.append(DocumentWarning("issuer_unknown"))
        elif issuer != state:
            warnings.append(DocumentWarning("issuer_mismatch", "region"))
        number = _number(found[2], found[5], issuer)
        # What runs over behind the birth date ran over 13 places; Florida's numbers are a letter and 12 digits.
        if (found[5] and len(found[2]) < _NUMBER_WIDTH) or (issuer == "FL" and len(found[2]) + len(found[5]) != _NUMBER_WIDTH + 1):
            warnings.append(DocumentWarning("element_malformed", "number"))
        birth, expiry = _dates(found[3], found[4], warnings)
    else:
        warnings.extend(DocumentWarning("element_missing", field) for field in ("number", "birth_date", "expiry_date"))

    postal = sex = height = eye = None
    country = "CAN" if issuer in CANADA else "USA"
    if found := _TRACK_3.search(text):
        postal = found[1].replace(" ", "") or None
        if postal and country == "USA" and len(postal) == 9 and postal.endswith("0000"):
            postal = postal[:5]
        sex = _SEX.get(found[2])
        height = _height(found[3].strip(), metric=country == "CAN")
        eye = EYE_COLORS.get(found[6].strip())
    else:
        warnings.append(DocumentWarning("element_missing", "sex"))

    # Judged here like a barcode's, but by a module that must not import its own importer.
    if expiry is not None and expiry < today:
        warnings.append(DocumentWarning("expired"))
    if birth is not None:
        if birth > today:
            warnings.append(DocumentWarning("element_malformed", "birth_date"))
        elif today.year - birth.year - ((today.month, today.day) < (birth.month, birth.day)) < 18:
            warnings.append(DocumentWarning("under_age"))
    return IdDocument(
        kind="driver_license",
        issuer=issuer,
        country=country,
        number=number,
        family_name=family,
        given_name=given,
        middle_names=middle,
        birth_date=birth,
        expiry_date=expiry,
        sex=sex,
        address=Address(
            street=lines[0] or None,
            street2=next((line for line in lines[1:] if line and not line.startswith(city.strip()[:10])), None),
            city=city.strip() or None,
            region=state,
            postal_code=postal,
        ),
        height_cm=height,
        eye_color=eye,
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _names(parts: list[str]) -> tuple[str | None, str | None, tuple[str, ...]]:
    kept = [part if part.upper() not in PLACEHOLDERS else "" for part in parts]
    family = kept[0] or None
    given = kept[1] if len(kept) > 1 else ""
    middle = tuple(word for part in kept[2:] for word in part.split())
    words = given.split()
    if len(words) > 1 and not middle:
        return family, words[0], tuple(words[1:])
    return family, given or None, middle


def _number(number: str, overflow: str, issuer: str) -> str:
    """Florida codes the number's first letter as two digits (A is 01); what does not fit runs over behind the birth date."""
    whole = number + overflow
    if issuer == "FL" and len(whole) >= 13 and 1 <= int(whole[:2]) <= 26:
        return chr(ord("A") + int(whole[:2]) - 1) + whole[2:]
    return whole


def _dates(expires: str, born: str, warnings: list[DocumentWarning]) -> tuple[date | None, date | None]:
    """Birth and expiry. In the expiry's month 77 means never, 88 the end of the birth month, 99 the birthday."""
    year, month = 2000 + int(expires[:2]), int(expires[2:])
    # Florida writes 99 as the month of birth when it is the month of expiry.
    birth_month = month if born[4:6] == "99" and 1 <= month <= 12 else int(born[4:6])
    birth = _date(int(born[:4]), birth_month, int(born[6:]))
    if birth is None:
        warnings.append(DocumentWarning("date_unreadable", "birth_date"))
    expiry = None
    if month == 77:
        warnings.append(DocumentWarning("no_expiry"))
    elif month == 88 and birth is not None:
        expiry = _last_day(year, birth.month)
    elif month == 99 and birth is not None:
        expiry = _date(year, birth.month, birth.day) or _last_day(year, birth.month)
    elif 1 <= month <= 12:
        expiry = _last_day(year, month)
    else:
        warnings.append(DocumentWarning("date_unreadable", "expiry_date"))
    return birth, expiry


def _last_day(year: int, month: int) -> date:
    return date(year, month, calendar.monthrange(year, month)[1])


def _date(year: int, month: int, day: int) -> date | None:
    if not 1890 <= year <= 2150:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _height(digits: str, *, metric: bool) -> int | None:
    if len(digits) != 3 or not digits.isdigit():
        return None
    if metric:
        return int(digits) if 50 <= int(digits) <= 250 else None
    inches = int(digits[0]) * 12 + int(digits[1:])
    return round(inches * 2.54) if 20 <= inches <= 96 else None

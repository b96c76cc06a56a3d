"""AAMVA driver licenses and identification cards: PDF417 payloads of versions 1 to 11, and the magnetic stripe.

``parse_aamva`` is pure and never guesses silently: what had to be mended or chosen is a warning on the document.
"""

from __future__ import annotations

import re
from datetime import date

from .aamva_data import CANADA, EYE_COLORS, ISSUERS, KNOWN, MANDATORY, PLACEHOLDERS, VALUES
from .aamva_elements import HEADER, Payload, split_payload
from .aamva_names import read_names
from .dates import DateReader
from .document import Address, DocumentWarning, IdDocument, Kind, Sex
from .errors import DocumentError
from .magstripe import looks_like_stripe, parse_stripe

__all__ = ["looks_like_aamva", "parse_aamva"]

_MAX_CHARACTERS = 16_384

_KINDS: dict[str, Kind] = {"DL": "driver_license", "ID": "id_card", "EN": "enhanced_license"}
_SEX: dict[str, Sex] = {"1": "M", "M": "M", "MALE": "M", "2": "F", "F": "F", "FEMALE": "F", "9": "X", "X": "X"}
_POSTAL_BREAK = re.compile(r"[ \-]+")
_HEIGHT = re.compile(r"(\d{2,3}) ?(IN|CM)?|(\d) ?'-? ?(\d{1,2})\"?")
# An element's name inside a value; only the D is consumed, so that DDAB is seen to hold DDA and DAB.
_EMBEDDED = re.compile(r"D(?=[A-D][A-Z])")
_FIRST_VERSION_ONLY = frozenset({"DAE", "DAF", "DAL", "DAM", "DAN", "DAO", "DAP", "DAR", "DAS", "DAT"})
_EMBEDDED_SINCE_2 = KNOWN - _FIRST_VERSION_ONLY
_FIELD_OF = {
    "DCS": "family_name", "DAB": "family_name", "DAA": "name", "DAC": "given_name", "DCT": "given_name", "DAD": "middle_names",
    "DCU": "suffix", "DBB": "birth_date", "DBA": "expiry_date", "DBD": "issue_date", "DBC": "sex", "DAQ": "number", "DAG": "street",
    "DAH": "street2", "DAI": "city", "DAJ": "region", "DAK": "postal_code", "DAU": "height_cm", "DAY": "eye_color",
    "DCG": "country", "DCF": "document_discriminator", "DDE": "truncated", "DDF": "truncated", "DDG": "truncated",
}  # fmt: skip
# Each line of the mailing address, and the same line of version 1's residence.
_ADDRESS_LINES = (("DAG", "DAL"), ("DAH", "DAM"), ("DAI", "DAN"), ("DAJ", "DAO"), ("DAK", "DAP"))
_TEXT = ("DCS", "DAB", "DAC", "DCT", "DAD", "DAA", "DAG", "DAH", "DAI", "DAQ", "DCU")


def looks_like_aamva(data: bytes) -> bool:
    """Whether ``data`` begins like an AAMVA barcode or magnetic stripe, however garbled its control characters."""
    head = data[:80].decode("latin-1")
    return HEADER.search(head) is not None or looks_like_stripe(head) or (head.lstrip()[:1] == "@" and "DL0" in head)


def parse_aamva(data: bytes | str, *, today: date | None = None) -> IdDocument:
    """Read an AAMVA DL/ID barcode (card design standard versions 1 to 11, annex D) or magnetic stripe (annex E/F).

    ``data`` is the scan, as bytes (UTF-8 or ISO 8859-1) or text. ``today`` decides ``expired`` and ``under_age``.

    Raises DocumentError: ``too_long``, ``not_aamva``, ``no_fields``, ``separators_lost``, ``birth_date_missing``,
    ``name_missing``.
    """
    text = _text(data)
    today = today or date.today()  # noqa: DTZ011 - a document expires at the reader's own midnight
    if looks_like_stripe(text):
        return parse_stripe(text, today=today)
    payload = split_payload(text)
    elements, warnings = payload.elements, payload.warnings

    if "DBB" not in elements:
        raise DocumentError("birth_date_missing", "The barcode carries no birth date. Scan it again, or type the document in.")
    issuer, country = _issuer(payload)
    names = read_names(elements, issuer, payload.version, warnings)
    if names.family_name is None and names.given_name is None:
        raise DocumentError("name_missing", "The barcode carries no name. Scan it again, or type the document in.")
    _check(payload)

    dates = DateReader()
    birth = dates.read("birth_date", elements.get("DBB"), warnings)
    issue = dates.read("issue_date", elements.get("DBD"), warnings)
    expiry = dates.read("expiry_date", elements.get("DBA"), warnings)
    birth, issue, expiry = dates.settle(birth, issue, expiry, warnings)

    judge(birth, issue, expiry, today, warnings)
    if len(payload.jurisdiction.get("ZCE", "")) > 40:
        # California since 2025: a W3C verifiable credential in CBOR, checked by the DMV's own verifier only.
        warnings.append(DocumentWarning("signature_not_verified"))
    return IdDocument(
        kind=_KINDS[payload.subfile],
        issuer=issuer,
        country=country,
        number=elements.get("DAQ", "").strip() or None,
        family_name=names.family_name,
        given_name=names.given_name,
        middle_names=names.middle_names,
        suffix=names.suffix,
        truncated=names.truncated,
        birth_date=birth,
        sex=_SEX.get(elements.get("DBC", "").strip().upper()),
        issue_date=issue,
        expiry_date=expiry,
        address=_address(elements, country),
        height_cm=_height(elements, country),
        eye_color=EYE_COLORS.get(elements.get("DAY", "").strip().upper()),
        warnings=tuple(dict.fromkeys(warnings)) if warnings else (),
    )


def _text(data: bytes | str) -> str:
    if len(data) > _MAX_CHARACTERS:
        raise DocumentError("too_long", "This is longer than any driver license's barcode. Scan the document again.")
    if isinstance(data, str):
        return data
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _issuer(payload: Payload) -> tuple[str, str]:
    """Issuer and country, from the issuer number first, the address and DCG as witnesses."""
    elements, warnings = payload.elements, payload.warnings
    region = elements.get("DAJ", "").strip().upper()
    stated = elements.get("DCG", "").strip().upper()[:3]
    issuer = ISSUERS.get(payload.iin)
    if issuer is None:
        warnings.append(DocumentWarning("issuer_unknown"))
        issuer = region if len(region) == 2 else "??"
    elif region and region != issuer and issuer != "US":
        warnings.append(DocumentWarning("issuer_mismatch", "region"))
    country = "CAN" if issuer in CANADA else "MEX" if len(issuer) == 3 else "USA"
    if stated in ("USA", "CAN", "MEX") and stated != country:
        warnings.append(DocumentWarning("issuer_mismatch", "country"))
    return issuer, country


def _check(payload: Payload) -> None:
    """Warn of required elements that are missing and of values that do not look like their element."""
    elements, warnings = payload.elements, payload.warnings
    for key in MANDATORY.get(payload.version, ()):
        if key not in elements and not _stands_in(key, elements):
            warnings.append(DocumentWarning("element_missing", _FIELD_OF.get(key, key)))
    # Elements we take no fact from are looked at as well: a damaged name may have turned one element into another.
    for key, scanned in () if payload.in_order else elements.items():
        text = scanned.strip()
        if text and key in VALUES and not VALUES[key].fullmatch(text) and text.upper() not in PLACEHOLDERS:
            warnings.append(DocumentWarning("element_malformed", _FIELD_OF.get(key, key)))
    if elements.get("DAQ", "").strip().upper() in PLACEHOLDERS:
        warnings.append(DocumentWarning("element_malformed", "number"))
    if elements.get("DCU", "").strip().isdigit():
        warnings.append(DocumentWarning("element_malformed", "suffix"))
    # A lost separator leaves the next element inside this value, and missing from its own place. Elements of the first
    # version's layout are not looked for in later ones: DANIEL and CEDAR AVENUE would be doubted.
    embedded = _EMBEDDED_SINCE_2 if payload.version > 1 else KNOWN
    for key in _TEXT:
        value = elements.get(key)
        if not value or "D" not in value:
            continue
        for match in _EMBEDDED.finditer(value):
            at = match.start()
            inner = value[at : at + 3]
            if inner in embedded and inner not in elements:
                rest = value[at + 3 :].strip()
                if rest and VALUES[inner].fullmatch(rest):
                    warnings.append(DocumentWarning("line_joined", _FIELD_OF[key]))
                    break


def _stands_in(key: str, elements: dict[str, str]) -> bool:
    """Older layouts give the same fact under another element."""
    if key == "DCS":
        return "DAB" in elements or "DAA" in elements
    if key in ("DAC", "DAD"):
        return "DCT" in elements or "DAA" in elements
    return key == "DAG" and "DAL" in elements


def judge(birth: date | None, issue: date | None, expiry: date | None, today: date, warnings: list[DocumentWarning]) -> None:
    """Warnings that follow from the dates and from today's."""
    if expiry is not None and expiry < today:
        warnings.append(DocumentWarning("expired"))
    if issue is not None and issue > today:
        warnings.append(DocumentWarning("not_yet_issued"))
    if birth is not None:
        if birth > today or (issue is not None and issue < birth) or (expiry is not None and expiry < birth):
            warnings.append(DocumentWarning("element_malformed", "birth_date"))
        elif today.year - birth.year - ((today.month, today.day) < (birth.month, birth.day)) < 18:
            warnings.append(DocumentWarning("under_age"))


def _clean(value: str) -> str | None:
    value = value.strip().rstrip(",").rstrip()
    return None if value.upper() in PLACEHOLDERS else value


def _address(elements: dict[str, str], country: str) -> Address | None:
    """Mailing address; version 1 cards may give only a residence (Oregon: DAG empty, DAL filled)."""
    street, street2, city, region, code = [
        (_clean(elements[mailing]) if mailing in elements else None) or (_clean(elements[home]) if home in elements else None)
        for mailing, home in _ADDRESS_LINES
    ]
    postal = postal_code(code, country) if code else None
    if street2 is not None and city and region and street2.startswith(city) and street2[len(city) :].lstrip(", ").startswith(region):
        street2 = None  # Wyoming repeats city, state and code there
    if not any((street, street2, city, region, postal)):
        return None
    return Address(street=street, street2=street2, city=city, region=region, postal_code=postal)


def postal_code(value: str, country: str) -> str | None:
    """A postal code without separators and without an extension of zeros ("370115509", "95035", "E5K1Y3")."""
    code = value.strip().upper()
    if " " in code or "-" in code:
        parts = _POSTAL_BREAK.split(code)
        if country != "CAN" and not parts[-1].strip("0"):
            parts.pop()  # Hawaii: five digits, blanks, a lone zero
        code = "".join(parts)
    if country != "CAN" and len(code) >= 9 and code.endswith("0000"):
        code = code[:-4]
    return code or None


def _height(elements: dict[str, str], country: str) -> int | None:
    for key, metric in (("DAU", country != "USA"), ("DAV", True)):
        if key in elements and (found := height_cm(elements[key], metric=metric)):
            return found
    return None


def height_cm(value: str, *, metric: bool) -> int | None:
    """Centimetres from "068 in", "170 CM", "600" or "5'-04\"" (feet and inches); None where no person is so tall."""
    match = _HEIGHT.fullmatch(value.strip().upper())
    if match is None:
        return None
    figures, unit, feet, odd_inches = match.groups()
    if feet:
        inches = int(feet) * 12 + int(odd_inches)
    else:
        number = int(figures)
        if unit == "CM" or (unit is None and metric):
            return number if 50 <= number <= 250 else None
        if unit is None and len(figures) == 3 and number >= 200:
            inches = number // 100 * 12 + number % 100
        else:
            inches = number
    return round(inches * 2.54) if 20 <= inches <= 96 else None

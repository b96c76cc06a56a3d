"""ICAO 9303 machine-readable zones: TD1, TD2, TD3, MRV-A and MRV-B, and the French and Swiss national forms.

Check digits (Doc 9303 part 3, clause 4.9) witness every field that has one. A character that OCR confuses is put right
only where a check digit proves it; names have none (but for the French card, whose last digit covers them), so they stay
as scanned.
"""

from __future__ import annotations

import itertools
import re
from datetime import date
from typing import NamedTuple

from .document import DocumentWarning, IdDocument, Kind, NamePart, Sex
from .errors import DocumentError

__all__ = ["check_digit", "looks_like_mrz", "parse_mrz"]

_TO_DIGIT = str.maketrans("OQDIZSGB", "00012568")
_TO_LETTER = str.maketrans("012568", "OIZSGB")
# What each character is confused with in OCR-B read by a camera; tried in document numbers, where both kinds are allowed.
_CONFUSED = {"O": "0", "0": "O", "I": "1", "1": "I", "B": "8", "8": "B", "S": "5", "5": "S", "Z": "2", "2": "Z", "G": "6", "6": "G"}
_MAX_FLIPS = 2
_VALUES = {character: value for value, character in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")} | {"<": 0}
_ALLOWED = re.compile(r"[A-Z0-9<]+")
_NAME = re.compile(r"[A-Z<]*")
_SHAPES = {(30, 30, 30), (36, 36), (44, 44), (9, 30, 30)}
_JOINED = {90: (30, 30, 30), 72: (36, 36), 88: (44, 44), 69: (9, 30, 30)}
# Where a checked number's letters and digits are fixed by the layout, only those places are read so.
_FRENCH_NUMBER = re.compile(r"\d{4}[A-Z0-9]{3}\d{5}")
_COUNTRIES = {"D": "DEU"}


class _Zone(NamedTuple):
    """Where the fields of one layout stand: (line, start, end); a check digit stands at ``end``."""

    number: tuple[int, int, int]
    birth: tuple[int, int, int]
    sex: tuple[int, int]
    expiry: tuple[int, int, int]
    nationality: tuple[int, int, int]
    names: tuple[int, int, int]
    composite: tuple[tuple[int, int, int], ...]
    composite_at: tuple[int, int] | None


_TD1 = _Zone((0, 5, 14), (1, 0, 6), (1, 7), (1, 8, 14), (1, 15, 18), (2, 0, 30), ((0, 5, 30), (1, 0, 7), (1, 8, 15), (1, 18, 29)), (1, 29))
_TD2 = _Zone((1, 0, 9), (1, 13, 19), (1, 20), (1, 21, 27), (1, 10, 13), (0, 5, 36), ((1, 0, 10), (1, 13, 20), (1, 21, 35)), (1, 35))
_TD3 = _Zone((1, 0, 9), (1, 13, 19), (1, 20), (1, 21, 27), (1, 10, 13), (0, 5, 44), ((1, 0, 10), (1, 13, 20), (1, 21, 43)), (1, 43))
_MRV_B = _TD2._replace(composite=(), composite_at=None)
_MRV_A = _TD3._replace(composite=(), composite_at=None)


def check_digit(text: str) -> str:
    """The check digit of ``text``: weights 7, 3, 1, modulo 10 (Doc 9303 part 3, clause 4.9). KeyError on a bad character."""
    return str(sum(_VALUES[character] * (7, 3, 1)[index % 3] for index, character in enumerate(text)) % 10)


def looks_like_mrz(text: str) -> bool:
    """Whether ``text`` has the shape and the alphabet of a machine-readable zone."""
    if "<" not in text:
        return False
    try:
        _lines(text)
    except DocumentError:
        return False
    return True


def parse_mrz(text: str, *, today: date | None = None) -> IdDocument:
    """Read a machine-readable zone: two or three lines, or all of it on one line. ``today`` decides centuries and expiry.

    Raises DocumentError: ``mrz_shape`` (not the shape of any known zone), ``mrz_unreadable`` (no check digit holds).
    """
    lines = _lines(text)
    today = today or date.today()  # noqa: DTZ011 - a document expires at the reader's own midnight
    shape = tuple(map(len, lines))
    if shape == (9, 30, 30):
        return _swiss(lines, today)
    if shape == (36, 36) and lines[0][:5].translate(_TO_LETTER) == "IDFRA":
        return _french(lines, today)
    if shape == (30, 30, 30):
        return _standard(lines, _TD1, today)
    visa = lines[0][0] == "V"
    if shape == (36, 36):
        return _standard(lines, _MRV_B if visa else _TD2, today)
    return _standard(lines, _MRV_A if visa else _TD3, today)


def _lines(text: str) -> list[str]:
    """The zone's lines, upper case and without blanks; fillers that were cut from a name line's end are put back."""
    if len(text) > 400:
        raise DocumentError("mrz_shape", "This is longer than any machine-readable zone. Scan only the lines with the arrows.")
    lines = [line.replace(" ", "").replace("«", "<<").upper() for line in re.split(r"[\r\n]+", text.strip())]
    lines = [line for line in lines if line]
    if len(lines) == 1 and len(lines[0]) in _JOINED:
        whole, lines = lines[0], []
        for width in _JOINED[len(whole)]:
            lines.append(whole[:width])
            whole = whole[width:]
    elif len(lines) == 2 and len(lines[1]) in (36, 44) and 5 < len(lines[0]) < len(lines[1]):
        lines[0] = lines[0].ljust(len(lines[1]), "<")
    elif len(lines) == 3 and len(lines[1]) == 30 and 2 < len(lines[2]) < 30:
        lines[2] = lines[2].ljust(30, "<")
    if tuple(map(len, lines)) not in _SHAPES:
        raise DocumentError("mrz_shape", "These lines are not a machine-readable zone of two or three full lines. Scan them again.")
    if not all(_ALLOWED.fullmatch(line.replace("?", "<")) for line in lines):
        raise DocumentError("mrz_shape", "The lines hold characters that no machine-readable zone uses. Scan them again.")
    return lines


def _holds(value: str, digit: str) -> bool:
    # "<" stands for zero where an optional field is empty (Doc 9303 part 4, clause 4.2.2.2).
    try:
        return check_digit(value) == ("0" if digit == "<" and not value.strip("<") else digit)
    except KeyError:
        return False


def _standard(lines: list[str], zone: _Zone, today: date) -> IdDocument:
    """TD1, TD2, TD3 and visas share their fields; only the places differ."""
    warnings: list[DocumentWarning] = []
    work = [list(line) for line in lines]
    results: list[bool] = []

    def checked_date(field: str, place: tuple[int, int, int]) -> str:
        line, start, end = place
        value, digit = lines[line][start:end], lines[line][end]
        # A date has no letters, even where they count the same: G is 16 and 6 is 6, to a check digit.
        if not _holds(value, digit) or not value.replace("<", "0").isdigit():
            mended = value.translate(_TO_DIGIT), digit.translate(_TO_DIGIT)
            if mended != (value, digit) and _holds(*mended):
                value, digit = mended
                work[line][start : end + 1] = value + digit
                warnings.append(DocumentWarning("character_mended", field))
            else:
                warnings.append(DocumentWarning("check_digit_wrong", field))
                results.append(False)
                return value
        results.append(True)
        return value

    birth_text = checked_date("birth_date", zone.birth)
    expiry_text = checked_date("expiry_date", zone.expiry)
    number, number_ok = _number(lines, work, zone, warnings)
    results.append(number_ok)
    if zone is _TD3:
        personal = (1, 28, 42)
        if not _holds(lines[1][28:42], lines[1][42]):
            mended = _mended(work, zone, personal) is not None
            warnings.append(DocumentWarning("character_mended" if mended else "check_digit_wrong", "personal_number"))
            results.append(mended)
    if zone.composite_at is not None:
        line, at = zone.composite_at
        covered = "".join("".join(work[row][start:end]) for row, start, end in zone.composite)
        digit = lines[line][at]
        if not _holds(covered, digit):
            if _holds(covered, digit.translate(_TO_DIGIT)):
                warnings.append(DocumentWarning("character_mended", "composite_check_digit"))
            else:
                warnings.append(DocumentWarning("check_digit_wrong", "composite_check_digit"))
                results.append(False)
    if not any(results[:3]):
        raise DocumentError("mrz_unreadable", "None of the check digits matches: the lines were misread. Scan them again.")

    row, start, end = zone.names
    family, given, middle, truncated = _names(lines[row][start:end], warnings)
    row, start, end = zone.nationality
    nationality = _country(lines[row][start:end], "nationality", warnings)
    issuer = _country(lines[0][2:5], "issuer", warnings)
    return _document(
        _kind(lines[0][:2]), issuer, number, (family, given, middle), truncated, birth_text, expiry_text,
        lines[zone.sex[0]][zone.sex[1]], nationality, "check_digits" if all(results) else "none", warnings, today,
    )  # fmt: skip


def _number(lines: list[str], work: list[list[str]], zone: _Zone, warnings: list[DocumentWarning]) -> tuple[str | None, bool]:
    """The document number, long ones continued in the optional field (Doc 9303 part 5, clause 4.2.2, note j)."""
    row, start, end = zone.number
    value, digit = lines[row][start:end], lines[row][end]
    if digit == "<" and zone in (_TD1, _TD2):
        line, low, high = (0, 15, 30) if zone is _TD1 else (1, 28, 35)
        tail = lines[line][low:high].split("<", 1)[0]
        if len(tail) >= 2:
            # Belgium's older cards count the filler in as well.
            held = _holds(value + tail[:-1], tail[-1]) or _holds(value + "<" + tail[:-1], tail[-1])
            if not held:
                warnings.append(DocumentWarning("check_digit_wrong", "number"))
            return value + tail[:-1], held
    if _holds(value, digit):
        return value.strip("<").replace("<", " ") or None, True
    mended = _mended(work, zone, zone.number)
    if mended is not None:
        warnings.append(DocumentWarning("character_mended", "number"))
        return mended.strip("<").replace("<", " "), True
    warnings.append(DocumentWarning("check_digit_wrong", "number"))
    return value.strip("<").replace("<", " ") or None, False


def _mended(work: list[list[str]], zone: _Zone, place: tuple[int, int, int]) -> str | None:
    """The field at ``place`` with its misread characters put right, in ``work`` too; None where no mend is proved."""
    row, start, end = place
    found = _mend_number("".join(work[row][start:end]), work[row][end])
    if found is None:
        return None
    # One digit in ten is right by chance: the composite digit has to agree with the mend as well.
    trial = list(work[row])
    trial[start:end] = found[0]
    trial[end] = found[1]
    if zone.composite_at is not None and not _composite_holds(work, row, trial, zone):
        return None
    work[row] = trial
    return found[0]


def _composite_holds(work: list[list[str]], row: int, trial: list[str], zone: _Zone) -> bool:
    assert zone.composite_at is not None
    rows = list(work)
    rows[row] = trial
    covered = "".join("".join(rows[line][start:end]) for line, start, end in zone.composite)
    line, at = zone.composite_at
    return _holds(covered, rows[line][at].translate(_TO_DIGIT))


def _mend_number(value: str, digit: str) -> tuple[str, str] | None:
    """The only reading within two confusions that its check digit proves; None when there is none, or more than one."""
    digit = digit.translate(_TO_DIGIT)
    if _holds(value, digit):
        return value, digit
    places = [index for index, character in enumerate(value) if character in _CONFUSED]
    for flips in range(1, _MAX_FLIPS + 1):
        found = set()
        for chosen in itertools.combinations(places, flips):
            trial = list(value)
            for index in chosen:
                trial[index] = _CONFUSED[trial[index]]
            text = "".join(trial)
            if _holds(text, digit):
                found.add(text)
        if len(found) == 1:
            return found.pop(), digit
        if found:
            return None
    return None


def _french(lines: list[str], today: date) -> IdDocument:
    """The French national identity card before 2021: names in both lines, one digit over everything, no expiry."""
    warnings: list[DocumentWarning] = []
    first, second = lines
    if not (_holds(second[:12], second[12]) and _holds(second[27:33], second[33]) and _holds(first + second[:35], second[35])):
        mended_first = first[:30].translate(_TO_LETTER) + first[30:]
        mended_second = (
            second[:4].translate(_TO_DIGIT) + second[4:7] + second[7:13].translate(_TO_DIGIT)
            + second[13:27].translate(_TO_LETTER) + second[27:34].translate(_TO_DIGIT) + second[34] + second[35].translate(_TO_DIGIT)
        )  # fmt: skip
        if _holds(mended_second[:12], mended_second[12]) and _holds(mended_first + mended_second[:35], mended_second[35]):
            if (mended_first, mended_second) != (first, second):
                warnings.append(DocumentWarning("character_mended"))
            first, second = mended_first, mended_second
    held = [_holds(second[:12], second[12]), _holds(second[27:33], second[33]), _holds(first + second[:35], second[35])]
    for ok, field in zip(held, ("number", "birth_date", "composite_check_digit"), strict=True):
        if not ok:
            warnings.append(DocumentWarning("check_digit_wrong", field))
    if not any(held):
        raise DocumentError("mrz_unreadable", "None of the check digits matches: the lines were misread. Scan them again.")
    if not _FRENCH_NUMBER.fullmatch(second[:12]):
        warnings.append(DocumentWarning("element_malformed", "number"))
    family, given, middle, truncated = _names(first[5:30].rstrip("<") + "<<" + second[13:27].replace("<<", "<").strip("<") + "<", warnings)
    if first[29] != "<":
        truncated = (*truncated, "family_name")
    if second[26] != "<":
        truncated = (*truncated, "middle_names" if middle else "given_name")
    warnings.append(DocumentWarning("no_expiry"))
    return _document(
        "id_card", "FRA", second[:12].replace("<", ""), (family, given, middle), truncated, second[27:33], None,
        second[34], "FRA", "check_digits" if all(held) else "none", warnings, today,
    )  # fmt: skip


def _swiss(lines: list[str], today: date) -> IdDocument:
    """The Swiss driving license: blank number and language, PIN and birth date, names. It has no check digit at all."""
    warnings: list[DocumentWarning] = [DocumentWarning("no_expiry")]
    if not re.fullmatch(r"\d{12}<<\d{6}<{5}", lines[1][5:30]):
        warnings.append(DocumentWarning("element_malformed", "birth_date" if not lines[1][19:25].isdigit() else "number"))
    family, given, middle, truncated = _names(lines[2], warnings)
    return _document(
        "driver_license", _country(lines[1][2:5], "issuer", warnings), lines[0].strip("<"), (family, given, middle), truncated,
        lines[1][19:25], None, "<", None, "none", warnings, today,
    )  # fmt: skip


def _document(
    kind: Kind,
    issuer: str,
    number: str | None,
    names: tuple[str | None, str | None, tuple[str, ...]],
    truncated: tuple[NamePart, ...],
    birth_text: str,
    expiry_text: str | None,
    sex_text: str,
    nationality: str | None,
    verification: str,
    warnings: list[DocumentWarning],
    today: date,
) -> IdDocument:
    birth = _birth(birth_text, today, warnings)
    expiry = None if expiry_text is None else _expiry(expiry_text, today, warnings)
    if expiry is not None and expiry < today:
        warnings.append(DocumentWarning("expired"))
    if birth is not None and today.year - birth.year - ((today.month, today.day) < (birth.month, birth.day)) < 18:
        warnings.append(DocumentWarning("under_age"))
    if birth is not None and expiry is not None and expiry < birth:
        warnings.append(DocumentWarning("element_malformed", "expiry_date"))
    sex: Sex | None = "M" if sex_text == "M" else "F" if sex_text == "F" else "X" if sex_text in "<X" else None
    if sex is None:
        warnings.append(DocumentWarning("element_malformed", "sex"))
    if sex_text == "<":
        sex = None if kind == "driver_license" else "X"
    family, given, middle = names
    if family is None and given is None:
        warnings.append(DocumentWarning("element_missing", "family_name"))
    return IdDocument(
        kind=kind, issuer=issuer, country=issuer, number=number, family_name=family, given_name=given, middle_names=middle,
        truncated=tuple(dict.fromkeys(truncated)), birth_date=birth, sex=sex, expiry_date=expiry, nationality=nationality,
        verification="check_digits" if verification == "check_digits" else "none", warnings=tuple(dict.fromkeys(warnings)),
    )  # fmt: skip


def _kind(code: str) -> Kind:
    """Document codes of Doc 9303 part 4 to 7; "IP" is the United States passport card, "AC" a crew certificate."""
    if code[0] == "P":
        return "passport"
    if code[0] == "V":
        return "visa"
    if code == "IP":
        return "passport_card"
    if code == "AC":
        return "crew"
    return "id_card"


def _country(code: str, field: str, warnings: list[DocumentWarning]) -> str:
    plain = code.strip("<").replace("<", "")
    if not plain.isalpha():
        warnings.append(DocumentWarning("element_malformed", field))
    return _COUNTRIES.get(plain, plain)


def _names(field: str, warnings: list[DocumentWarning]) -> tuple[str | None, str | None, tuple[str, ...], tuple[NamePart, ...]]:
    """Primary and secondary identifiers (Doc 9303 part 3, clause 4.6); a field without a filler at its end is cut short."""
    if not _NAME.fullmatch(field):
        warnings.append(DocumentWarning("element_malformed", "name"))
    primary, _, secondary = field.partition("<<")
    family = " ".join(primary.replace("<", " ").split()) or None
    words = secondary.replace("<", " ").split()
    truncated: tuple[NamePart, ...] = ()
    if not field.endswith("<"):
        truncated = ("middle_names",) if len(words) > 1 else ("given_name",) if words else ("family_name",)
    return family, (words[0] if words else None), tuple(words[1:]), truncated


def _birth(text: str, today: date, warnings: list[DocumentWarning]) -> date | None:
    """The latest century in which the holder is already born; warned of where a centenarian is as likely."""
    if not text.isdigit():
        warnings.append(DocumentWarning("date_unreadable", "birth_date"))
        return None
    year = int(text[:2])
    for century in (2000, 1900):
        found = _date(century + year, text)
        if found is not None and found <= today:
            if century == 2000 and today.year - (1900 + year) <= 104:
                warnings.append(DocumentWarning("century_guessed", "birth_date"))
            return found
    warnings.append(DocumentWarning("date_unreadable", "birth_date"))
    return None


def _expiry(text: str, today: date, warnings: list[DocumentWarning]) -> date | None:
    """Between fifty years ago and fifty years ahead: no travel document runs longer."""
    if not text.strip("<"):
        warnings.append(DocumentWarning("no_expiry"))
        return None
    found = None
    if text.isdigit():
        year = 2000 + int(text[:2])
        found = _date(year if year <= today.year + 50 else year - 100, text)
    if found is None:
        warnings.append(DocumentWarning("date_unreadable", "expiry_date"))
    return found


def _date(year: int, text: str) -> date | None:
    try:
        return date(year, int(text[2:4]), int(text[4:6]))
    except ValueError:
        return None

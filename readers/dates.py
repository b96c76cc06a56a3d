"""Eight digits to a date, when nobody says in which order they stand."""

from __future__ import annotations

import re
from datetime import date

from .document import DocumentWarning

__all__ = ["DateReader"]

_DIGITS = re.compile(r"(\d{4})[-/. ]?(\d{2})[-/. ]?(\d{2})(?!\d)|(\d{2})[-/. ](\d{2})[-/. ](\d{4})(?!\d)")
_ABSENT = re.compile(r"(?:NONE|UNAVL|N/A|MMDDCCYY|CCYYMMDD|0*|9{8})?", re.IGNORECASE)
# No living holder was born before, no card runs until after.
_FIRST_YEAR, _LAST_YEAR = 1890, 2150


class DateReader:
    """Reads the dates of one document.

    Month first (USA since 2003), year first (version 1, Canada, and some states against the standard) and day first.
    A month is never 19 or 20 and a year is never below 1890, so year first and month first cannot be confused; month
    first and day first can. One date on the document that only makes sense day first decides for all of them.
    """

    def __init__(self) -> None:
        self._ambiguous: dict[str, date] = {}
        self._day_first = False

    def read(self, field: str, value: str | None, warnings: list[DocumentWarning]) -> date | None:
        """The date in ``value``, or None with a warning when there are characters that are no date."""
        text = (value or "").strip()
        if _ABSENT.fullmatch(text):
            if field == "expiry_date" and value is not None:
                warnings.append(DocumentWarning("no_expiry"))
            elif field == "birth_date":
                warnings.append(DocumentWarning("date_unreadable", field))
            return None
        match = _DIGITS.match(text)
        if match is None:
            warnings.append(DocumentWarning("date_unreadable", field))
            return None
        if match.end() != len(text):
            warnings.append(DocumentWarning("element_malformed", field))
        digits = "".join(group for group in match.groups() if group)
        if _FIRST_YEAR <= int(digits[:4]) <= _LAST_YEAR:
            year_first, month_first, day_first = _date(digits[:4], digits[4:6], digits[6:]), None, None
        else:
            year_first, year = None, digits[4:]
            month_first, day_first = _date(year, digits[:2], digits[2:4]), _date(year, digits[2:4], digits[:2])
        if year_first is not None:
            return year_first
        if month_first is not None:
            if day_first is not None and day_first != month_first:
                self._ambiguous[field] = day_first
            return month_first
        if day_first is not None:
            self._day_first = True
            return day_first
        warnings.append(DocumentWarning("date_unreadable", field))
        return None

    def settle(
        self, birth: date | None, issue: date | None, expiry: date | None, warnings: list[DocumentWarning]
    ) -> tuple[date | None, date | None, date | None]:
        """Read the ambiguous dates day first as well, when another one can only be read so; and say so."""
        if not self._day_first:
            return birth, issue, expiry
        warnings.append(DocumentWarning("date_order_guessed"))
        other = self._ambiguous
        return other.get("birth_date", birth), other.get("issue_date", issue), other.get("expiry_date", expiry)


def _date(year: str, month: str, day: str) -> date | None:
    if not _FIRST_YEAR <= int(year) <= _LAST_YEAR:
        return None
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None

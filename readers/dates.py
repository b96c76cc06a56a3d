"""Eight digits to a date, when nobody says in which order they stand."""

from __future__ import annotations

import re
from datetime import date

from .document import DocumentWarning

__all__ = ["DateReader"]

_DIGITS = re.compile(r"(\d{4})[-/. ]?(\d{2})[-/. ]?(\d{2})(?!\d)|(\d{2})[-/. ](\d{2})[-/. ](\d{4})(?!\d)")
# "Never" is written as nines, too: all of them, or the year alone.
_ABSENT = re.compile(r"(?:NONE|UNAVL|N/A|MMDDCCYY|CCYYMMDD|0*|9999\d{4}|\d{4}9999)?", re.IGNORECASE)
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
        if len(text) == 8 and text.isdecimal() and (found := self._eight_digits(field, text)):
            return found  # nearly every date; what follows reads the rest, or says why it cannot
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
        found = self._eight_digits(field, "".join(group for group in match.groups() if group))
        if found is None:
            warnings.append(DocumentWarning("date_unreadable", field))
        return found

    def _eight_digits(self, field: str, digits: str) -> date | None:
        """The date in the order that makes sense, month first before day first; None when none does."""
        number = int(digits)
        year, month, day = number // 10_000, number // 100 % 100, number % 100
        if _FIRST_YEAR <= year <= _LAST_YEAR:
            return _date(year, month, day)
        month, day, year = number // 1_000_000, number // 10_000 % 100, number % 10_000
        if not _FIRST_YEAR <= year <= _LAST_YEAR:
            return None
        month_first = _date(year, month, day)
        if month_first is None:
            day_first = _date(year, day, month)
            self._day_first = self._day_first or day_first is not None
            return day_first
        if day <= 12 and day != month:
            self._ambiguous[field] = date(year, day, month)
        return month_first

    def settle(
        self, birth: date | None, issue: date | None, expiry: date | None, warnings: list[DocumentWarning]
    ) -> tuple[date | None, date | None, date | None]:
        """Read the ambiguous dates day first as well, when another one can only be read so; and say so."""
        if not self._day_first:
            return birth, issue, expiry
        warnings.append(DocumentWarning("date_order_guessed"))
        other = self._ambiguous
        return other.get("birth_date", birth), other.get("issue_date", issue), other.get("expiry_date", expiry)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None

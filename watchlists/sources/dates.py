"""Birth dates as lists write them, to EDTF (ISO 8601-2:2019 Annex A) as `Entry.birth_dates` holds them.

A date of level 0 (`1970-03-02`, `1970-03`, `1970`, `1970/1975`), with level 1's `~` after it where the list says *circa*.
Every function returns EDTF or raises `ValueError` with words that do not repeat the value.
"""

from __future__ import annotations

import functools
import re
from datetime import UTC, date, datetime
from typing import Final

EARLIEST_YEAR: Final = 1850
"""No living person was born before; a lower year is a typing error."""

_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            ("jan", "january"), ("feb", "february"), ("mar", "march"), ("apr", "april"), ("may",), ("jun", "june"),
            ("jul", "july"), ("aug", "august"), ("sep", "sept", "september"), ("oct", "october"), ("nov", "november"),
            ("dec", "december"),
        ),
        start=1,
    )
    for name in names
}  # fmt: skip

_DAY_FIRST: Final = re.compile(r"(\d{1,2}|dd)[/-](\d{1,2}|mm)[/-](\d{4})", re.IGNORECASE)
_ISO: Final = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
_US: Final = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})")
_TIME: Final = re.compile(r"[T ]00:00(:00(\.0+)?)?(Z|\+00:00)?$")
_WORDS: Final = re.compile(r"(?:(?:(\d{1,2})\s+)?([A-Za-z]{3,9})\.?\s+)?(\d{4})")
_CIRCA: Final = re.compile(r"^(?:circa|approximately|approx\.?|about|c\.|ca\.)\s*", re.IGNORECASE)


def edtf(year: int, month: int | None = None, day: int | None = None, *, today: date | None = None) -> str:
    """One calendar date at its own precision.

    Raises:
        ValueError: no such day, in the future, or before `EARLIEST_YEAR`.
    """
    if not EARLIEST_YEAR <= year <= 9999:
        raise ValueError(f"the year is before {EARLIEST_YEAR}")
    try:
        first = date(year, month or 1, day or 1)
    except ValueError:
        raise ValueError("there is no such day in the calendar") from None
    if first > (today or datetime.now(UTC).date()):
        raise ValueError("the date is in the future")
    if month is None:
        return f"{year:04d}"
    return f"{year:04d}-{month:02d}" if day is None else f"{year:04d}-{month:02d}-{day:02d}"


def between(first: str, last: str) -> str:
    """An interval of two EDTF dates; ranges of whole years, months or days come out as short as they mean.

    >>> between("1953-01-01", "1953-12-31"), between("1961-01-01", "1963-12-31"), between("1960-02-01", "1960-02-29")
    ('1953', '1961/1963', '1960-02')
    """
    if len(first) == len(last) == 10:
        if first.endswith("-01-01") and last.endswith("-12-31"):
            first, last = first[:4], last[:4]
        elif first.endswith("-01") and last == _month_end(last):
            first, last = first[:7], last[:7]
    if first == last:
        return first
    if _earliest(first) > _earliest(last):
        raise ValueError("the range ends before it begins")
    return f"{first}/{last}"


def about(value: str) -> str:
    """Mark a date, or both ends of an interval, as approximate."""
    return "/".join(part if part.endswith("~") else part + "~" for part in value.split("/"))


def from_iso(text: str, *, today: date | None = None) -> str:
    """EDTF level 0 as typed, `~` allowed, a midnight after it ignored (`1972-04-28T00:00:00`)."""
    text = text.strip()
    circa = text.endswith("~")
    first, slash, last = _TIME.sub("", text.rstrip("~").strip()).partition("/")
    value = between(_iso(first, today), _iso(last, today)) if slash else _iso(first, today)
    return about(value) if circa else value


def from_us(text: str, *, today: date | None = None) -> str:
    """A date from a United States spreadsheet: ISO, or `3/2/1970` as Excel there rewrites it (month first).

    A month over 12 is refused rather than read day first: a guess that is right for 25 would be wrong for 5.
    """
    text = _TIME.sub("", text.strip())
    found = _US.fullmatch(text)
    if found is None:
        return from_iso(text, today=today)
    month, day, year = map(int, found.groups())
    if not month or not day:
        raise ValueError("there is no such day in the calendar")
    if month > 12:
        raise ValueError("the month (written first) is over 12")
    return edtf(year, month, day, today=today)


def from_us_any(text: str) -> str:
    """As `from_us`, for the dates of orders, which may lie ahead."""
    return from_us(text, today=date.max)


def from_day_first(text: str) -> str:
    """`DD/MM/YYYY` with `00` for what is not known, or `dd` and `mm`, as the two UK lists write it; a bare year; or ISO."""
    text = _TIME.sub("", text.strip())
    found = _DAY_FIRST.fullmatch(text)
    if found is None:
        return from_iso(text)
    day, month, year = (int(part) if part.isdigit() else 0 for part in found.groups())
    if day and not month:
        raise ValueError("a day is given without its month")
    return edtf(year, month or None, day or None)


def from_words(text: str) -> str:
    """The shapes of OFAC's remarks: `02 Mar 1970`, `Mar 1970`, `1970`, `circa` before each, `1970 to 1975`, `1979-1982`,
    `01 Jan 1961 to 31 Dec 1963`."""
    text = text.strip()
    plain = _CIRCA.sub("", text)
    first, dash, last = plain.partition(" to ")
    if not dash and re.fullmatch(r"\d{4}\s*-\s*\d{4}", plain):
        first, dash, last = plain.partition("-")
    value = between(_words(first), _words(_CIRCA.sub("", last.strip()))) if dash else _words(first)
    return value if plain == text else about(value)


def from_pattern(text: str, pattern: str) -> str:
    """A date by a pattern of `YYYY`, `MM`, `DD`, `MON` and separators, as mappings give it: `YYYYMMDD`, `MM/DD/YYYY`.

    `MM` and `DD` take one digit where a separator follows; zeros in them (or `00000000`'s month and day) mean not known.
    """
    found = compile_pattern(pattern).fullmatch(text.strip())
    if found is None:
        raise ValueError(f"it is not written as {pattern}")
    parts = found.groupdict()
    month_text = parts.get("mon")
    month = _month(month_text) if month_text else int(parts.get("m") or 0)
    return edtf(int(parts["y"]), month or None, int(parts.get("d") or 0) or None)


@functools.cache
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The expression of a date pattern.

    Raises:
        ValueError: the pattern has no four-digit year. Two digits do not tell a grandfather from his grandson.
    """
    tokens = re.split(r"(YYYY|MON|MM|DD)", pattern)
    if tokens.count("YYYY") != 1 or "Y" in "".join(tokens[::2]):
        raise ValueError(f"the date pattern {pattern!r} needs one YYYY: two-digit years cannot be told apart")
    digits = "{2}" if pattern in {"YYYYMMDD", "MMDDYYYY", "DDMMYYYY", "YYYYMM"} else "{1,2}"
    names = {"YYYY": r"(?P<y>\d{4})", "MM": rf"(?P<m>\d{digits})", "DD": rf"(?P<d>\d{digits})", "MON": r"(?P<mon>[A-Za-z]{3,9})"}
    try:
        return re.compile("".join(names.get(token) or re.escape(token) for token in tokens))
    except re.error:
        raise ValueError(f"the date pattern {pattern!r} names a part twice") from None


def _iso(text: str, today: date | None) -> str:
    found = _ISO.fullmatch(text.strip())
    if found is None:
        raise ValueError("it is not a date as YYYY-MM-DD, YYYY-MM, YYYY or YYYY/YYYY")
    year, month, day = (int(part) if part else None for part in found.groups())
    if year is None or month == 0 or day == 0:
        raise ValueError("there is no such day in the calendar")
    return edtf(year, month, day, today=today)


def _words(text: str) -> str:
    found = _WORDS.fullmatch(text.strip())
    if found is None:
        raise ValueError("it is not a date as DD Mon YYYY, Mon YYYY or YYYY")
    day, month, year = found.groups()
    return edtf(int(year), _month(month) if month else None, int(day) if day else None)


def _month(name: str) -> int:
    try:
        return _MONTHS[name.lower().rstrip(".")]
    except KeyError:
        raise ValueError("it names no month") from None


def _month_end(day: str) -> str:
    year, month = int(day[:4]), int(day[5:7])
    following = date(year + month // 12, month % 12 + 1, 1)
    return date.fromordinal(following.toordinal() - 1).isoformat()


def _earliest(value: str) -> str:
    return (value.rstrip("~") + "-01-01")[:10]

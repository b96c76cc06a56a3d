"""Where it is about noon: a school in a test must not come to its midnight, at which visits end, while the test runs."""

from __future__ import annotations

from datetime import UTC, datetime


def noon_zone(now: datetime | None = None) -> str:
    """The name of a time zone without daylight saving in which it is between 12:00 and 13:00 now."""
    ahead = 12 - (now or datetime.now(UTC)).astimezone(UTC).hour  # -11 … 12
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"  # those names count the other way round: Etc/GMT+5 is five hours behind


NOON = noon_zone()

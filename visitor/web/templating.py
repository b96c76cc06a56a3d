"""What templates may use: times in the school's own zone, initials, words for states. Installed once by the wiring."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import StrictUndefined
from litestar.plugins.jinja import JinjaTemplateEngine

STATES: dict[str, tuple[str, str]] = {
    "hold": ("HOLD", "Stay in rooms, clear the halls."),
    "secure": ("SECURE", "Get inside, lock outside doors."),
    "lockdown": ("LOCKDOWN", "Locks, lights, out of sight."),
    "evacuate": ("EVACUATE", "Leave the building."),
    "shelter": ("SHELTER", "Take shelter."),
}
"""The states of the Standard Response Protocol and what each asks of people, in its words."""


def fold(text: str) -> str:
    """Lower case without accents, for finding what somebody types."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).lower()


def initials(name: str) -> str:
    """The first letters of the first and the last word: "Daniel Reyes Ortega" → "DO"."""
    words = [w for w in name.split() if w[0].isalnum()]
    picked = [words[0], words[-1]] if len(words) > 1 else words
    return "".join(w[0] for w in picked).upper() or "?"


def clock(at: datetime | None, zone: ZoneInfo) -> str:
    """"8:05 AM" in the school's zone; with the day when it is not today's."""
    if at is None:
        return ""
    local, today = at.astimezone(zone), datetime.now(zone).date()
    said = local.strftime("%I:%M %p").lstrip("0")
    return said if local.date() == today else f"{local.strftime('%b')} {local.day}, {said}"


def exact(at: datetime | None, zone: ZoneInfo) -> str:
    """"Nov 21, 2026, 8:05:12 AM", for records."""
    if at is None:
        return ""
    local = at.astimezone(zone)
    return f"{local.strftime('%b')} {local.day}, {local.year}, {local.strftime('%I:%M:%S %p').lstrip('0')}"


def ago(at: datetime | None) -> str:
    """"4 min", "2 h", "3 days": what a page shows before its script keeps it fresh."""
    if at is None:
        return ""
    return span(datetime.now(UTC) - at)


def span(delta: timedelta) -> str:
    minutes = max(0, int(delta.total_seconds() // 60))
    if minutes < 1:
        return "now"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 600:
        return f"{minutes // 60} h {minutes % 60:02d}"
    if minutes < 2880:
        return f"{round(minutes / 60)} h"
    return f"{round(minutes / 1440)} days"


def sentence(text: str) -> str:
    """A capital at the start, as a sentence has it; the rest stays as it is."""
    return text[:1].upper() + text[1:]


def named(name: str) -> str:
    """A name to read: barcodes give capitals ("DANIEL O'NEIL" → "Daniel O'Neil"); a name in mixed case stays as it is."""
    if not name.isupper():
        return name
    return re.sub(r"[^\W\d_]+", lambda word: word[0].capitalize(), name)


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def install(engine: JinjaTemplateEngine) -> None:
    """Give Jinja our filters; templates escape by default and fail on an unknown name."""
    env: Any = engine.engine
    env.filters.update(sentence=sentence, named=named, fold=fold, initials=initials, clock=clock, exact=exact, ago=ago, span=span)
    env.globals.update(states=STATES, plural=plural, now=lambda: datetime.now(UTC))
    env.undefined = StrictUndefined
    env.trim_blocks = env.lstrip_blocks = True

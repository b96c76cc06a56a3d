"""Lists, their revisions, what an import did, and the rules that judge them. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from visitor.errors import BadInput, Conflict, NotFound, TooLarge, Unavailable
from watchlists import Entry, Explanation, Match, Thresholds
from watchlists.sources import in_force
from watchlists.sources.snapshot import Limits

Table = Literal["barred_entries", "custody_orders"]
SHARED: Final[dict[str, Table]] = {"barred": "barred_entries", "custody": "custody_orders"}
"""Lists kept entry by entry: their name and the shared table behind them."""
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


CANNOT_SCREEN: Final[dict[str, str]] = {
    "no-lists": "No list is loaded.",
    "list-missing": "A list has not been imported yet, or is still being prepared for the search.",
    "list-stale": "A required list is too old. Import it again.",
    "list-damaged": "The file that a list is searched in was damaged; it is read again, or made again from the database.",
    "list-behind": "A newer revision of a list is being prepared for the search; screen again in a moment.",
    "matcher-failed": "The search itself failed or took too long.",
}
"""Why nobody can be screened, for the desk."""


class UnknownList(NotFound):
    type = "unknown-list"
    title = "There is no such list"


class ListName(BadInput):
    type = "list-name"
    title = "A list cannot be called that"


class UnknownFormat(BadInput):
    type = "unknown-format"
    title = "There is no such format"


class ListUnreadable(BadInput):
    """Members: `file`, `line`, `column`, counted from 1; 0 where the format has none."""

    type = "list-unreadable"
    title = "The list could not be read; the last good one stays in force"


class ListShrank(Conflict):
    """Members: `what` shrank, `before`, `after`, `lost`, `allowed`."""

    type = "list-shrank"
    title = "The list lost more than a list usually loses; the last good one stays in force"


class ListTooLarge(TooLarge):
    type = "list-too-large"
    title = "The list is too large to be searched here; the last good one stays in force"


class ImportRunning(Conflict):
    type = "import-running"
    title = "This list is being imported at this moment"


class ImportFailed(Unavailable):
    type = "import-failed"
    title = "The import did not come to an end; the last good list stays in force"


class NoSuchEntry(NotFound):
    type = "unknown-entry"
    title = "There is no such entry"


class EntryProblem(BadInput):
    type = "entry-not-valid"
    title = "The entry cannot be used as it is"


class CannotScreen(Exception):
    """Nobody can be screened now: `reason` is a code of CANNOT_SCREEN, `detail` names the lists."""

    def __init__(self, reason: str, detail: str = "", revisions: dict[str, int] | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
        self.revisions = revisions or {}


class ListRow(msgspec.Struct, frozen=True):
    """A list as configured, with the revision in force (0: none yet)."""

    id: UUID
    name: str
    title: str
    category: str
    required: bool
    max_age_hours: float | None
    amber_bits: float | None
    red_bits: float | None
    revision_id: UUID | None
    revision: int
    entries: int
    imported_at: datetime | None

    def thresholds(self, amber: float, red: float) -> Thresholds:
        """The list's own thresholds, or the settings'."""
        low = self.amber_bits or amber
        return Thresholds(low, max(low, self.red_bits or red))

    def stale(self, now: datetime, max_age_hours: float) -> bool:
        """Whether the revision in force is too old to trust; a `max_age_hours` of 0 never is."""
        limit = max_age_hours if self.max_age_hours is None else self.max_age_hours
        return bool(limit) and self.imported_at is not None and now - self.imported_at > timedelta(hours=limit)


class ListSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a list is kept. `required`: nobody is cleared while it is missing or too old. `max_age_hours`: None for the node's
    setting, 0 for a list that never grows too old. Bits of evidence from which a match is shown: None for the node's."""

    title: str
    category: str = "offenders"
    required: bool = True
    max_age_hours: float | None = None
    amber_bits: float | None = None
    red_bits: float | None = None

    def check(self) -> None:
        """Raises ListName, or BadInput for numbers that would hide every match."""
        if not self.title.strip() or len(self.title) > 200 or not self.category.strip() or len(self.category) > 60:
            raise ListName("A list needs a title of up to 200 characters and a category of up to 60.")
        if self.max_age_hours is not None and not 0 <= self.max_age_hours <= 24 * 366:
            raise BadInput("max_age_hours is 0 (never too old) to 8,784 (a year).")
        low, high = self.amber_bits, self.red_bits
        if any(bits is not None and not 8 <= bits <= 40 for bits in (low, high)) or (low is not None and high is not None and low > high):
            raise BadInput("amber_bits and red_bits are 8 to 40, and amber is not above red.")


class ListStatus(msgspec.Struct, frozen=True):
    """A list for people to look at. `ready`: the revision in force is the one being searched. `trouble`: a sentence, or ""."""

    name: str
    title: str
    category: str
    revision: int
    entries: int
    imported_at: datetime | None
    age_hours: float | None
    stale: bool
    required: bool
    ready: bool
    trouble: str = ""


class ImportResult(msgspec.Struct, frozen=True):
    """`refused` counts rows that could not become an entry; `problems` are the first of them, in words without values."""

    id: UUID
    revision: int
    entries: int
    added: int
    removed: int
    changed: int
    refused: int
    problems: tuple[str, ...] = ()


class Staged(msgspec.Struct, frozen=True):
    """What reading a file came to: counts, or why it was refused (`error` is a problem's type)."""

    entries: int = 0
    names: int = 0
    birth_dates: int = 0
    refused: int = 0
    dropped: int = 0
    checksum: str = ""
    problems: tuple[str, ...] = ()
    error: str = ""
    detail: str = ""
    line: int = 0
    column: int | str = 0


class Counts(msgspec.Struct, frozen=True):
    """How much a revision held."""

    entries: int
    names: int
    birth_dates: int


class Found(msgspec.Struct, frozen=True):
    """A match under its list's own name, with its words."""

    list: str
    match: Match
    explanation: Explanation


class Screened(msgspec.Struct, frozen=True):
    found: tuple[Found, ...]
    revisions: dict[str, int]


class SharedRow(msgspec.Struct, frozen=True):
    """A barred person or a custody order that stands. `valid_until` is the last day it holds."""

    site_id: UUID
    id: UUID
    entry: Entry
    valid_until: date | None
    created_at: datetime
    reason: str = ""

    def expired(self, today: date) -> bool:
        return self.valid_until is not None and self.valid_until < today


class Shrinkage(msgspec.Struct, frozen=True):
    what: str
    before: int
    after: int
    lost: int
    allowed: int

    @property
    def sentence(self) -> str:
        words = self.what.replace("_", " ")
        if self.what == "entries" and self.after == 0:
            return f"The list would be emptied: it had {self.before:,} entries and has none."
        return (
            f"The list would lose {self.lost:,} of {self.before:,} {words} ({self.lost / self.before:.0%}); up to {self.allowed:,} may go"
            " without a person's word. Check the file; if it is right, import it again with allow_shrink."
        )

    def extra(self) -> dict[str, Any]:
        return msgspec.structs.asdict(self)


def shrunk(before: Counts | None, after: Counts, removed: int, limits: Limits) -> Shrinkage | None:
    """The shrink guard. Names and birth dates count beside entries: a list uploaded without its aliases keeps every entry."""
    if before is None:
        return None
    losses = (
        ("entries", before.entries, after.entries, removed),
        ("names", before.names, after.names, before.names - after.names),
        ("birth_dates", before.birth_dates, after.birth_dates, before.birth_dates - after.birth_dates),
    )
    for what, had, has, lost in losses:
        allowed = max(limits.at_least, int(had * limits.share))
        if lost > allowed or (what == "entries" and had > 0 and has == 0):
            return Shrinkage(what, had, has, lost, allowed)
    return None


def trouble(
    lists: Iterable[ListRow], searched: Mapping[str, int], now: datetime, max_age_hours: float, damaged: Collection[str] = ()
) -> tuple[str, str] | None:
    """Why nobody can be screened: a code of CANNOT_SCREEN and the lists concerned; None when screening can go on.

    `lists` are the imported ones, `searched` the revision of each that is being searched, `damaged` those that cannot be though
    they are.
    """
    every = list(lists)
    if not any(one.revision for one in every):
        return "no-lists", "An administrator imports one under Lists."
    if missing := [one.title for one in every if one.name not in searched and (one.required or one.revision)]:
        return "list-missing", _these(missing)
    if broken := [one.title for one in every if one.name in damaged]:
        return "list-damaged", _these(broken)
    if behind := [one.title for one in every if one.revision and searched[one.name] != one.revision]:
        return "list-behind", _these(behind)
    if stale := [one.title for one in every if one.required and one.stale(now, max_age_hours)]:
        return "list-stale", _these(stale)
    return None


def first_day(now: datetime) -> date:
    """The day it still is somewhere on Earth: what ends with a day holds until that day is over at every school."""
    return (now - timedelta(hours=12)).date()


def in_term(entry: Entry, now: datetime) -> bool:
    """Whether an entry that states a term (`issued_on`, `expires_on`: district lists) is within it at any school."""
    return in_force(entry, first_day(now)) or in_force(entry, (now + timedelta(hours=14)).date())


def _these(titles: list[str]) -> str:
    return f"Lists: {', '.join(sorted(titles))}."

"""What a badge is, what is printed on it, and the rules that need no database.

    issued → printed → void          a reprint voids the old badge and its token

A print job goes `queued → sending → printed | failed | doubtful | cancelled` (printers/jobs.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from printers import Badge, Category, PrinterError, Transport
from visitor.errors import BadInput, Conflict, NotFound
from visitor.sites.models import PrinterRow, Station

BadgeStatus = Literal["issued", "printed", "void"]
TEST_CODE: Final = "TEST ONLY: THIS CODE OPENS NOTHING"
JobState = Literal["queued", "sending", "printed", "failed", "doubtful", "cancelled"]


class NoBadge(Conflict):
    type = "no-badge"
    title = "This visit has no badge in force"


class BadgeExpired(Conflict):
    type = "badge-expired"
    title = "This visit has run past its time"


class NoPrinter(Conflict):
    type = "no-printer"
    title = "There is no printer for this"


class JobDecided(Conflict):
    type = "print-job-decided"
    title = "This print job is not in a state that allows this"


class UnknownJob(NotFound):
    type = "unknown-print-job"
    title = "There is no such print job"


class UnknownVisit(NotFound):
    type = "unknown-visit"
    title = "There is no such visit with a badge at a school of yours"


class ReasonMissing(BadInput):
    type = "reason-missing"
    title = "Give a reason"


class BadgeRow(msgspec.Struct, frozen=True):
    """A row of `badges`."""

    site_id: UUID
    id: UUID
    visit_id: UUID
    day: date
    number: int
    status: BadgeStatus
    kid: str
    issued_at: datetime
    expires_at: datetime
    printed_at: datetime | None = None
    voided_at: datetime | None = None
    void_reason: str = ""
    replaces: UUID | None = None


class PrintJob(msgspec.Struct, frozen=True):
    """A row of `print_jobs`: ids and words for the desk, nothing that names a person."""

    id: UUID
    site_id: UUID
    badge_id: UUID
    visit_id: UUID
    printer_id: UUID
    state: JobState
    reason: str
    attempts: int
    confirmed: bool | None
    created_at: datetime
    updated_at: datetime
    printed_at: datetime | None
    number: int  # the badge's


class BadgeContent(msgspec.Struct, frozen=True):
    """What only the visit knows of its badge, told when the badge is drawn; times, number and token are the badge's own."""

    name: str
    host: str = ""
    zones: tuple[str, ...] = ()
    escort: bool = False
    purpose: str = ""
    category: Category = Category.VISITOR
    category_label: str = ""
    language: str = "en"
    photo: bytes | None = None

    def __repr__(self) -> str:
        return f"<BadgeContent {self.category.value}, {'photo' if self.photo else 'no photo'}>"


ContentOf = Callable[[UUID, UUID], Awaitable[BadgeContent]]
"""(site, visit) → what its badge says. Raises `PrinterError` or NotFound where there is nothing to print."""

TransportFor = Callable[[str, str], Transport]
"""(address, profile) → the way to that printer (hardware.py)."""


class PrinterInfo(msgspec.Struct, frozen=True):
    """A printer as a desk shows it. `words` is one sentence: "paper out at Front desk; badges wait, 2 in line; use Library?"."""

    id: UUID
    name: str
    words: str
    ok: bool
    condition: Literal["idle", "printing", "waiting", "held", "unattended"]
    problem: str
    paper: Literal["ok", "low", "out", "unknown"]
    waiting: int
    doubtful: list[PrintJob]
    failed: list[PrintJob]  # not printed, with the reason, while the badge is in force
    fallback_id: UUID | None
    fallback: str


class LineRow(msgspec.Struct, frozen=True):
    """A row of `print_lines` with what stands in the line now."""

    printer_id: UUID
    hold_reason: str | None
    condition: Literal["idle", "printing", "waiting", "held"]
    problem: str
    paper: Literal["ok", "low", "out", "unknown"]
    waiting: int


def badge_of(row: BadgeRow, content: BadgeContent, *, school: str, zone: ZoneInfo, token: str) -> Badge:
    """The badge to draw. Raises `BadgeError` where it could not be printed truthfully."""
    return Badge(
        name=content.name, school=school, date=row.issued_at.astimezone(zone).date(), valid_until=row.expires_at.astimezone(zone),
        host=content.host, zones=content.zones, escort=content.escort, category=content.category,
        category_label=content.category_label, purpose=content.purpose, number=f"{row.number:03d}", token=token,
        photo=content.photo, language=content.language,
    )


def test_badge(school: str, zone: ZoneInfo, now: datetime) -> Badge:
    """A badge for nobody: every part of the layout, and a code that opens nothing."""
    here = now.astimezone(zone)
    return Badge(
        name="Test Badge", school=school, date=here.date(), valid_until=here, host="Nobody", zones=("None",), escort=True,
        purpose="Printer test", number="000", token=TEST_CODE,
    )


def refusal_to_print(row: BadgeRow | None, now: datetime) -> PrinterError | None:
    """Why a badge whose turn has come must not be printed any more, or None."""
    if row is None:
        return PrinterError("the badge is no longer known")
    if row.status == "void":
        return PrinterError("the badge is void")
    if row.expires_at <= now:
        return PrinterError("the visit has run past its time")
    return None


def printer_of(station: Station | None, printers: Iterable[PrinterRow], stations: Iterable[Station]) -> UUID | None:
    """Where a badge of this station prints: its own printer, else the first that the site's desk has, else any of the site's."""
    known = {p.id for p in printers}
    if station is not None and station.printer_id in known:
        return station.printer_id
    ranked = sorted((s for s in stations if s.printer_id in known), key=lambda s: (s.kind != "desk", s.name))
    if ranked:
        return ranked[0].printer_id
    return min(known, default=None)


def fallbacks(printers: Iterable[PrinterRow], stations: Iterable[Station]) -> dict[UUID, UUID]:
    """Which printer may take over from which: the second printer of the stations that print there (the first by name decides)."""
    sites = {p.id: p.site_id for p in printers}
    found: dict[UUID, UUID] = {}
    for station in sorted(stations, key=lambda s: s.name):
        first, second = station.printer_id, station.second_printer_id
        if first in sites and second in sites and first != second and sites[first] == sites[second]:
            found.setdefault(first, second)
    return found

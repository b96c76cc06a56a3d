"""The desk's board: who needs someone, who is overdue, who is here. Pure: rows in, words out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from visitor.visits.models import OnSite
from visitor.web.templating import clock, named, span

Kind = Literal["ok", "wait", "stop", "info"]

# What a held visit says on its row, in two or three words; the sentences open beside it.
_HELD: Mapping[str, str] = {
    "possible-match": "Possible match",
    "screening-unavailable": "Could not be screened",
    "no-document": "No ID",
    "document-expired": "ID has expired",
    "document-doubtful": "ID read with doubt",
    "document-not-proved": "ID not proved",
    "no-birth-date": "No date of birth",
    "under-age": "Under age",
    "needs-staff": "Decide at the desk",
    "incident": "Held by an incident",
}
_SCREENED: Mapping[str, tuple[Kind, str]] = {
    "escalated": ("wait", "Asked, no answer yet"),
    "confirmed": ("stop", "Confirmed on a list"),
    "cleared": ("info", "Cleared; let in?"),
}
_INSIDE: Mapping[str, tuple[Kind, str]] = {
    "possible_match": ("stop", "Inside; possible match"),
    "escalated": ("wait", "Inside; asked, no answer yet"),
    "confirmed": ("stop", "Inside; confirmed on a list"),
}
OUTCOMES: Mapping[str, str] = {
    "walked-to-office": "On the way to you", "left": "Left the building", "help-needed": "Help needed now", "lost-sight": "Lost from sight",
}
"""What was done about somebody without a badge, as the hall's phone sends it."""


class Row(msgspec.Struct, frozen=True):
    """A line of the board. `kind` and `says` are its mark, `more` one fact beside it, `since` what its time counts from."""

    id: UUID
    name: str
    photo: str
    about: str
    kind: Kind
    says: str
    more: str
    since: datetime
    badge: str


class Board(msgspec.Struct, frozen=True):
    needs: tuple[Row, ...]
    escorts: tuple[Row, ...]
    over: tuple[Row, ...]
    here: tuple[Row, ...]


def board(visits: Iterable[OnSite], purposes: Mapping[str, str], zone: ZoneInfo, now: datetime) -> Board:
    """Sort open visits. Those who wait longest stand first, then those longest overdue, then who came last.

    Before all of them stands whoever is inside and became a possible match of a list since.
    """
    inside, needs, escorts, over, here = [], [], [], [], []
    for visit in visits:
        if visit.status == "held":
            needs.append(_held(visit, purposes))
        elif visit.screening in _INSIDE:
            # A list changed while the visitor was here: before everyone who waits at the door.
            inside.append(_inside(visit, purposes, zone))
        elif visit.status in ("awaiting_escort", "approved"):
            escorts.append(_row(visit, purposes, "info", "Waits for an escort", f"host: {visit.host}" if visit.host else "ask someone"))
        elif visit.valid_until <= now:
            late = span(now - visit.valid_until)
            over.append((visit.valid_until, _row(visit, purposes, "stop", f"{late} over time", _seen(visit, zone))))
        else:
            says = f"With {visit.escort}" if visit.escort else f"Here until {clock(visit.valid_until, zone)}"
            here.append(_row(visit, purposes, "ok", says, _seen(visit, zone)))
    inside.sort(key=lambda r: r.since)
    needs.sort(key=lambda r: r.since)
    escorts.sort(key=lambda r: r.since)
    here.sort(key=lambda r: r.since, reverse=True)
    return Board((*inside, *needs), tuple(escorts), tuple(row for _, row in sorted(over, key=lambda pair: pair[0])), tuple(here))


def _held(visit: OnSite, purposes: Mapping[str, str]) -> Row:
    kind, says = _SCREENED.get(visit.screening, ("wait", _HELD.get(visit.held_reason, "Decide at the desk")))
    if visit.held_reason != "possible-match" and visit.screening != "confirmed":
        kind, says = "wait", _HELD.get(visit.held_reason, "Decide at the desk")
    return _row(visit, purposes, kind, says, "")


def _inside(visit: OnSite, purposes: Mapping[str, str], zone: ZoneInfo) -> Row:
    row = _row(visit, purposes, *_INSIDE[visit.screening], _seen(visit, zone))
    return msgspec.structs.replace(row, since=visit.screened_at or row.since)


def _row(visit: OnSite, purposes: Mapping[str, str], kind: Kind, says: str, more: str) -> Row:
    about = purposes.get(visit.purpose, visit.purpose)
    return Row(
        visit.visit_id, named(visit.name) or "Name not known", f"/api/v1/visits/{visit.visit_id}/photo" if visit.has_photo else "",
        f"{about}, to see {visit.host}" if visit.host else about, kind, says, more, visit.checked_in_at,
        str(visit.badge_number) if visit.badge_number is not None else "",
    )


def _seen(visit: OnSite, zone: ZoneInfo) -> str:
    badge = f"badge {visit.badge_number}" if visit.badge_number is not None else "no badge"
    if visit.last_place and visit.last_seen:
        return f"{badge} · {visit.last_place}, {clock(visit.last_seen, zone)}"
    return badge

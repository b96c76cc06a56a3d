"""The decision at a door: pure, total, microseconds. Everything it needs is handed to it; it asks nobody and keeps nothing.

Only entry is decided here. Leaving is never controlled (NFPA 101 §7.2.1.5: a door in a means of egress opens from the inside
without a key, a tool or special knowledge), so there is no direction in a read and no code path that could hold anybody in.

In order of strength:

1. While an incident is declared at the door's site (a drill counts as one), officers' standing cards and that incident's
   emergency credentials open every controlled door of the site, whatever its zone; visitors open none.
2. Staff cards open the doors of their own site at all times: in a lockdown they are how people reach a room that locks.
3. A visitor's badge opens the doors of its zones while its visit lasts, and with an escort only right after the escort's tap.

Anything not recognised, and anything in doubt, is Denied.
"""

from __future__ import annotations

from datetime import datetime

from visitor.doors.models import (
    ESCORT_WINDOW,
    AccessTable,
    Denied,
    DoorView,
    EmergencyCredential,
    Granted,
    Holder,
    KeyedCard,
    Read,
    StandingCredential,
    TokenRead,
    Verdict,
    VisitCredential,
)
from visitor.keys import Claims
from visitor.sites.models import SiteState


def decide(read: Read, door: DoorView, table: AccessTable, state: SiteState, now: datetime) -> Verdict:
    """Whether `read` opens `door` at `now`. `state` must be the state of the door's site; any other is Denied as in doubt."""
    if state.site_id != door.site_id:
        return Denied("unreadable")
    match read:
        case TokenRead(claims) if claims.kind == "badge":
            credential = table.of_badge(claims.id)
            if credential is not None:
                return _visitor(credential, claims, door, state, now)
            if claims.expires_at <= now:
                return Denied("expired", "visit")
            return Denied("other-site" if claims.site_id != door.site_id else "unknown-badge", "visit")
        case TokenRead(claims) if claims.kind == "emergency":
            emergency = table.emergency.get(claims.id)
            if emergency is not None:
                return _emergency(emergency, claims, door, state, now)
            return Denied("expired" if claims.expires_at <= now else "unknown-badge", "officer")
        case TokenRead():
            return Denied("unknown-badge")
        case KeyedCard(identifier):
            card = table.standing.get(identifier)
            return Denied("unknown-card") if card is None else _standing(card, door, state, now)
        case _:
            return Denied(read.reason)


def _visitor(c: VisitCredential, claims: Claims, door: DoorView, state: SiteState, now: datetime) -> Verdict:
    def no(reason: str) -> Denied:
        return Denied(reason, "visit", c.visit_id, c.id)

    if not (c.site_id == claims.site_id == door.site_id):
        return no("other-site")
    if c.state == "ended":
        return no("ended")
    if claims.id != c.badge_id:
        return no("void")
    if state.state != "normal":
        return no("incident")
    if c.state == "pending":
        return no("awaiting-escort")
    if now < c.valid_from:
        return no("not-yet")
    if now >= min(c.valid_until, claims.expires_at):
        return no("expired")
    if door.zone_id not in c.zones:
        return no("outside-zone")
    if c.escorted:
        if c.escort_id is None:
            return no("awaiting-escort")
        tapped = door.staff_taps.get(c.escort_id)
        if tapped is None or not (now - ESCORT_WINDOW <= tapped <= now):
            return no("escort-first")
    return Granted("ok", "visit", c.visit_id, c.id)


def _emergency(c: EmergencyCredential, claims: Claims, door: DoorView, state: SiteState, now: datetime) -> Verdict:
    def no(reason: str) -> Denied:
        return Denied(reason, "officer", None, c.id)

    if not (c.site_id == claims.site_id == door.site_id):
        return no("other-site")
    if c.state == "ended" or state.state == "normal" or state.incident_id != c.incident_id:
        return no("incident-over")
    if c.state == "pending" or now < c.valid_from:
        return no("not-yet")
    if now >= min(c.valid_until, claims.expires_at):
        return no("expired")
    return Granted("police", "officer", None, c.id)


def _standing(c: StandingCredential, door: DoorView, state: SiteState, now: datetime) -> Verdict:
    holder: Holder = "officer" if c.officer_id is not None else "staff"

    def no(reason: str) -> Denied:
        return Denied(reason, holder, None, None, c.id)

    if c.revoked:
        return no("revoked")
    if now < c.valid_from:
        return no("not-yet")
    if c.valid_until is not None and now >= c.valid_until:
        return no("expired")
    if c.officer_id is not None:
        if state.state == "normal":
            return no("no-incident")
        return Granted("police", "officer", None, None, c.id)
    if c.site_id != door.site_id:
        return no("other-site")
    return Granted("ok", "staff", None, None, c.id, c.staff_id)

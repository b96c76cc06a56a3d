"""What opens beside the board: one visitor with everything there is to decide on, and what may be done now."""

from __future__ import annotations

from datetime import date
from typing import Any, Final
from uuid import UUID

import msgspec

from visitor.accounts.models import Staff
from visitor.accounts.service import Accounts
from visitor.errors import VisitorError
from visitor.people.models import PersonFacts
from visitor.people.service import People
from visitor.policies.models import PurposePolicy
from visitor.registries.service import Registries
from visitor.screening.models import UNAVAILABLE
from visitor.visits.models import OPEN, OnSite, Visit
from visitor.visits.views import DeskView, Views
from visitor.web.templating import clock, named
from watchlists import Entry

_KINDS: Final = {
    "none": "none shown", "driver_license": "driver license", "id_card": "ID card", "enhanced_license": "enhanced license",
    "passport": "passport", "passport_card": "passport card", "visa": "visa", "travel_document": "travel document",
    "crew": "crew certificate", "piv": "PIV card",
}
_PROVED: Final = {
    "none": "not proved, as any barcode", "check_digits": "check digits agree", "signature": "signature verified", "chip": "chip verified",
}
_APPROVE: Final = {
    "no-document": ["Known to the school", "Checked another ID", "Expected by the host"],
    "document-expired": ["Known to the school", "Checked another ID", "Name and photo agree"],
    "screening-unavailable": ["Known to the school", "Expected by the host, ID checked by hand"],
    "possible-match": ["Not the person on the list", "Approved by the principal"],
}
_REASONS: Final = ["ID compared with the person", "Expected by the host", "Known to the school"]


class Candidate(msgspec.Struct, frozen=True):
    """An entry that possibly matches: its own facts beside the visitor's, and the evidence in words with its sign."""

    name: str
    photo: str
    list: str
    summary: str
    cleared: bool
    facts: tuple[tuple[str, str, str], ...]
    evidence: tuple[tuple[bool, str, float], ...]


class Review(msgspec.Struct, frozen=True):
    visit: DeskView
    question: str
    under: str
    read: str
    born: str
    purpose: str
    document: str
    notes: tuple[tuple[str, str], ...]
    candidates: tuple[Candidate, ...]
    may: frozenset[str]
    approve_reasons: tuple[str, ...]
    escorts: tuple[Staff, ...]
    escort: str
    last_place: str
    last_seen: Any


def may_do(status: str, undecided: bool, confirmed: bool) -> frozenset[str]:
    """What the desk may do with a visit in this state; the services hold to the same."""
    if status == "held":
        if undecided:
            return frozenset({"decide", "refuse", "cancel"})
        return frozenset({"refuse", "cancel"}) if confirmed else frozenset({"approve", "refuse", "cancel"})
    if status in ("awaiting_escort", "approved"):
        if undecided or confirmed:  # a list changed while the visitor waited
            return frozenset({"decide", "cancel"} if undecided else {"cancel"})
        return frozenset({"accept", "reprint", "cancel"} if status == "awaiting_escort" else {"cancel"})
    if status == "on_site":
        if undecided or confirmed:  # a list changed while the visitor was here
            return frozenset({"decide", "check_out", "remove"} if undecided else {"check_out", "remove"})
        return frozenset({"check_out", "reprint", "remove"})
    return frozenset()


async def review(
    visit: Visit, row: OnSite | None, *, views: Views, people: People, registries: Registries, accounts: Accounts,
    policy: PurposePolicy, zone: Any, titles: dict[str, str],
) -> Review:
    """Gather a visit for the desk; `row` is its line of the board while it is open, `titles` the lists' names for people."""
    view = await views.desk(visit)
    screening = view.screening
    undecided = screening is not None and not screening.decided and view.status in OPEN
    confirmed = screening is not None and screening.outcome == "confirmed"
    matches = list(screening.matches) if screening is not None and screening.outcome != "clear" else []
    facts = await people.facts(await people.person(visit.site_id, visit.person_id))
    settled = screening is not None and screening.outcome == "cleared"
    candidates = [await _candidate(match, facts, registries, titles, settled) for match in matches]
    purpose = policy.purpose(visit.purpose)
    question, under = _question(view, undecided, confirmed, len(candidates))
    may = may_do(view.status, undecided, confirmed)
    escorts = tuple(s for s in await accounts.staff(visit.site_id) if s.may_escort) if "accept" in may else ()
    return Review(
        view, question, under, f"ID read {clock(visit.checked_in_at, zone)}" if visit.document.get("kind") != "none" else "name typed",
        f"born {_day(facts.birth_date)}" if facts.birth_date else "date of birth not known",
        purpose.label_en if purpose else visit.purpose, _document(visit.document), tuple(_notes(view, screening is not None)),
        tuple(candidates), may, tuple(_APPROVE.get(view.reason, _REASONS)), escorts, row.escort if row else "",
        row.last_place if row else "", row.last_seen if row else None,
    )


def _question(view: DeskView, undecided: bool, confirmed: bool, candidates: int) -> tuple[str, str]:
    if undecided:
        asked = view.screening is not None and view.screening.outcome == "escalated"
        if view.status != "held":
            under = "Handed on; the visitor is still here." if asked else "A list changed after this visitor came in. Nobody has been told."
            return "Is this the same person?", under
        return "Is this the same person?", "Handed on; the visitor still waits." if asked else "Nobody has been told. Only you see this."
    if confirmed and view.status == "held":
        return "Confirmed on a list", "The visitor may not go in. Speak to them with someone beside you."
    if confirmed and view.status in OPEN:
        return "Confirmed on a list", "The visitor is here. Go to them with someone beside you, then record that they were sent away."
    cleared = view.screening is not None and view.screening.outcome == "cleared"
    return {
        "held": ("Let this visitor in?", "The match is cleared; the visitor waits for your word." if cleared else view.reason_text),
        "approved": ("Approved ahead", "Expected, not here yet."),
        "awaiting_escort": ("Waiting for an escort", "The badge opens no door until somebody takes charge."),
        "on_site": ("On site", ""),
        "refused": ("Not let in", ""),
        "cancelled": ("Closed without a visit", ""),
        "checked_out": ("Checked out", ""),
        "presumed_left": ("Presumed to have left", "Nobody checked this visitor out by the end of the day."),
        "removed": ("Sent away", ""),
    }[view.status]


def _notes(view: DeskView, screened: bool) -> list[tuple[str, str]]:
    notes = []
    if view.status == "held" and view.reason not in ("", "possible-match"):
        notes.append(("wait", view.reason_text))
    if view.screening is not None and view.screening.outcome == "unavailable" and view.screening.reason:
        notes.append(("wait", UNAVAILABLE.get(view.screening.reason, view.screening.reason)))
    if view.screening is not None and view.screening.outcome == "cleared":
        notes.append(("ok", f"Cleared: {view.screening.reason}" if view.screening.reason else "Cleared"))
    if view.screening is not None and view.screening.outcome == "confirmed":
        notes.append(("stop", f"Confirmed: {view.screening.reason}"))
    if not screened and view.status == "held":
        notes.append(("wait", "Not screened yet."))
    return notes


def _document(document: dict[str, Any]) -> str:
    kind = str(document.get("kind", "none"))
    if kind == "none":
        return "none shown; name as typed"
    said = " ".join(x for x in (str(document.get("issuer") or ""), _KINDS.get(kind, kind)) if x)
    if expiry := document.get("expiry_date"):
        said += f", valid to {_day(date.fromisoformat(str(expiry)))}"
    return f"{said}; {_PROVED.get(str(document.get('verification')), 'not proved')}"


async def _candidate(match: dict[str, Any], facts: PersonFacts, registries: Registries, titles: dict[str, str], settled: bool) -> Candidate:
    entry: Entry | None
    try:
        entry = await registries.entry(match["list"], match["entry_id"], match.get("revision") or None)
    except VisitorError:
        entry = None  # the list is being exchanged: the evidence stands in the screening itself
    name = _name(entry) if entry else f"Entry {match['entry_id']}"
    fields = sorted(match["evidence"].items(), key=lambda pair: -abs(pair[1]))
    summary, *sentences = match["sentences_en"] or ("Possible match.",)
    signs = [bits for _, bits in fields] + [0.0] * len(sentences)
    before = match.get("cleared_before") is not None
    return Candidate(
        name, _photo(entry), titles.get(match["list"], match["list"]),
        "Cleared at an earlier visit." if before else "Not the same person." if settled else summary, before or settled,
        _compared(facts, entry) if entry else (),
        tuple((bits > 0, sentence, bits) for sentence, bits in zip(sentences, signs, strict=False)),
    )


def _compared(facts: PersonFacts, entry: Entry) -> tuple[tuple[str, str, str], ...]:
    theirs = _name(entry) + ("".join(f"; also {named(_join(n.given, n.middle, n.family))}" for n in entry.names[1:4]))
    mine = facts.address
    other = entry.addresses[0] if entry.addresses else None
    rows = [
        ("Name", named(_join(facts.given_name, facts.middle_names, facts.family_name, facts.suffix)), theirs),
        ("Born", _day(facts.birth_date), ", ".join(_edtf(d) for d in entry.birth_dates[:3])),
        ("Sex", _SEX.get(facts.sex or "", ""), _SEX.get(entry.sex or "", "")),
        ("Height", _height(facts.height_cm), _height(entry.height_cm)),
        ("Eyes", _eyes(facts.eye_color), _eyes(entry.eye_color)),
        ("Home", _place(mine.city, mine.region) if mine else "", _place(other.city, other.region) if other else ""),
    ]
    return tuple(row for row in rows if row[0] in ("Name", "Born") or row[1] or row[2])


_SEX: Final = {"M": "male", "F": "female", "X": "X"}
_EYES: Final = {
    "BLK": "black", "BLU": "blue", "BRO": "brown", "GRY": "gray", "GRN": "green", "HAZ": "hazel", "MAR": "maroon", "PNK": "pink",
    "DIC": "two colors",
}


def _eyes(code: str | None) -> str:
    return _EYES.get((code or "").upper(), (code or "").lower())


def _height(cm: int | None) -> str:
    if not cm:
        return ""
    inches = round(cm / 2.54)
    return f"{inches // 12}′{inches % 12}″ ({cm} cm)"


def _day(day: date | None) -> str:
    return f"{day.strftime('%b')} {day.day}, {day.year}" if day else ""


def _edtf(text: str) -> str:
    try:
        return _day(date.fromisoformat(text))
    except ValueError:
        return text.replace("~", " or about then").replace("/", " to ")


def _place(city: str, region: str) -> str:
    return ", ".join(p for p in (named(city), region) if p)


def _join(*parts: str) -> str:
    return " ".join(p for p in parts if p)


def _name(entry: Entry) -> str:
    first = entry.names[0]
    return named(_join(first.given, first.middle, first.family, first.suffix))


def _photo(entry: Entry | None) -> str:
    """A picture within the entry itself; one elsewhere is never fetched by a desk's browser, which would tell who was here."""
    photo = entry.photo if entry else None
    return photo if photo and photo.startswith("data:image/") else ""


def row_of(rows: list[OnSite], visit_id: UUID) -> OnSite | None:
    return next((r for r in rows if r.visit_id == visit_id), None)

"""Purposes as data. A version is never changed: a new one follows it, and a visit keeps the version it was decided by."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from visitor.errors import BadInput

Escort = Literal["never", "always", "unless-known"]
Proof = Literal["none", "check_digits", "signature", "chip"]


class Purpose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why somebody comes, and what that allows.

    `zones` are names: a school that has no such zone leaves it out. `minutes` bounds the stay, which ends with the school's
    day in any case. `proof` is how far a document must be proved for the visitor to be cleared without staff.
    """

    key: str
    label_en: str
    label_es: str
    minutes: int = 60
    zones: tuple[str, ...] = ()
    escort: Escort = "never"
    auto_approve: bool = True
    document_required: bool = True
    host_required: bool = False
    proof: Proof = "none"
    minors_alone: bool = False  # whether somebody under age may come for this without staff looking


class PurposePolicy(msgspec.Struct, frozen=True):
    id: UUID
    version: int
    purposes: tuple[Purpose, ...]
    created_at: datetime

    def purpose(self, key: str) -> Purpose | None:
        return next((p for p in self.purposes if p.key == key), None)


class PurposeProblem(BadInput):
    type = "purposes-not-valid"
    title = "The purposes cannot be used as they are"


def check(purposes: tuple[Purpose, ...]) -> None:
    """Raise PurposeProblem for purposes that could not be offered."""
    if not purposes:
        raise PurposeProblem("Give at least one purpose.")
    if len(purposes) > 50:
        raise PurposeProblem("Give at most 50 purposes: people choose from them on a screen.")
    seen: set[str] = set()
    for p in purposes:
        if not p.key or len(p.key) > 40 or not all(c.isascii() and (c.islower() or c.isdigit() or c == "-") for c in p.key):
            raise PurposeProblem("A purpose's key has 1 to 40 lower-case letters, digits and hyphens.")
        if p.key in seen:
            raise PurposeProblem(f"The purpose {p.key} is there twice.")
        seen.add(p.key)
        if not p.label_en.strip() or not p.label_es.strip() or max(len(p.label_en), len(p.label_es)) > 60:
            raise PurposeProblem(f"The purpose {p.key} needs a label of up to 60 characters in English and in Spanish.")
        if not 1 <= p.minutes <= 24 * 60:
            raise PurposeProblem(f"The purpose {p.key}: minutes are 1 to 1,440.")
        if len(p.zones) > 50 or any(not z.strip() or len(z) > 100 for z in p.zones):
            raise PurposeProblem(f"The purpose {p.key}: zones are up to 50 names.")


DEFAULT: tuple[Purpose, ...] = (
    Purpose("meeting", "Meeting", "Reunión", 120, ("Office", "Main building"), host_required=True),
    Purpose("pickup", "Student pick-up", "Recoger a un estudiante", 30, ("Office",)),
    Purpose("volunteer", "Volunteer", "Voluntariado", 240, ("Office", "Main building"), "unless-known", host_required=True),
    Purpose("delivery", "Delivery", "Entrega", 30, ("Office",), document_required=False, auto_approve=False),
    Purpose("contractor", "Contractor", "Contratista", 480, ("Office", "Main building"), "always"),
)
"""What a new district begins with; an administrator puts their own in its place."""

"""A school's plan as shapes to draw, from the facts an administrator entered. Pure.

`site.facts["plan"]` is `{width, height, walls: [SVG path data], notes: [text]}`; a zone's and a door's own facts hold where their
name or mark stands: `{x, y}`. Nothing else of the facts reaches a page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from visitor.sites.models import Door, Site, Zone

_PATH: Final = re.compile(r"[MmLlHhVvZzAaCcQqSsTt0-9eE ,.\-]{1,4000}\Z")


class Label(msgspec.Struct, frozen=True):
    """Words at a place of the plan. `seen`: how many visitors were last seen here, and their names for a list."""

    x: float
    y: float
    text: str
    seen: int = 0


class Plan(msgspec.Struct, frozen=True):
    width: float
    height: float
    walls: tuple[str, ...]
    zones: tuple[Label, ...]
    doors: tuple[Label, ...]
    notes: tuple[str, ...]


def plan_of(site: Site, zones: Iterable[Zone], doors: Iterable[Door], last_places: Mapping[str, int]) -> Plan | None:
    """The plan with how many visitors were last seen at each door or zone; None where none was drawn."""
    facts = site.facts.get("plan")
    if not isinstance(facts, dict):
        return None
    width, height = _number(facts.get("width")), _number(facts.get("height"))
    if not width or not height:
        return None
    walls = facts.get("walls")
    paths = [w for w in walls if isinstance(w, str) and _PATH.match(w)] if isinstance(walls, list) else []
    notes = facts.get("notes")
    return Plan(
        width, height, tuple(paths), tuple(_labels(zones, last_places)), tuple(_labels(doors, last_places)),
        tuple(str(n)[:200] for n in notes) if isinstance(notes, list) else (),
    )


def _labels(rows: Iterable[Zone | Door], seen: Mapping[str, int]) -> Iterable[Label]:
    for row in rows:
        x, y = _number(row.facts.get("x")), _number(row.facts.get("y"))
        if x is not None and y is not None:
            yield Label(x, y, row.name, seen.get(row.name, 0))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value <= 100_000 else None

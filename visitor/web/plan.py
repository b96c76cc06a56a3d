"""A school's plan as shapes to draw, from the facts an administrator entered. Pure.

`site.facts["plan"]` is `{width, height, walls: [SVG path data], notes: [text]}`; a zone's and a door's own facts hold where their
name or mark stands: `{x, y}`. Nothing else of the facts reaches a page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import msgspec

from visitor.sites.models import Door, Site, Zone

Anchor = Literal["start", "middle", "end"]
_PATH: Final = re.compile(r"[MmLlHhVvZzAaCcQqSsTt0-9eE ,.\-]{1,4000}\Z")


class Label(msgspec.Struct, frozen=True):
    """Words at a place of the plan, anchored so that they stay on it. `seen`: how many visitors were last seen here."""

    x: float
    y: float
    text: str
    anchor: Anchor = "middle"
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
    drawn = tuple(_labels(zones, last_places, width))
    # A door often has its zone's name: who was last seen at that name is marked once, in the zone.
    elsewhere = {name: count for name, count in last_places.items() if name not in {z.text for z in drawn}}
    return Plan(
        width, height, tuple(paths), drawn, tuple(_labels(doors, elsewhere, width)),
        tuple(str(n)[:200] for n in notes) if isinstance(notes, list) else (),
    )


def _labels(rows: Iterable[Zone | Door], seen: Mapping[str, int], width: float) -> Iterable[Label]:
    for row in rows:
        x, y = _number(row.facts.get("x")), _number(row.facts.get("y"))
        if x is not None and y is not None:
            anchor: Anchor = "end" if x > width * 0.88 else "start" if x < width * 0.12 else "middle"
            yield Label(x, y, row.name, anchor, seen.get(row.name, 0))


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value <= 100_000 else None

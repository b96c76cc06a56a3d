"""How well the matcher does on people whose entry is known, and what m would be on a deployer's own data.

`fit` is the expectation-maximisation of Winkler (1988) with u held fixed: u comes from the registry's own frequencies
pair by pair, and only m, the chance of each kind of agreement among true pairs, is estimated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from . import score as s
from .index import Index
from .normalize import name_tokens
from .records import Subject
from .reference import FIELDS, level

LEVEL_NAMES = ("none", "exact", "variant", "nickname", "edit1_alike", "edit1", "edit2", "cut", "alike")
LOWEST = 10.0  # bits from which a pair is a candidate for the fit
_FAMILY, _GIVEN, _DATE = FIELDS.index("family"), FIELDS.index("given"), FIELDS.index("birth_date")


class Point(msgspec.Struct, frozen=True):
    """The matcher at one threshold."""

    bits: float
    recall: float
    false_alerts: float


class FittedRow(msgspec.Struct, frozen=True):
    """One level of one field: its m in the table, and as estimated."""

    field: str
    level: str
    table: float
    here: float


class Fitted(msgspec.Struct, frozen=True):
    """m as estimated, from how many candidate pairs, and how many of them are expected to be links."""

    pairs: int
    links: float
    rows: tuple[FittedRow, ...]


def curve(index: Index, known: Sequence[tuple[Subject, str]], cuts: Iterable[float] = range(14, 33, 2)) -> list[Point]:
    """Recall on the people with an entry id, and the share of those without one who would be shown any match."""
    cuts = sorted(cuts)
    lowest = math.ceil(cuts[0] * s.UNIT)
    true: list[float] = []
    false: list[float] = []
    for (_, entry_id), raw in zip(known, index.screen_many_raw([subject for subject, _ in known], lowest), strict=True):
        if entry_id:
            true.append(max((total / s.UNIT for entry, _, total, _ in raw if index.entry_id(entry) == entry_id), default=-math.inf))
        else:
            false.append(max((total / s.UNIT for _, _, total, _ in raw), default=-math.inf))
    return [Point(cut, _share(true, cut), _share(false, cut)) for cut in cuts]


def _share(scores: list[float], cut: float) -> float:
    return sum(score >= cut for score in scores) / len(scores) if scores else 0.0


def fit(index: Index, subjects: Sequence[Subject], rounds: int = 30) -> Fitted:
    """m of each level of family and given name and of the birth date, by EM over the pairs that have at least 10 bits."""
    pairs: list[tuple[tuple[str, str, str], tuple[float, float, float]]] = []  # levels; bits under the table's m
    others: list[float] = []
    for subject, raw in zip(subjects, index.screen_many_raw(list(subjects), int(LOWEST * s.UNIT)), strict=True):
        for _, row, total, parts in raw:
            bits = (parts[_FAMILY] / s.UNIT, parts[_GIVEN] / s.UNIT, parts[_DATE] / s.UNIT)
            pairs.append((_levels(index, subject, row, bits), bits))
            others.append(total / s.UNIT - sum(bits))
    table = _table()
    here = dict(table)
    links = 0.0
    for _ in range(rounds if pairs else 0):
        weights = []
        for (levels, bits), other in zip(pairs, others, strict=True):
            moved = sum(math.log2(here[key] / table[key]) for key in zip(_FIELDS, levels, strict=True) if key in table)
            weights.append(1 / (1 + 2 ** -min(60.0, max(-60.0, sum(bits) + other + moved - math.log2(max(2, len(index)))))))
        links = sum(weights)
        for place, field in enumerate(_FIELDS):
            for key in table:
                if key[0] == field:
                    seen = sum(w for (levels, _), w in zip(pairs, weights, strict=True) if levels[place] == key[1])
                    here[key] = max(1e-6, (seen + table[key]) / (links + 1))  # one imaginary link as in the table
    rows = tuple(FittedRow(field, at, table[field, at], round(here[field, at], 6)) for field, at in table)
    return Fitted(len(pairs), round(links, 1), rows)


_FIELDS = ("family", "given", "birth_date")


def _table() -> dict[tuple[str, str], float]:
    out = {("family", LEVEL_NAMES[at]): m for at, (m, _) in s.FAMILY.items()}
    out |= {("given", LEVEL_NAMES[at]): m for at, (m, _) in s.GIVEN.items()}
    out["family", "none"] = out["given", "none"] = 0.02
    return out | {("birth_date", "exact"): s.DOB_SAME, ("birth_date", "near"): 1 - s.DOB_SAME - 0.004, ("birth_date", "none"): 0.004}


def _levels(index: Index, subject: Subject, row: int, bits: tuple[float, float, float]) -> tuple[str, str, str]:
    name, born = index.row_facts(row)
    mine = name_tokens(subject.name.family, subject.name.given, subject.name.middle, "")
    theirs = name_tokens(name.family, name.given, name.middle, "")
    family = [level(a, b, False, s.CUT_FAMILY_MIN) for a in (mine.s1, mine.s2, mine.sj) for b in (theirs.s1, theirs.s2, theirs.sj)]
    given = level(mine.g1, theirs.g1, True, s.CUT_GIVEN_MIN)
    date = "missing"
    if subject.birth_date is not None and len(born) == 10:
        date = "exact" if born == subject.birth_date.isoformat() else "near" if bits[2] > s.DOB_MISS / s.UNIT else "none"
    return LEVEL_NAMES[min((at for at in family if at), default=0)], LEVEL_NAMES[given], date

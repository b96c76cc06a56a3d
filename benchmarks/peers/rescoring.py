"""What a careful user writes around a name search that knows no birth dates: name similarity, plus how far the birth dates agree.

Given to rapidfuzz, tantivy and pg_trgm alike, each with the weight of the birth date that suits it best on the tuning half.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from common import Answer, Visitor, accuracy

WEIGHTS = (10.0, 20.0, 30.0, 45.0, 60.0)  # points of 100 of name similarity that the same birth date is worth
TRIED_ON = 600  # visitors of the tuning half


class Weighted(Protocol):
    def each(self, v: Visitor, weights: Sequence[float]) -> list[Answer]:
        """The answers under each weight of the birth date."""


def date_parts(a: str, b: str) -> float:
    """1 for the same date, 2/3 for two of year, month and day, or day and month exchanged, 1/2 where either is not known."""
    if not a or not b:
        return 0.5
    same = (a[:4] == b[:4]) + (a[5:7] == b[5:7]) + (a[8:] == b[8:])
    if same == 3:
        return 1.0
    if same == 2 or (a[:4] == b[:4] and a[5:7] == b[8:] and a[8:] == b[5:7]):
        return 2 / 3
    return 1 / 3 if same == 1 and a[:4] == b[:4] else 0.0


def score(name_similarity: float, v: Visitor, born: str, sex: str, weight: float) -> float:
    """`name_similarity` 0 to 100; another sex costs 10 points."""
    return name_similarity + weight * date_parts(v.born, born) - 10.0 * bool(v.sex and sex and v.sex != sex)


def answers(v: Visitor, candidates: Sequence[tuple[str, float, str, str]], weights: Sequence[float]) -> list[Answer]:
    """Candidates (entry, name similarity, birth date, sex) scored under each weight; an entry's best name counts."""
    out: list[Answer] = [{} for _ in weights]
    for entry, similarity, born, sex in candidates:
        for answer, weight in zip(out, weights, strict=True):
            answer[entry] = max(score(similarity, v, born, sex, weight), answer.get(entry, -100.0))
    return out


def tuned(people: Sequence[Visitor], peer: Weighted) -> float:
    """The weight under which `peer` finds most at 1 % false alerts within the tuning half."""
    half = [v for v in people if v.half == 0]
    some = [v._replace(half=i % 2) for i, v in enumerate(half[:: max(1, len(half) // TRIED_ON)])]
    tried = [peer.each(v, WEIGHTS) for v in some]
    recall = {weight: accuracy(some, [of[i] for of in tried])["recall"] for i, weight in enumerate(WEIGHTS)}
    return max(WEIGHTS, key=recall.__getitem__)

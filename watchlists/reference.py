"""The scorer in plain Python: exhaustive, slow, and plain enough to be believed.

It is the oracle the compiled kernel is tested against, and what serves small lists where no compiler was to be had.
Every row of the registry is scored for every question; nothing is pruned.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import NamedTuple

from rapidfuzz.distance import OSA

from . import score as s
from .names import background, nicknames, transliterations
from .normalize import name_tokens, sound
from .origins import worth_less
from .prepare import Fields, Partial, PreparedEntry, PreparedSubject, Row, prepare_subject
from .records import Subject

FIELDS = (
    "family", "given", "middle", "names_swapped", "birth_date", "sex", "suffix", "address", "height", "eye_color", "id",
)  # fmt: skip


class Raw(NamedTuple):
    """A scored entry: its number, its best row, the total and each field in eighths of a bit, in the order of FIELDS."""

    entry: int
    row: int
    total: int
    parts: tuple[int, ...]


def level(shown: str, registered: str, given: bool, cut_min: int) -> int:
    """How the token shown agrees with the one registered; `given` puts nicknames before slips, `cut_min` is the shortest stump."""
    if not shown or not registered:
        return s.NONE
    if shown == registered:
        return s.EXACT
    if registered in transliterations().get(shown, ()):
        return s.VARIANT
    if given and registered in nicknames().get(shown, ()):
        return s.NICKNAME
    short, long = sorted((len(shown), len(registered)))
    if short >= 2 and long >= 3 and long - short <= 3:
        edits = OSA.distance(shown, registered, score_cutoff=3)
        if edits <= 3:
            key = sound(shown)
            alike = bool(key) and key == sound(registered)
            if edits == 1:
                if alike:
                    return s.EDIT1_ALIKE
                return s.EDIT1 if long >= 4 else s.EDIT2
            if alike and short >= 4:
                return s.ALIKE
            if edits == 2 and short >= 5 and long >= 6 and shown[0] == registered[0]:
                return s.EDIT2
    if short >= cut_min and (shown.startswith(registered) or registered.startswith(shown)):
        return s.CUT
    if registered in nicknames().get(shown, ()):  # a short form that stands in the surname's place
        return s.NICKNAME
    return s.NONE


class _Slot:
    """One token of the visitor against every token of the registry: levels and weights in both uses."""

    __slots__ = ("as_family", "as_given", "levels", "token")

    def __init__(self, index: ReferenceIndex, token: str, given: bool, cut_min: int, light: bool = False) -> None:
        self.token = token
        self.levels: dict[str, int] = {}
        self.as_family = [0] * s.LEVELS
        self.as_given = [0] * s.LEVELS
        if not token:
            return
        family_counts, given_counts = [0] * s.LEVELS, [0] * s.LEVELS
        for word, (in_family, in_given) in index.dictionary.items():
            at = level(token, word, given, cut_min)
            if at and not (light and at >= s.EDIT2):
                rare = at in s.REGISTERED_WRONG and (in_given if given else in_family) <= s.RARE_COUNT
                self.levels[word] = at + s.RARE_SHIFT if rare else at
                family_counts[at] += in_family
                given_counts[at] += in_given
        n = index.row_count
        families, givens = (s.FAMILY_SWAPPED, s.GIVEN) if given else (s.FAMILY, s.GIVEN_SWAPPED)
        self.as_family = s.token_weights(families, family_counts, n, index.unseen_family, not given)
        self.as_given = s.token_weights(givens, given_counts, n, index.unseen_given, given)

    def family(self, word: str) -> int:
        return self.as_family[self.levels.get(word, 0)]

    def given(self, word: str) -> int:
        return self.as_given[self.levels.get(word, 0)]


class ReferenceIndex:
    """Prepared entries and the registry's frequencies, in Python lists and dictionaries."""

    def __init__(self, entries: Iterable[PreparedEntry]) -> None:
        self.entries = list(entries)
        self.rows: list[tuple[int, Row]] = [(i, row) for i, entry in enumerate(self.entries) for row in entry.rows]
        self.row_count = len(self.rows) + s.BACKGROUND_ROWS
        self.dictionary: dict[str, tuple[int, int]] = {}
        self.day_counts: dict[int, int] = {}
        given_letters, middle_letters = [0] * 26, [0] * 26
        families, givens = background()
        for word in {*families, *givens}:
            self.dictionary[word] = (families.get(word, 0), givens.get(word, 0))
        for word, count in givens.items():
            given_letters[ord(word[0]) - 65] += count
            middle_letters[ord(word[0]) - 65] += count
        for _, row in self.rows:
            for word in {row.s1, row.s2, row.sj} - {""}:
                a, b = self.dictionary.get(word, (0, 0))
                self.dictionary[word] = (a + 1, b)
            for word in {row.g1, row.g2} - {""}:
                a, b = self.dictionary.get(word, (0, 0))
                self.dictionary[word] = (a, b + 1)
            if row.g1:
                given_letters[ord(row.g1[0]) - 65] += 1
            if row.g2:
                middle_letters[ord(row.g2[0]) - 65] += 1
            if row.bucket < s.DAYS:
                self.day_counts[row.bucket] = self.day_counts.get(row.bucket, 0) + 1
        self.worth_less = worth_less([(row.s1, row.g1, row.g2) for _, row in self.rows])
        counts = self.dictionary.values()
        self.unseen_family = s.unseen_chance(
            sum(a == 1 for a, _ in counts), sum(a == 2 for a, _ in counts), self.row_count
        )
        self.unseen_given = s.unseen_chance(
            sum(b == 1 for _, b in counts), sum(b == 2 for _, b in counts), self.row_count
        )
        self.given_initial = _initial_weights(given_letters)
        self.middle_initial = _initial_weights(middle_letters)
        self.postal: dict[int, int] = {}
        self.postal3: dict[int, int] = {}
        self.regions: dict[int, int] = {}
        self.eyes = list(s.BACKGROUND_EYES)
        self.with_postal = self.with_region = s.BACKGROUND_PLACES
        self.with_eyes = sum(s.BACKGROUND_EYES)
        for entry in self.entries:
            fields = entry.fields
            for code in set(fields.postal):
                self.postal[code] = self.postal.get(code, 0) + 1
            for code in {code // 100 for code in fields.postal if code < 100_000}:
                self.postal3[code] = self.postal3.get(code, 0) + 1
            for code in set(fields.regions):
                self.regions[code] = self.regions.get(code, 0) + 1
            self.with_postal += bool(fields.postal)
            self.with_region += bool(fields.regions)
            self.eyes[fields.eye] += bool(fields.eye)
            self.with_eyes += bool(fields.eye)

    def screen(self, subject: Subject, threshold: int) -> list[Raw]:
        """Every entry with at least `threshold` eighths of a bit, the strongest first."""
        asked = prepare_subject(subject)
        slots = self._slots(asked)
        days = self._days(asked.birth_date)
        extras: dict[int, tuple[int, int, int, int, int]] = {}
        best: dict[int, Raw] = {}
        for number, (entry, row) in enumerate(self.rows):
            total, parts = self._score(asked, slots, days, row, self.worth_less[number])
            if entry not in extras:
                extras[entry] = self.other_fields(asked, self.entries[entry].fields)
            sex, address, height, eye, same_id = extras[entry]
            suffix = suffix_weight(asked.tokens.suffix, row.suffix)
            # Only the address can be large enough to break the bound, so it gives way.
            address -= max(0, sex + suffix + address + height + eye - s.DESCRIPTION_MAX)
            others = (sex, suffix, address, height, eye, same_id)
            total += sum(others)
            if total >= threshold and (entry not in best or best[entry].total < total):
                best[entry] = Raw(entry, number, total, (*parts, *others))
        return sorted(best.values(), key=lambda raw: (-raw.total, raw.entry))

    def _slots(self, asked: PreparedSubject) -> tuple[_Slot, ...]:
        t = asked.tokens
        family_min = s.CUT_FLAGGED_MIN if asked.family_cut else s.CUT_FAMILY_MIN
        given_min = s.CUT_FLAGGED_MIN if asked.given_cut else s.CUT_GIVEN_MIN
        givens = ((t.g1, False), (t.g2, True), (t.gj, False))  # a middle name says too little to be guessed at
        families = [_Slot(self, token, False, family_min) for token in (t.s1, t.s2, t.sj)]
        return (*families, *(_Slot(self, word, True, given_min, light) for word, light in givens))

    def _days(self, birth_date: datetime.date | None) -> dict[int, int]:
        if birth_date is None:
            return {}
        out: dict[int, int] = {}
        for bucket, chance in s.dob_neighbours(birth_date):
            count = self.day_counts.get(bucket, 0)
            out[bucket] = s.eighths(chance, (count + s.BACKGROUND_A_DAY) / self.row_count)
        return out

    def _score(
        self, asked: PreparedSubject, slots: tuple[_Slot, ...], days: dict[int, int], row: Row, less: int
    ) -> tuple[int, tuple[int, int, int, int, int]]:
        q1, q2, qj, qg, qm, qgj = slots
        # Family: one surname against one, two against two in either order, or run together.
        m11, m12, m21, m22 = q1.family(row.s1), q2.family(row.s1), q1.family(row.s2), q2.family(row.s2)
        best = max(m11, m12, m21, m22)
        if best and q2.token and row.s2:
            family = best + s.SECOND_SURNAME_DIFFERS
            if m11 and m22:
                family = max(family, m11 + m22)
            if m12 and m21:
                family = max(family, m12 + m21 + s.SURNAMES_REVERSED)
        elif best:
            family = best + (s.SECOND_SURNAME_MISSING if bool(q2.token) != bool(row.s2) else 0)
        else:
            family = 0
        joined = max(qj.family(row.sj), q1.family(row.sj), qj.family(row.s1))
        if best or joined:
            family = min(s.FAMILY_MAX, max(family, joined))
        elif q1.token and row.s1:
            family = s.FAMILY_MISS
        agrees = family > 0
        if row.weak:
            family += s.WEAK_ALIAS
        # Given and middle.
        given = max(qg.given(row.g1), qgj.given(row.g1))
        less = less if agrees else 0
        if given:
            given = max(1, given - less)
        beside_given = self._middle(qm, row.g2)
        middle = beside_given if given else 0
        if not given:
            crossed = max(qm.given(row.g1), qg.given(row.g2)) + s.GIVEN_IS_MIDDLE
            if crossed > 0:
                given = max(1, crossed - less)
            elif row.g1 and qg.token and (len(row.g1) == 1 or len(qg.token) == 1) and row.g1[0] == qg.token[0]:
                given = self.given_initial[ord(row.g1[0]) - 65]
            elif row.g1 and qg.token:
                given = s.GIVEN_MISS
        # Each in the other's place: one of the two may be wrong altogether, as it may in its own place.
        swapped = 0
        a = max(qg.family(row.s1), qg.family(row.s2), qgj.family(row.s1), qgj.family(row.sj))
        b = max(q1.given(row.g1), qj.given(row.g1))
        beside_crossed = beside_given if b else 0
        b = b or max(0, q1.given(row.g2) + s.GIVEN_IS_MIDDLE)
        if a or b:
            swapped = (a or (s.FAMILY_MISS if row.s1 and qg.token else 0)) + (b or (s.GIVEN_MISS if row.g1 and q1.token else 0))
            swapped += s.NAMES_SWAPPED + (s.WEAK_ALIAS if row.weak else 0)
            if swapped + beside_crossed > family + given + middle:
                family, given, middle = 0, 0, beside_crossed
            else:
                swapped = 0
        date = self._date(asked, days, row)
        return family + given + middle + swapped + date, (family, given, middle, swapped, date)

    def _middle(self, asked: _Slot, token: str) -> int:
        """What the middle name says where the names before it agree, in their own places or in each other's."""
        if not token or not asked.token:
            return 0
        same = token[0] == asked.token[0]
        if len(token) == 1 or len(asked.token) == 1:
            return self.middle_initial[ord(token[0]) - 65] if same else s.MIDDLE_INITIAL_DIFFERS
        return min(s.MIDDLE_MAX, asked.given(token)) or (s.MIDDLE_SAME_LETTER if same else s.MIDDLE_DIFFERS)

    def _date(self, asked: PreparedSubject, days: dict[int, int], row: Row) -> int:
        if asked.birth_date is None:
            return 0
        if row.bucket < s.DAYS:
            return days.get(row.bucket, s.DOB_MISS)
        return partial_weight(row.partial, asked.birth_date) if row.partial else 0

    def other_fields(self, asked: PreparedSubject, fields: Fields) -> tuple[int, int, int, int, int]:
        """Sex, address, height, eye color and id, in eighths of a bit."""
        mine = asked.fields
        sex = 0
        if mine.sex and fields.sex:
            sex = s.SEX_AGREES if mine.sex == fields.sex else s.SEX_DIFFERS
        height = 0
        if mine.height and fields.height:
            apart = abs(mine.height - fields.height)
            height = next((bits for most, bits in s.HEIGHT_STEPS if apart <= most), s.HEIGHT_DIFFERS)
        eye = 0
        if mine.eye and fields.eye:
            if mine.eye == fields.eye:
                eye = min(s.EYE_MAX, s.eighths(s.EYE_M, self.eyes[fields.eye] / self.with_eyes))
            else:
                pair = (min(mine.eye, fields.eye), max(mine.eye, fields.eye))
                eye = s.EYE_NEAR if pair in s.EYE_NEAR_LIST else s.EYE_DIFFERS
        same_id = s.ID_AGREES if set(mine.ids) & set(fields.ids) else 0
        return sex, self._address(mine, fields), height, eye, same_id

    def _address(self, mine: Fields, fields: Fields) -> int:
        best = None
        if mine.postal and fields.postal:
            code = mine.postal[0]
            if code in fields.postal:
                return _capped(s.POSTAL_M, self.postal[code] + 1, self.with_postal)
            if code < 100_000 and any(p < 100_000 and p // 100 == code // 100 for p in fields.postal):
                best = _capped(s.POSTAL3_M, self.postal3[code // 100] + 1, self.with_postal)
        if mine.regions and fields.regions:
            if mine.regions[0] in fields.regions:
                weight = _capped(s.REGION_M, self.regions[mine.regions[0]] + s.BACKGROUND_A_REGION, self.with_region)
                if mine.postal and fields.postal:
                    weight += s.POSTAL_DIFFERS
                return weight if best is None else max(best, weight)
            return s.REGION_DIFFERS if best is None else best
        return best or 0


def _capped(m: float, count: int, total: int) -> int:
    return min(s.POSTAL_MAX, s.eighths(m, count / total))


def _initial_weights(counts: list[int]) -> list[int]:
    total = sum(counts)
    return [max(1, min(s.INITIAL_MAX, s.eighths(s.INITIAL_M, n / total))) if n else 1 for n in counts]


def suffix_weight(mine: int, theirs: int) -> int:
    """JR against JR speaks for, JR against SR against; a suffix left out says nothing."""
    if not mine or not theirs:
        return 0
    return s.SUFFIX_AGREES if mine == theirs else s.SUFFIX_DIFFERS


def partial_weight(partial: Partial, birth_date: datetime.date) -> int:
    """A date known to the month, the year or some years only."""
    if not partial.first <= birth_date.year <= partial.last:
        return s.YEAR_MISS
    span = float(partial.last - partial.first + 1)
    if partial.month:
        return s.eighths(s.YEAR_M, 1.0 / (12 * s.YEAR_SPAN)) if partial.month == birth_date.month else s.YEAR_MISS // 2
    return max(0, s.eighths(s.YEAR_M, span / s.YEAR_SPAN))


def tokens_of(family: str, given: str, middle: str, suffix: str) -> tuple[str, ...]:
    """The tokens of a name as words, for showing what was compared."""
    t = name_tokens(family, given, middle, suffix)
    return tuple(word for word in (t.g1, t.g2, t.s1, t.s2) if word)

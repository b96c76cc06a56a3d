"""The compiled kernel against the reference, and its pruned search against its own exhaustive one."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchlists import Entry, Index, Name, Subject, compiled, testing
from watchlists.normalize import name_tokens
from watchlists.records import Address
from watchlists.score import UNIT

pytestmark = pytest.mark.usefixtures("kernel")
EXHAUSTIVE, COLD = 1, 2
Garble = Callable[[random.Random, Subject], Subject]


def _totals(raw: list[tuple[int, int, int, tuple[int, ...]]]) -> dict[int, int]:
    return {entry: total for entry, _, total, _ in raw}


def test_the_kernel_gives_the_bits_of_the_reference(garble: Garble) -> None:
    entries = list(testing.entries(500, seed=11))
    ours, oracle = Index.build(entries), Index.build(entries, reference=True)
    chance = random.Random(12)
    subjects = [testing.subject_of(entry) for entry in chance.sample(entries, 25)] + list(testing.subjects(10, seed=13))
    compared = 0
    for subject in subjects + [garble(chance, subject) for subject in subjects]:
        # A threshold far under any real one: near pairs and far pairs alike.
        expected = oracle.screen_raw(subject, -16 * UNIT)
        found = ours.screen_raw(subject, -16 * UNIT)
        assert _totals(found) == _totals(expected)
        assert all(sum(parts) == total for _, _, total, parts in found)
        compared += len(expected)
    assert compared > 1000


def test_the_evidence_of_one_name_and_date_is_the_reference_s_field_by_field(garble: Garble) -> None:
    entries = [
        Entry(e.id, e.names[:1], e.birth_dates, e.sex, e.addresses, e.height_cm, e.eye_color)
        for e in testing.entries(400, seed=21)
        if " " not in e.names[0].given
    ]
    ours, oracle = Index.build(entries), Index.build(entries, reference=True)
    chance = random.Random(22)
    for entry in chance.sample(entries, 25):
        subject = garble(chance, testing.subject_of(entry))
        expected = {e: parts for e, _, _, parts in oracle.screen_raw(subject, 5 * UNIT)}
        assert {e: parts for e, _, _, parts in ours.screen_raw(subject, 5 * UNIT)} == expected


@pytest.mark.parametrize("threshold", [12, 16, 20, 26])
def test_no_candidate_is_lost_to_the_search(garble: Garble, threshold: int) -> None:
    entries = list(testing.entries(4000, seed=31))
    image = Index.build(entries)._core.image  # type: ignore[attr-defined]
    chance = random.Random(threshold)
    hits = 0
    for entry in chance.sample(entries, 250):
        subject = garble(chance, testing.subject_of(entry))
        everything = image.screen(subject, threshold * UNIT, EXHAUSTIVE)
        assert image.screen(subject, threshold * UNIT) == everything
        assert image.screen(subject, threshold * UNIT, COLD) == everything
        hits += len(everything)
    assert hits > 100


def _known_in_part(entries: list[Entry], chance: random.Random) -> list[Entry]:
    """A registry as many are: a year for most, a month, a span of years, nothing; names that lack one half."""
    out = []
    for number, entry in enumerate(entries):
        births = chance.choice([("1970",), ("1970",), ("1970",), (), ("1970-05",), ("1968/1973",), ("1969~",), entry.birth_dates])
        names = entry.names
        if number % 50 == 0:
            names = (Name("", names[0].given), *names[1:]) if number % 100 else (Name(names[0].family), *names[1:])
        out.append(msgspec.structs.replace(entry, names=names, birth_dates=births))
    return out


@pytest.mark.parametrize("threshold", [9, 14, 20])
def test_no_candidate_is_lost_where_birth_dates_are_known_in_part(garble: Garble, threshold: int) -> None:
    chance = random.Random(threshold)
    entries = _known_in_part(list(testing.entries(12_000, seed=33)), chance)
    assert sum(entry.birth_dates == ("1970",) for entry in entries) > 4096  # rather found by family than one by one
    image = Index.build(entries)._core.image  # type: ignore[attr-defined]
    hits = 0
    for entry in chance.sample(entries, 120):
        shown = msgspec.structs.replace(testing.subject_of(entry), birth_date=date(chance.choice([1969, 1970]), chance.choice([5, 9]), 11))
        exchanged = msgspec.structs.replace(shown, name=Name(shown.name.given, shown.name.family, shown.name.middle))
        for subject in (shown, garble(chance, shown), exchanged, garble(chance, exchanged)):
            everything = image.screen(subject, threshold * UNIT, EXHAUSTIVE)
            assert image.screen(subject, threshold * UNIT) == everything
            assert image.screen(subject, threshold * UNIT, COLD) == everything
            hits += len(everything)
    assert hits > 100


Described = TypeVar("Described", Entry, Subject)


def _described(chance: random.Random, whom: Described) -> Described:
    """With some of what only some licenses say, so that no two in a row say as much."""
    more: dict[str, Any] = {}
    if chance.random() < 0.3:
        more["eye_color"], more["height_cm"] = chance.choice(["BRO", "BLU"]), chance.randint(150, 200)
    if chance.random() < 0.3:
        more["id_hashes"] = tuple(f"{chance.randrange(2000)}" for _ in range(chance.randint(1, 3)))
    if isinstance(whom, Subject):
        more["truncated"] = chance.choice([frozenset(), frozenset({"family"}), frozenset({"given"})])
        more["birth_date"] = chance.choice([whom.birth_date, whom.birth_date, None])
    return msgspec.structs.replace(whom, **more)


def test_a_batch_says_of_each_what_it_says_of_one_alone(garble: Garble) -> None:
    chance = random.Random(35)
    entries = [_described(chance, entry) for entry in testing.entries(3000, seed=34)]
    index, alone = Index.build(entries), Index.build(entries)
    subjects = [garble(chance, testing.subject_of(entry)) for entry in chance.choices(entries, k=1500)] + list(testing.subjects(500, seed=36))
    subjects = [_described(chance, subject) for subject in subjects]
    found = index.screen_many_raw(subjects, 14 * UNIT)
    assert found == [alone.screen_raw(subject, 14 * UNIT) for subject in subjects]
    assert sum(map(bool, found)) > 1000


words = st.text(alphabet="ABEILNORSTYZ", max_size=9)
phrases = st.lists(words, max_size=3).map(" ".join)
any_names = st.builds(Name, family=phrases, given=phrases, middle=words, suffix=st.sampled_from(["", "Jr", "II"]))
any_dates = st.dates(date(1950, 1, 1), date(1953, 12, 31))
postal_codes = st.sampled_from(["75001", "75002", "76001", "", "SW1A 1AA"])
addresses = st.builds(Address, region=st.sampled_from(["TX", "OK", ""]), postal_code=postal_codes)


@st.composite
def registries(draw: st.DrawFn) -> list[Entry]:
    out = []
    for i in range(draw(st.integers(1, 12))):
        names = draw(st.lists(any_names.filter(lambda n: any(name_tokens(n.family, n.given, n.middle, "")[:5])), min_size=1, max_size=3))
        exact = st.dates(date(1950, 1, 1), date(1953, 12, 31)).map(date.isoformat)
        births = draw(st.lists(exact | st.sampled_from(["1951", "1951-03", "1950/1952", "1952~"]), max_size=2))
        out.append(
            Entry(
                f"E{i}",
                tuple(names),
                tuple(births),
                draw(st.sampled_from(["M", "F", "X", None])),
                tuple(draw(st.lists(addresses, max_size=2))),
                draw(st.none() | st.integers(150, 200)),
                draw(st.sampled_from([None, "BRO", "BLU", "hazel", "?"])),
                tuple(draw(st.lists(st.sampled_from(["a", "b"]), max_size=1))),
            )
        )
    return out


@settings(max_examples=40, deadline=None)
@given(registries(), st.data())
def test_any_registry_and_any_subject_score_as_the_reference_says(entries: list[Entry], data: st.DataObject) -> None:
    ours, oracle = Index.build(entries), Index.build(entries, reference=True)
    near = st.sampled_from([name for entry in entries for name in entry.names])
    subject = Subject(
        data.draw(near | any_names),
        data.draw(st.none() | any_dates),
        data.draw(st.sampled_from(["M", "F", None])),
        data.draw(st.none() | addresses),
        data.draw(st.none() | st.integers(150, 200)),
        data.draw(st.sampled_from([None, "BRO", "BLU"])),
        tuple(data.draw(st.lists(st.sampled_from(["a", "b"]), max_size=1))),
        data.draw(st.sampled_from([frozenset(), frozenset({"family"}), frozenset({"given"})])),
    )
    assert ours.revision == oracle.revision
    for threshold in (1, 10 * UNIT, 20 * UNIT):
        expected = _totals(oracle.screen_raw(subject, threshold))
        assert _totals(ours.screen_raw(subject, threshold)) == expected
        assert _totals(ours.screen_many_raw([subject], threshold)[0]) == expected


@settings(max_examples=300, deadline=None)
@given(*[st.text(max_size=40) | st.text(alphabet="DELAVN abjrJRI0123'-. ", max_size=30)] * 4)
def test_the_kernel_cuts_names_into_the_tokens_of_normalize(family: str, given: str, middle: str, suffix: str) -> None:
    assert compiled.kernel is not None
    assert tuple(compiled.kernel.tokens(Name(family, given, middle, suffix))) == tuple(name_tokens(family, given, middle, suffix))

"""Given names beside surnames of their own origin: what they say less is learned from the registry, alike by both scorers."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchlists import Entry, Index, Name, Subject, compiled, origins, score
from watchlists.score import UNIT

# Two origins that keep to themselves, the first much larger: what is common among few is rare among all.
LARGE = ("BAKER CARTER COOPER FISHER HUNTER MASON MILLER PARKER POTTER TURNER WALKER WEAVER", "ALAN BRIAN COLIN DEREK GEORGE HAROLD KEITH NIGEL PETER ROGER")
SMALL = ("AHMADI GHORBANI HOSSEINI JAFARI KARIMI MORADI RAHIMI SADEGHI", "ALIREZA BEHROUZ DARIUSH FARHAD KAMRAN MEHRDAD")
LONE = "ZANGENEH"  # borne once, beside a given name of the small origin


def _entries(count: int, seed: int = 5) -> list[Entry]:
    chance = random.Random(seed)
    out = []
    for number in range(count):
        families, givens = (part.split() for part in (SMALL if chance.random() < 0.1 else LARGE))
        family, first, middle = chance.choice(families), chance.choice(givens), chance.choice([*givens, "", "", "J"])
        out.append(Entry(f"R{number}", (Name(family, first, middle),), (f"19{chance.randrange(40, 99)}-05-17",)))
    return [*out, Entry("lone", (Name(LONE, "FARHAD"),), ("1971-01-01",))]


def _said_by_given(index: Index, family: str, first: str) -> int:
    """What the given name says of whoever has just this name, in eighths of a bit."""
    raw = index.screen_raw(Subject(Name(family, first)), 1)
    return next(parts[1] for _, row, _, parts in raw if index.row_facts(row)[0] == Name(family, first))


@pytest.fixture(params=["kernel", "reference"])
def index(request: pytest.FixtureRequest) -> Index:
    if request.param == "kernel" and not compiled.available():
        pytest.skip("the compiled kernel is not installed (no C compiler at install time)")
    entries = [*_entries(1200), Entry("mixed", (Name("BAKER", "FARHAD"),)), Entry("other", (Name("HOSSEINI", "BRIAN"),))]
    return Index.build((Entry(e.id, tuple(Name(n.family, n.given) for n in e.names)) for e in entries), reference=request.param == "reference")


def test_a_given_name_says_less_beside_a_surname_of_its_own_origin(index: Index) -> None:
    among_its_own = _said_by_given(index, "HOSSEINI", "FARHAD")
    assert among_its_own <= _said_by_given(index, "BAKER", "FARHAD") - 2 * UNIT
    common = [_said_by_given(index, family, "BRIAN") for family in ("BAKER", "HOSSEINI")]
    assert abs(common[0] - common[1]) < UNIT  # the many's names say little anyway


def test_a_surname_borne_once_is_no_company_for_its_own_given_name(index: Index) -> None:
    assert _said_by_given(index, LONE, "FARHAD") > _said_by_given(index, "HOSSEINI", "FARHAD") + UNIT


def test_a_list_of_a_few_has_nothing_to_learn_from() -> None:
    rows = [(entry.names[0].family, entry.names[0].given, "") for entry in _entries(score.ORIGIN_LEAST - 2)]
    assert not any(origins.worth_less(rows))
    assert any(origins.worth_less([*rows, *rows]))


def test_rows_without_both_names_stand_in_no_class_and_keep_their_place() -> None:
    rows = [(entry.names[0].family, entry.names[0].given, "") for entry in _entries(600)]
    spaced = [row for one in rows for row in (("", "FARHAD", ""), one, ("HOSSEINI", "", ""))]
    learned = origins.worth_less(spaced)
    assert learned[1::3] == origins.worth_less(rows)
    assert not any(learned[0::3] + learned[2::3])


@pytest.fixture
def small_sample(monkeypatch: pytest.MonkeyPatch, kernel: None) -> Iterator[None]:
    """EM looks at one row in several, and learns from any number."""
    monkeypatch.setattr(score, "ORIGIN_ROWS", 8)
    monkeypatch.setattr(score, "ORIGIN_LEAST", 1)
    monkeypatch.setattr(score, "ORIGIN_ROUNDS", 4)
    compiled.configure()
    yield
    monkeypatch.undo()
    compiled.configure()


def _scored_alike(entries: list[Entry], subjects: list[Subject]) -> int:
    ours, oracle = Index.build(entries), Index.build(entries, reference=True)
    compared = 0
    for subject in subjects:
        expected = {entry: parts for entry, _, _, parts in oracle.screen_raw(subject, -99 * UNIT)}
        assert {entry: parts for entry, _, _, parts in ours.screen_raw(subject, -99 * UNIT)} == expected
        compared += len(expected)
    return compared


def test_the_kernel_learns_what_the_reference_does(kernel: None) -> None:
    entries = _entries(1500)
    assert _scored_alike(entries, [Subject(entry.names[0]) for entry in entries[:40]]) > 10_000


def test_and_from_a_sample(small_sample: None) -> None:
    entries = _entries(300)
    assert _scored_alike(entries, [Subject(entry.names[0]) for entry in entries[:40]]) > 10_000


_words = st.text("AB", min_size=0, max_size=3)
_names = st.builds(Name, _words, _words.map("C".__add__), _words)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])  # nothing the fixture sets depends on the example
@given(names=st.lists(_names, min_size=1, max_size=40))
def test_whatever_the_names_both_learn_the_same(small_sample: None, names: list[Name]) -> None:
    entries = [Entry(str(number), (name,)) for number, name in enumerate(names)]
    assert _scored_alike(entries, [Subject(name) for name in names[:5]]) > 0


def test_one_registry_always_makes_the_same_file(kernel: None) -> None:
    first, second = (b"".join(Index.build(_entries(800))._core.file()) for _ in range(2))
    assert first == second

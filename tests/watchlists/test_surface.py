import threading
from datetime import date

import pytest

import watchlists
from watchlists import Entry, EntryError, Index, Known, Matcher, Name, Subject, Thresholds, UnknownListError, compiled, testing
from watchlists import matcher as matcher_module


def test_the_public_surface_is_pinned() -> None:
    assert watchlists.__all__ == [
        "Address",
        "CapacityError",
        "Entry",
        "EntryError",
        "Explanation",
        "Index",
        "IndexFileError",
        "Known",
        "Match",
        "Matcher",
        "Name",
        "Reason",
        "SourceError",
        "Subject",
        "Thresholds",
        "UnknownListError",
        "WatchlistError",
    ]
    assert all(hasattr(watchlists, name) for name in watchlists.__all__)


def test_every_entry_is_found_by_its_own_license() -> None:
    entries = list(testing.entries(300, seed=5))
    matcher = Matcher({"offenders": Index.build(entries)})
    for entry in entries[:40]:
        best = matcher.screen(testing.subject_of(entry))[0]
        assert (best.entry_id, best.list, best.band) == (entry.id, "offenders", "red")
        assert best.bits == pytest.approx(sum(best.evidence.values()))


def test_the_same_seed_gives_the_same_registry() -> None:
    assert list(testing.entries(50, seed=3)) == list(testing.entries(50, seed=3))
    assert list(testing.entries(50, seed=3)) != list(testing.entries(50, seed=4))


BARRED = Entry("B-1", (Name("Zylberstein", "Ottilie"),), ("1980-05-17",))
OTTILIE = Subject(Name("ZYLBERSTEIN", "OTTILIE"), date(1980, 5, 17))


def _matcher() -> Matcher:
    return Matcher(
        {"offenders": Index.build(testing.entries(200)), "barred": Index.build(testing.entries(20, prefix="B"))},
        {"barred": Thresholds(15.0, 20.0)},
    )


def test_an_added_entry_is_in_force_at_once_and_a_withdrawn_one_is_not() -> None:
    matcher = _matcher()
    before = matcher.revisions
    assert matcher.screen(OTTILIE) == []
    matcher.add([BARRED], list="barred")
    assert [(m.entry_id, m.list) for m in matcher.screen(OTTILIE)] == [("B-1", "barred")]
    assert matcher.revision("barred") != before["barred"]
    assert matcher.revision("offenders") == before["offenders"]
    matcher.withdraw(["B-1"], list="barred")
    assert matcher.screen(OTTILIE) == []


def test_an_entry_replaced_by_another_version_counts_only_as_it_is_now() -> None:
    matcher = _matcher()
    matcher.add([BARRED], list="barred")
    matcher.add([Entry("B-1", (Name("Quattlebaum", "Ignatz"),), ("1961-01-02",))], list="barred")
    assert matcher.screen(OTTILIE) == []


def test_a_swap_exchanges_one_list_and_its_revision() -> None:
    matcher = _matcher()
    old = matcher.revisions
    matcher.swap(Index.build([BARRED]), list="barred")
    assert [m.entry_id for m in matcher.screen(OTTILIE)] == ["B-1"]
    assert matcher.revision("offenders") == old["offenders"]
    with pytest.raises(UnknownListError, match="offenders"):
        matcher.swap(Index.build([BARRED]))


def test_an_id_that_comes_twice_is_refused() -> None:
    with pytest.raises(EntryError, match="B-1"):
        Index.build([BARRED, BARRED])


def test_the_digest_is_stable_and_changes_with_either_side() -> None:
    first = Matcher(Index.build([BARRED])).screen(OTTILIE)[0].digest
    assert Matcher(Index.build([BARRED, *testing.entries(5)])).screen(OTTILIE)[0].digest == first
    other_day = Subject(OTTILIE.name, date(1980, 5, 17), sex="F")
    assert Matcher(Index.build([BARRED])).screen(other_day)[0].digest != first
    changed = Entry("B-1", BARRED.names, BARRED.birth_dates, category="x")
    assert Matcher(Index.build([changed])).screen(OTTILIE)[0].digest != first


def test_no_repr_shows_a_person() -> None:
    matcher = Matcher(Index.build([BARRED]))
    match = matcher.screen(OTTILIE)[0]
    shown = repr([match, match.subject, BARRED, BARRED.names[0], matcher.explain(match)])
    assert "ZYL" not in shown.upper() and "OTTILIE" not in shown.upper() and "1980" not in shown


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_many_subjects_are_answered_in_the_order_they_came_in(workers: int) -> None:
    entries = list(testing.entries(400, seed=9))
    matcher = Matcher(Index.build(entries))
    subjects = [testing.subject_of(entry) for entry in entries] * 20  # more than a worker takes at a time
    expected = [matches[0].entry_id for matches in map(matcher.screen, subjects[:400])] * 20
    told: list[int] = []
    for given in (subjects, iter(subjects)):
        found = list(matcher.screen_many(given, workers=workers, progress=told.append))
        assert [matches[0].entry_id for matches in found] == expected
    assert told.count(8000) == 2 and len(told) > 2


@pytest.mark.parametrize(("parts", "slow"), [(1, False), (2, False), (5, True), (300, False), (2, None)])
def test_visitors_kept_ready_match_as_they_do_one_by_one(parts: int, slow: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matcher_module, "_SLICE", 3)  # several to a part
    if slow is None:  # nowhere a compiler
        monkeypatch.setattr(compiled, "kernel", None)
    listed = list(testing.entries(8))
    matcher = Matcher({"offenders": Index.build(listed), "barred": Index.build(listed[:2], reference=bool(slow))}, Thresholds(15.0, 20.0))
    matcher.add([BARRED, listed[3]], list="offenders")
    matcher.withdraw([listed[5].id], list="offenders")
    visitors = [OTTILIE, *map(testing.subject_of, listed), *testing.subjects(2, seed=8), OTTILIE]
    known, told = Known(iter(visitors), parts), list[int]()
    assert len(known) == sum(map(known.size, range(known.parts))) == len(visitors)
    found = matcher.rescreen(known, told.append)
    assert found == [(place, matches) for place, subject in enumerate(visitors) if (matches := matcher.screen(subject))]
    assert [place for place, _ in found] == [0, 1, 2, 3, 4, 5, 7, 8, 11]
    assert told == sorted(told) and told[-1] == len(visitors)
    matcher.swap(Index.build([BARRED]), list="barred")
    again = {place for place, matches in matcher.rescreen(known) if any(match.list == "barred" for match in matches)}
    assert again == {0, 11}, "kept, and asked again"


def test_nobody_kept_ready_matches_nothing() -> None:
    assert _matcher().rescreen(Known([])) == []
    with pytest.raises((TypeError, AttributeError)):
        Known(["no subject"])  # type: ignore[list-item]


def test_screening_while_lists_are_swapped_is_safe_from_several_threads() -> None:
    matcher = _matcher()
    with_her, without = Index.build([BARRED]), Index.build(testing.entries(5))
    seen: list[int] = []

    def screen() -> None:
        for _ in range(50):
            seen.append(len(matcher.screen(OTTILIE, ["barred"])))

    threads = [threading.Thread(target=screen) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(50):
        matcher.swap(with_her if i % 2 else without, list="barred")
    for thread in threads:
        thread.join()
    assert len(seen) == 150
    assert set(seen) <= {0, 1}

"""What changed, and whether to believe it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchlists.errors import SourceError
from watchlists.records import Address, Entry, Name
from watchlists.sources.snapshot import Accepted, Limits, Refused, Snapshot, Tally, check, diff, digest

contents = st.dictionaries(st.text(min_size=1, max_size=5), st.integers(0, 3).map(str), max_size=12)


def people(count: int, aliases: int = 0) -> list[Entry]:
    return [
        Entry(id=f"p{i}", names=(Name(f"Family{i}"), *(Name(f"Other{i}-{k}", kind="alias") for k in range(aliases))), birth_dates=("1970",))
        for i in range(count)
    ]


@given(contents, contents)
def test_a_diff_accounts_for_every_entry(before: dict[str, str], after: dict[str, str]) -> None:
    change = diff(before, after)
    rebuilt = {key: value for key, value in before.items() if key not in change.removed}
    rebuilt |= {key: after[key] for key in (*change.added, *change.changed)}
    assert rebuilt == after
    assert len(after) == len(change.added) + len(change.changed) + change.unchanged
    assert len(before) == len(change.removed) + len(change.changed) + change.unchanged
    assert change.empty == (before == after)


def test_the_digest_follows_content_and_not_the_order_of_aliases() -> None:
    a, b, c = Name("A"), Name("B", kind="alias"), Name("C", kind="alias")
    x, y = Address(city="X"), Address(city="Y")
    one = Entry("1", (a, b, c), ("1970", "1971"), addresses=(x, y))
    assert digest(one) == digest(Entry("1", (a, c, b), ("1971", "1970"), addresses=(y, x)))
    for changed in (Entry("1", (a, b), ("1970", "1971"), addresses=(x, y)), Entry("1", (a, b, c), ("1970",), addresses=(x, y))):
        assert digest(one) != digest(changed)


def test_a_list_may_grow_and_shrink_a_little() -> None:
    before, after = Snapshot.of(people(100)), Snapshot.of(people(250)[5:])
    verdict = check(before, after)
    assert isinstance(verdict, Accepted)
    assert (len(verdict.diff.added), len(verdict.diff.removed)) == (150, 5)


@pytest.mark.parametrize(("left", "what"), [(0, "entries"), (80, "entries")])
def test_a_list_that_shrinks_is_refused_with_numbers(left: int, what: str) -> None:
    verdict = check(Snapshot.of(people(100)), Snapshot.of(people(left)))
    assert isinstance(verdict, Refused)
    assert (verdict.what, verdict.before, verdict.after, verdict.lost) == (what, 100, left, 100 - left)
    assert "100" in verdict.reason and str(left or "none") in verdict.reason


def test_a_list_that_loses_its_aliases_is_refused_though_every_entry_is_there() -> None:
    verdict = check(Snapshot.of(people(100, aliases=2)), Snapshot.of(people(100)))
    assert isinstance(verdict, Refused)
    assert (verdict.what, verdict.lost) == ("names", 200)


def test_a_short_list_may_lose_a_few_but_not_all() -> None:
    assert isinstance(check(Snapshot.of(people(5)), Snapshot.of(people(2))), Accepted)
    assert isinstance(check(Snapshot.of(people(2)), Snapshot.of([])), Refused)
    assert isinstance(check(Snapshot.of(people(5)), Snapshot.of(people(2)), Limits(at_least=0)), Refused)


def test_an_overruling_holds_for_the_revision_it_was_given_for_only() -> None:
    before, after, other = Snapshot.of(people(100)), Snapshot.of(people(50)), Snapshot.of(people(49))
    refusal = check(before, after)
    assert isinstance(refusal, Refused)
    assert isinstance(check(before, after, acknowledged=refusal.token), Accepted)
    assert isinstance(check(before, other, acknowledged=refusal.token), Refused)


def test_the_first_revision_has_nothing_to_shrink_from() -> None:
    verdict = check(None, Snapshot.of(people(3)))
    assert isinstance(verdict, Accepted) and verdict.diff.added == ("p0", "p1", "p2")


def test_one_id_twice_cannot_be_counted() -> None:
    tally = Tally()
    tally.add(people(1)[0])
    with pytest.raises(SourceError, match="twice"):
        tally.add(people(1)[0])


def test_a_snapshot_is_saved_and_read_back_and_damage_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "list.snapshot"
    made = Snapshot.of(people(3))
    made.save(path)
    assert Snapshot.load(path) == made
    path.write_bytes(path.read_bytes().replace(b'"p1"', b'"p9"'))
    with pytest.raises(SourceError, match="damaged"):
        Snapshot.load(path)
    path.write_bytes(b"{}")
    with pytest.raises(SourceError, match="no snapshot"):
        Snapshot.load(path)
    with pytest.raises(SourceError, match="cannot be read"):
        Snapshot.load(tmp_path / "absent")

"""Nothing a visitor, a list or a damaged file can contain clears anyone or takes the process down."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path

import pytest

from watchlists import (
    Address,
    CapacityError,
    Entry,
    EntryError,
    Index,
    IndexFileError,
    Matcher,
    Name,
    Subject,
    Thresholds,
    compiled,
    testing,
)
from watchlists.index import REFERENCE_LIMIT

HOSTILE = ["", " ", "x" * 10_000, "😀🔥", "\x00\x1d\x7f\n", "ᚠᛇᚻ", "a\u0301" * 900, "'" * 600, "1234567890", "‮evil", "محمد" * 400, "\ud800"]


@pytest.mark.parametrize("reference", [False, True])
def test_any_text_in_a_subject_is_screened_without_complaint(reference: bool) -> None:
    matcher = Matcher(Index.build(testing.entries(50), reference=reference))
    for text in HOSTILE:
        for name in (Name(text), Name("Smith", text), Name(text, text, text, text)):
            for born in (None, date(1980, 1, 1), date(1, 1, 1), date(9999, 12, 31)):
                matcher.screen(Subject(name, born))


@pytest.mark.parametrize("reference", [False, True])
def test_any_text_in_an_entry_is_kept_beside_a_name_that_can_be_read(reference: bool) -> None:
    entries = [Entry(f"E{i}", (Name("Zylberstein", "Ottilie"), Name(text, text, "", "", "alias"))) for i, text in enumerate(HOSTILE[:-1])]
    index = Index.build(entries, reference=reference)
    assert len(index) == len(entries)
    assert {m.entry_id for m in Matcher(index).screen(Subject(Name("Zylberstein", "Ottilie")))} <= {e.id for e in entries}


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (Entry("", (Name("Smith"),)), "has no id"),
        (Entry("A", ()), "no name with a letter"),
        (Entry("A", (Name("😀", "..."),)), "no name with a letter"),
        (Entry("A", (Name("Smith"),), ("1970-02-30",)), "'A', birth_dates"),
        (Entry("A", (Name("Smith"),), ("1970-13",)), "no such month"),
        (Entry("A", (Name("Smith"),), ("1975/1970",)), "ends before it begins"),
        (Entry("A", (Name("Smith"),), ("02/03/1970",)), "not an EDTF"),
        (Entry("A", (Name("Smith"),), (f"{date.today().year + 1}",)), "in the future"),
        (Entry("A", (Name("Smith"),), (f"{date.today().year + 2}-01-01",)), "in the future"),
    ],
)
def test_an_entry_that_can_not_be_indexed_is_refused_by_id_and_field(reference: bool, entry: Entry, says: str) -> None:
    with pytest.raises(EntryError, match=says):
        Index.build([entry], reference=reference)


SURROGATE = "Zylber\ud800"  # what a program may make of broken bytes; no file of ours can hold it


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize(
    ("entry", "field"),
    [
        (Entry("A", (Name("Smith"),), height_cm=10**30), "height_cm"),
        (Entry("A", (Name("Smith"),), height_cm=-(10**30)), "height_cm"),
        (Entry("A", (Name("Smith"), Name(SURROGATE, kind="alias"))), "names"),
        (Entry("A", (Name("Smith"),), addresses=(Address(postal_code=SURROGATE),)), "addresses"),
        (Entry("A", (Name("Smith"),), id_hashes=(SURROGATE,)), "id_hashes"),
        (Entry("A", (Name("Smith"),), fields={"a": SURROGATE}), "fields"),
        (Entry("A\ud800", (Name("Smith"),)), "id"),
        (Entry("A", (Name("Smith"),), tuple(f"{year}" for year in range(1900, 1965))), "birth_dates"),
        (Entry("A", (Name("Smith"),), id_hashes=tuple(map(str, range(65)))), "id_hashes"),
    ],
)
def test_what_no_index_can_keep_whole_is_refused_by_id_and_field_and_not_shown(reference: bool, entry: Entry, field: str) -> None:
    with pytest.raises(EntryError) as caught:
        Index.build([Entry("before", (Name("Roe"),)), entry], reference=reference)
    assert (caught.value.entry_id, caught.value.field) == (entry.id, field)
    error: BaseException | None = caught.value
    while error is not None:  # nor in what it came of
        assert "Zylber" not in f"{error!r} {error.args}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("height", [-5, 0, 49, 251, 10**6, 10**15])
def test_a_height_nobody_has_is_taken_as_not_known(reference: bool, height: int) -> None:
    index = Index.build([Entry("A", (Name("Zylberstein", "Otto"),), height_cm=height)], reference=reference)
    for shown in (height, 10**30, 180):
        [match] = Matcher(index).screen(Subject(Name("Zylberstein", "Otto"), height_cm=shown))
        assert "height" not in match.evidence


@pytest.mark.parametrize("reference", [False, True])
def test_broken_text_in_what_a_visitor_shows_is_screened_all_the_same(reference: bool) -> None:
    matcher = Matcher(Index.build([Entry("A", (Name("Zylberstein", "Otto"),), id_hashes=("k",))], reference=reference))
    place = Address(postal_code="\ud800", region="\udfff")
    name = Name("Zylberstein", "Otto", "\ud800", "\ud800")
    [match] = matcher.screen(Subject(name, address=place, eye_color="\ud800", id_hashes=("\ud800", "k")))
    assert match.evidence["id"] == 20.0 and len(match.digest) == 32


@pytest.mark.parametrize("workers", [0, -3])
def test_no_number_of_workers_leaves_anyone_unscreened(workers: int) -> None:
    entries = list(testing.entries(5))
    found = list(Matcher(Index.build(entries)).screen_many(map(testing.subject_of, entries), workers=workers))
    assert [bool(matches) for matches in found] == [True] * 5


@pytest.mark.parametrize(("amber", "red"), [(float("nan"), 26), (20, float("nan")), (float("inf"), float("inf")), (0, 26), (30, 26), (1e300, 1e301)])
def test_thresholds_that_are_none_are_refused(amber: float, red: float) -> None:
    with pytest.raises(ValueError, match="thresholds must satisfy"):
        Thresholds(amber, red)


def test_a_list_too_large_for_the_plain_scorer_is_refused_not_guessed_at() -> None:
    with pytest.raises(CapacityError):
        Index.build(testing.entries(REFERENCE_LIMIT), reference=True)


@pytest.mark.parametrize("reference", [False, True])
def test_a_saved_index_is_the_same_index(tmp_path: Path, reference: bool) -> None:
    entries = list(testing.entries(80))
    index = Index.build(entries, reference=reference)
    index.save(tmp_path / "x.idx")
    again = Index.open(tmp_path / "x.idx")
    assert (again.revision, len(again), again.names, again.compiled) == (index.revision, len(index), index.names, index.compiled)
    for entry in entries[:10]:
        subject = testing.subject_of(entry)
        assert Matcher(again).screen(subject) == Matcher(index).screen(subject)
    assert (tmp_path / "x.idx").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["x.idx"]


@pytest.mark.parametrize("reference", [False, True])
def test_a_damaged_index_file_is_refused_wherever_it_is_damaged(tmp_path: Path, reference: bool) -> None:
    path = tmp_path / "x.idx"
    Index.build(testing.entries(30), reference=reference).save(path)
    good = path.read_bytes()
    chance = random.Random(1)
    for at in [0, 8, 9, 12, 20, 24, 40, len(good) // 2, len(good) - 1, *(chance.randrange(len(good)) for _ in range(40))]:
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x55]) + good[at + 1 :])
        with pytest.raises(IndexFileError, match=r"x\.idx"):
            Index.open(path)
    for length in [0, 5, 11, 12, 40, 100, len(good) // 2, len(good) - 1]:
        path.write_bytes(good[:length])
        with pytest.raises(IndexFileError, match=r"x\.idx"):
            Index.open(path)
    path.write_bytes(good + b"more")
    with pytest.raises(IndexFileError):
        Index.open(path)


def test_an_index_of_another_version_says_which(tmp_path: Path) -> None:
    path = tmp_path / "x.idx"
    Index.build(testing.entries(30)).save(path)
    data = bytearray(path.read_bytes())
    data[8] = 99
    path.write_bytes(data)
    with pytest.raises(IndexFileError, match="version 99"):
        Index.open(path)
    with pytest.raises(IndexFileError, match=r"missing\.idx"):
        Index.open(tmp_path / "missing.idx")


def test_an_index_replaced_while_mapped_goes_on_answering_from_what_was_mapped(tmp_path: Path) -> None:
    entries = list(testing.entries(200))
    path = tmp_path / "x.idx"
    Index.build(entries).save(path)
    matcher = Matcher(Index.open(path))
    before = [matcher.screen(testing.subject_of(entry)) for entry in entries]
    Index.build(testing.entries(10, seed=9)).save(path)
    assert [matcher.screen(testing.subject_of(entry)) for entry in entries] == before
    assert len(Index.open(path)) == 10


@pytest.mark.parametrize("damage", ["written over", "cut short"])
def test_an_index_written_into_while_mapped_is_an_error_that_names_the_file(tmp_path: Path, damage: str) -> None:
    if not compiled.available():
        pytest.skip("the compiled kernel is not installed (no C compiler at install time)")
    entries = list(testing.entries(200))
    path = tmp_path / "x.idx"
    Index.build(entries).save(path)
    matcher = Matcher(Index.open(path))
    subject = testing.subject_of(entries[0])
    before = matcher.screen(subject)
    saved = path.stat().st_mtime_ns
    while path.stat().st_mtime_ns == saved:  # a file system's clock ticks every few milliseconds only
        with path.open("r+b") as file:
            if damage == "cut short":
                file.truncate(4096)
            else:
                file.write(b"\0" * 4096)
    for ask in (lambda: matcher.screen(subject), lambda: list(matcher.screen_many([subject]))):
        with pytest.raises(IndexFileError, match=r"x\.idx.*written into"):
            ask()
    Index.build(entries).save(path)
    matcher.swap(Index.open(path))
    assert [match.entry_id for match in matcher.screen(subject)] == [match.entry_id for match in before]


def test_without_a_kernel_its_index_is_refused_and_the_plain_scorer_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not compiled.available():
        pytest.skip("the compiled kernel is not installed (no C compiler at install time)")
    entries = list(testing.entries(40))
    Index.build(entries).save(tmp_path / "x.idx")
    monkeypatch.setattr(compiled, "kernel", None)
    with pytest.raises(IndexFileError, match="kernel"):
        Index.open(tmp_path / "x.idx")
    index = Index.build(entries)
    assert not index.compiled
    assert Matcher(index).screen(testing.subject_of(entries[0]))[0].entry_id == entries[0].id


def test_a_failed_replacement_leaves_the_last_good_index_in_service(tmp_path: Path) -> None:
    entries = list(testing.entries(20))
    matcher = Matcher(Index.build(entries))
    revision = matcher.revision("default")
    bad = tmp_path / "bad.idx"
    bad.write_bytes(b"not an index")
    with pytest.raises(IndexFileError):
        matcher.swap(Index.open(bad))
    with pytest.raises(EntryError):
        matcher.add([Entry("A", (Name("Smith"),), ("never",))])
    assert matcher.revision("default") == revision
    assert matcher.screen(testing.subject_of(entries[0]))[0].entry_id == entries[0].id

"""The two lists a district keeps itself, typed in a spreadsheet."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from watchlists import sources
from watchlists.errors import SourceError
from watchlists.sources import FORMATS, in_force, read

TEMPLATES = Path(sources.__file__).parent / "templates"
HEAD = "entry_id,family_name,given_name,birth_date,sex,height,eye_color,reason,expires_on,issued_on,aliases\n"


@pytest.mark.parametrize("name", ["barred", "custody"])
def test_the_shipped_template_is_read_and_its_sample_row_left_out(name: str, lenient: Callable[..., Any]) -> None:
    text = (TEMPLATES / f"{name}.csv").read_text(encoding="utf-8")
    entries, report = lenient(text, f"{name}-csv")
    assert entries == [] and report.set_aside == {"example": 1} and not report.problems
    [entry], report = lenient(text.replace("EXAMPLE-1", "B-1"), f"{name}-csv", hash_id=lambda number: f"<{number}>")
    assert entry.names[0].family == "Exampleson" and entry.fields["order_number"] and not report.problems
    if name == "custody":
        assert entry.fields["student_hashes"] == "<100234>;<100235>"
        assert "100234" not in {value for key, value in entry.fields.items() if key != "student_hashes"}


def test_students_numbers_are_not_kept_unhashed(lenient: Callable[..., Any]) -> None:
    text = (TEMPLATES / "custody.csv").read_text(encoding="utf-8").replace("EXAMPLE-1", "B-1")
    [entry], report = lenient(text, "custody-csv")
    assert "student_hashes" not in entry.fields
    assert "100234" not in str(entry.fields)
    assert any("no hash_id" in note for note in report.notes)


def test_a_number_too_short_to_mean_one_document_is_left_out(lenient: Callable[..., Any]) -> None:
    [entry], report = lenient("entry_id,family_name,given_name,id_number\nB-1,Doe,Jo,39; D-12 345; d12345\n", "barred-csv", hash_id=str)
    assert entry.id_hashes == ("D12345",)
    assert report.notes == {"document numbers of under 5 characters were left out": 1}


def test_a_spreadsheets_row_becomes_an_entry(lenient: Callable[..., Any]) -> None:
    row = 'B-1,"O\'Brien",Mary Ann,3/2/1970,female,5-07,hazel,Trespass,12/31/2027,2026-01-05,"O\'Brian, Mary; Mary Walsh"\n'
    [entry], report = lenient(HEAD + row, "barred-csv")
    assert report.problems == []
    assert (entry.birth_dates, entry.sex, entry.category) == (("1970-03-02",), "F", "trespass")
    assert (entry.height_cm, entry.eye_color) == (170, "HAZ")
    assert [(n.family, n.given, n.kind) for n in entry.names] == [
        ("O'Brien", "Mary Ann", "primary"), ("O'Brian", "Mary", "alias"), ("Walsh", "Mary", "alias"),
    ]  # fmt: skip
    assert entry.fields == {"issued_on": "2026-01-05", "expires_on": "2027-12-31"}


def test_an_order_is_in_force_from_its_first_to_its_last_day(lenient: Callable[..., Any]) -> None:
    [entry], _ = lenient(HEAD + "B-1,Doe,Jo,,,,,threat,2026-06-30,2026-01-05,\n", "barred-csv")
    days = [date(2026, 1, 4), date(2026, 1, 5), date(2026, 6, 30), date(2026, 7, 1)]
    assert [in_force(entry, day) for day in days] == [False, True, True, False]


def test_an_order_that_has_ended_is_left_out_and_counted(lenient: Callable[..., Any]) -> None:
    rows = "B-1,Doe,Jo,,,,,threat,2026-06-30,2026-01-05,\nB-2,Roe,Al,,,,,threat,,,\nB-1,Doe,Jo,,,,,threat,2027-06-30,2026-07-01,\n"
    entries, report = lenient(HEAD + rows, "barred-csv", as_of=date(2026, 7, 1))
    assert [(e.id, e.fields.get("expires_on")) for e in entries] == [("B-2", None), ("B-1", "2027-06-30")]  # renewed: no id used twice
    assert report.set_aside == {"ended": 1} and not report.problems
    entries, report = lenient(HEAD + rows, "barred-csv", as_of=date(2026, 6, 30))
    assert [e.id for e in entries] == ["B-1", "B-2"] and report.refused == 1


def test_an_order_yet_to_begin_is_kept_for_its_day(lenient: Callable[..., Any]) -> None:
    [entry], _ = lenient(HEAD + "B-1,Doe,Jo,,,,,threat,,2027-01-05,\n", "barred-csv", as_of=date(2026, 7, 1))
    assert not in_force(entry, date(2027, 1, 4)) and in_force(entry, date(2027, 1, 5))


@pytest.mark.parametrize(
    ("row", "column", "refused"),
    [
        ("B-1,,,1970,,,,,,,\n", "family_name", True),
        (",Doe,Jo,1970,,,,,,,\n", "entry_id", True),
        ("B-1,Doe,Jo,31/02/1970,,,,,,,\n", "birth_date", False),
        ("B-1,Doe,Jo,1970-02-31,,,,,,,\n", "birth_date", False),
        ("B-1,Doe,Jo,2990-02-01,,,,,,,\n", "birth_date", False),
        ("B-1,Doe,Jo,3/2/70,,,,,,,\n", "birth_date", False),
        ("B-1,Doe,Jo,,banana,,,,,,\n", "sex", False),
        ("B-1,Doe,Jo,,,9'11,,,,,\n", "height", False),
        ("B-1,Doe,Jo,,,,octarine,,,,\n", "eye_color", False),
        ("B-1,Doe,Jo,,,,,mischief,,,\n", "reason", False),
        ("B-1,Doe,Jo,,,,,,June,,\n", "expires_on", False),
        ("B-1,Doe,Jo,,,,,,2026-01-01,2026-02-01,\n", "expires_on", False),
        ("B-1,Doe,Jo,,,,,,,,!!\n", "aliases", False),
    ],
)
def test_what_cannot_be_read_is_told_with_line_and_column_and_without_the_value(
    row: str, column: str, refused: bool, lenient: Callable[..., Any]
) -> None:
    entries, report = lenient(HEAD + row, "barred-csv")
    [problem] = report.problems
    assert (problem.line, problem.column, problem.refused) == (2, column, refused)
    assert len(entries) == (0 if refused else 1)
    assert report.refused == int(refused) and report.dropped_values == int(not refused)
    for cell in ("31/02/1970", "1970-02-31", "2990", "banana", "octarine", "Doe"):
        assert cell not in str(problem)


def test_strict_reading_raises_at_the_first_problem(tmp_path: Path) -> None:
    path = tmp_path / "barred.csv"
    path.write_text(HEAD + "B-1,Doe,Jo,1970-02-31,,,,,,,\n")
    with pytest.raises(SourceError, match="no such day") as caught:
        list(read(path, "barred-csv"))
    assert (caught.value.file, caught.value.line, caught.value.column) == (str(path), 2, "birth_date")


def test_a_misspelt_column_is_refused_with_the_nearest_right_one(lenient: Callable[..., Any]) -> None:
    with pytest.raises(SourceError, match="'expiry_on' is none of this format; did you mean 'expires_on'") as caught:
        lenient("entry_id,family_name,given_name,expiry_on\n", "barred-csv")
    assert (caught.value.line, caught.value.column) == (1, "expiry_on")
    with pytest.raises(SourceError, match="'family_name' is missing; the nearest there is 'familyname'"):
        lenient("entry_id,familyname,given_name\n", "barred-csv")


def test_own_columns_are_carried_along_when_they_say_so(lenient: Callable[..., Any]) -> None:
    [entry], _ = lenient("entry_id,family_name,given_name,x_building\nB-1,Doe,Jo,Annex\n", "barred-csv")
    assert entry.fields == {"x_building": "Annex"}


def test_an_id_used_twice_is_refused_the_second_time(lenient: Callable[..., Any]) -> None:
    entries, report = lenient("entry_id,family_name,given_name\nB-1,Doe,Jo\nB-1,Roe,Al\n", "barred-csv")
    assert len(entries) == 1 and report.refused == 1 and report.problems[0].line == 3


def test_a_custody_row_without_an_order_is_refused(lenient: Callable[..., Any]) -> None:
    entries, report = lenient("entry_id,family_name,given_name,restriction,order_number\nC-1,Doe,Jo,no_contact,\n", "custody-csv")
    assert entries == [] and report.problems[0].column == "order_number"


def test_the_formats_the_service_offers_are_there() -> None:
    assert {"ofac-csv", "barred-csv", "custody-csv", "entries-jsonl"} <= set(FORMATS)
    assert all(form.name == name and form.title for name, form in FORMATS.items())

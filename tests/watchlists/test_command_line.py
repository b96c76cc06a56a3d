from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from watchlists import Index, testing
from watchlists.__main__ import main
from watchlists.sources import entries_jsonl


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    path = tmp_path / "offenders.jsonl"
    with path.open("wb") as stream:
        entries_jsonl.write(testing.entries(300, seed=5), stream)
    return path


@pytest.fixture
def index(registry: Path, tmp_path: Path) -> Path:
    path = tmp_path / "offenders.idx"
    assert main(["build", str(registry), "-f", "entries-jsonl", "-o", str(path)]) == 0
    return path


def _write_people(path: Path) -> None:
    entries = list(testing.entries(300, seed=5))
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["family", "given", "middle", "birth_date", "sex", "entry_id"])
        for entry in entries[:60]:
            name, born = entry.names[0], entry.birth_dates[0]
            table.writerow([name.family, name.given, name.middle, born if len(born) == 10 else "", entry.sex, entry.id])
        for subject in testing.subjects(60):
            table.writerow([subject.name.family, subject.name.given, "", subject.birth_date or "", subject.sex, ""])


def test_build_writes_an_index_of_the_list(registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", str(registry), "-f", "entries-jsonl", "-o", str(tmp_path / "x.idx")]) == 0
    assert len(Index.open(tmp_path / "x.idx")) == 300
    assert "300 entries" in capsys.readouterr().out


def test_screen_of_one_person_tells_scripts_by_its_status(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = next(iter(testing.entries(1, seed=5)))
    name = entry.names[0]
    person = ["--family", name.family, "--given", name.given, "--middle", name.middle, "--birth-date", entry.birth_dates[0]]
    assert main(["screen", str(index), *person, "--explain"]) == 1
    out = capsys.readouterr().out
    assert entry.id in out and "The birth date is the same." in out
    assert main(["screen", str(index), "--family", "Quattlebaum", "--given", "Ignatz", "--birth-date", "1960-01-01"]) == 0


def test_screen_of_a_file_writes_csv_and_json_lines(index: Path, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    _write_people(people)
    assert main(["screen", str(index), "--subjects", str(people), "-o", str(tmp_path / "out.csv")]) == 0
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {int(row["subject"]) for row in rows} >= set(range(1, 50))
    assert main(["screen", str(index), "--subjects", str(people), "-o", str(tmp_path / "out.jsonl")]) == 0
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert [line["entry_id"] for line in lines] == [row["entry_id"] for row in rows]


def test_rescreen_finds_the_known_people_among_the_changed_entries(registry: Path, tmp_path: Path) -> None:
    people, changed, out = tmp_path / "people.csv", tmp_path / "changed.jsonl", tmp_path / "out.csv"
    _write_people(people)
    changed.write_bytes(b"".join(registry.read_bytes().splitlines(keepends=True)[:5]))
    assert main(["rescreen", str(people), str(changed), "-o", str(out)]) == 0
    with out.open(encoding="utf-8") as file:
        found = {int(row["subject"]) for row in csv.DictReader(file)}
    assert found >= {1, 2, 3, 4, 5}
    assert len(found) < 10


def test_explain_speaks_spanish(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = next(iter(testing.entries(1, seed=5)))
    name = entry.names[0]
    person = ["--family", name.family, "--given", name.given, "--birth-date", entry.birth_dates[0]]
    assert main(["explain", str(index), "--entry", entry.id, "--spanish", *person]) == 0
    assert "La fecha de nacimiento es la misma." in capsys.readouterr().out


def test_evaluate_gives_the_curve_and_fits_m(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people = tmp_path / "people.csv"
    _write_people(people)
    capsys.readouterr()
    assert main(["evaluate", str(index), str(people), "--fit", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    at_20 = next(point for point in result["curve"] if point["bits"] == 20)
    assert at_20["recall"] > 0.9 and at_20["false_alerts"] < 0.05
    exact = next(row for row in result["fitted"]["rows"] if (row["field"], row["level"]) == ("family", "exact"))
    assert exact["here"] > 0.9  # these people show their own name


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("family,birth_date\nX,1990-13-01\n", ":2:2: birth_date"),
        ("family,height_cm\nX,tall\n", ":2:2: height_cm"),
        ("surname\nX\n", ":1: has no column"),
        ("family,given\nX\n", ":2: has not 2 columns"),
        ("family,shoe\nX,1\n", "'shoe' is not one of"),
    ],
)
def test_a_file_of_people_that_can_not_be_read_names_the_place(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, where: str
) -> None:
    people = tmp_path / "people.csv"
    people.write_text(text, "utf-8")
    assert main(["screen", str(index), "--subjects", str(people)]) == 3
    assert where in capsys.readouterr().err


def test_json_that_is_no_subject_names_the_line(index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people = tmp_path / "people.jsonl"
    people.write_text('{"name": {"family": "X"}}\n{"name": 5}\n', "utf-8")
    assert main(["screen", str(index), "--subjects", str(people)]) == 3
    assert "people.jsonl:2" in capsys.readouterr().err

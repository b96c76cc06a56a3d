from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest

from watchlists import Entry, Index, Known, Matcher, Name, Thresholds, testing
from watchlists.__main__ import main
from watchlists.sources import entries_jsonl
from watchlists.subjects import read_subjects


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


def test_rescreen_writes_what_visitors_kept_ready_match(registry: Path, tmp_path: Path) -> None:
    people, out = tmp_path / "people.csv", tmp_path / "out.jsonl"
    _write_people(people)
    assert main(["rescreen", str(people), str(registry), "-o", str(out), "--amber", "15"]) == 0
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    matcher = Matcher({"offenders": Index.build(testing.entries(300, seed=5))}, Thresholds(15.0, 26.0))
    found = matcher.rescreen(Known(subject for subject, _ in read_subjects(people)))
    ready = [(place + 1, m.list, m.entry_id, m.band, m.bits, m.evidence, m.digest) for place, matches in found for m in matches]
    told = ("subject", "list", "entry_id", "band", "bits", "evidence", "digest")
    assert [tuple(line[key] for key in told) for line in lines] == ready and len({place for place, *_ in ready}) >= 60


def test_whoever_waits_at_a_terminal_is_told_how_far_it_is(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    people = tmp_path / "people.csv"
    _write_people(people)
    capsys.readouterr()
    assert main(["rescreen", str(people), str(registry), "-o", str(tmp_path / "out.csv")]) == 0
    assert "screened" not in capsys.readouterr().err, "a script's log is no terminal"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["rescreen", str(people), str(registry), "-o", str(tmp_path / "out.csv")]) == 0
    told = capsys.readouterr().err
    assert "\r120 screened, " in told and "120 people, " in told


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
        ("family,birth_date\nX,1990-13-01\n", ":2:birth_date: the value (9999-99-99) cannot be read"),
        ("family,birth_date\nX,2990-01-01\n", ":2:birth_date: the value (9999-99-99) cannot be read: the date is in the future"),
        ("family,birth_date\nX,1990\n", ":2:birth_date: the value (9999) cannot be read: it is not a full date"),
        ("family,height_cm\nX,tall\n", ":2:height_cm: the value (aaaa)"),
        ("family,height_cm\nX,²\n", ":2:height_cm"),
        ("family,height_cm\nX," + "9" * 5000 + "\n", ":2:height_cm"),
        ("family,sex\nX,Zylber\n", ":2:sex"),
        ("family,eye_color\nX,plaid\n", ":2:eye_color"),
        ("surname\nX\n", ":1:family: the column 'family' is missing"),
        ("family,given\nX\n", ":2: the row has 1 cells where the header has 2"),
        ("family,given\nX,Y,Z\n", ":2: the row has 3 cells"),
        ("family,shoe\nX,1\n", "'shoe' is none of this format"),
        ("family,family\nX,Y\n", "'family' is there twice"),
        ('family\n"Zylber\n', ":2: the file ends inside a quoted value"),
        ("family\n" + "x" * 200_000 + "\n", ":2: a value is longer"),
        ("family\nZyl\0ber\n", ":2: there is a NUL"),
        ("family\n😀\n", ":2:name: there is no name in a script that can be compared"),
        ("family,given\n" + "x" * 600 + ",Y\n", ":2:name: a part of the name is longer"),
        ("", "is empty"),
    ],
)
def test_a_file_of_people_that_can_not_be_read_names_the_place(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, where: str
) -> None:
    people = tmp_path / "people.csv"
    people.write_text(text, "utf-8")
    assert main(["screen", str(index), "--subjects", str(people)]) == 3
    told = capsys.readouterr().err
    assert told.startswith(str(people)) and where.replace("aaaa", "AAAA") in told.replace("aaaa", "AAAA")
    assert "ylber" not in told


def test_people_of_another_encoding_and_delimiter_are_read_as_a_spreadsheet_saves_them(index: Path, tmp_path: Path) -> None:
    people, out = tmp_path / "people.csv", tmp_path / "out.csv"
    entry = next(iter(testing.entries(1, seed=5)))
    row = f"{entry.names[0].family};{entry.names[0].given};{entry.birth_dates[0]};Müller\n"
    people.write_bytes(("Family;Given;Birth Date;x_note\n" + row).encode("cp1252"))
    assert main(["screen", str(index), "--subjects", str(people), "-o", str(out)]) == 0
    with out.open(encoding="utf-8") as file:
        assert next(csv.DictReader(file))["entry_id"] == entry.id


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ('{"name": 5}', ":2:name: Expected `object`"),
        ("{", ":2: the line is no JSON object"),
        ("[" * 100_000, ":2: "),
        ('{"name": {"family": "\\ud800"}}', ":2: the line is no JSON object"),
        ('{"name": {"family": "X"}, "sex": "Zylber"}', ":2:sex: a value that is not allowed here"),
        ('{"name": {"family": "X"}, "birthdate": "1970-01-01"}', ":2: 'birthdate' is no field of a Subject; did you mean 'birth_date'"),
        ('{"name": {"family": "X", "givn": "Y"}}', ":2: 'givn' is no field of a Name; did you mean 'given'"),
        ('{"name": {"family": "X"}, "birth_date": "2990-01-01"}', ":2:birth_date"),
        ('{"name": {"family": "X"}, "height_cm": ' + "9" * 30 + "}", ":2:height_cm"),
        ('{"name": {"family": "12 …"}, "id_hashes": []}', ""),
        ('{"name": {"family": "…"}}', ":2:name: there is no name"),
    ],
)
def test_json_that_is_no_subject_names_the_line(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, where: str
) -> None:
    people = tmp_path / "people.jsonl"
    people.write_text('{"name": {"family": "X"}}\n' + line + "\n", "utf-8")
    assert main(["screen", str(index), "--subjects", str(people)]) == (3 if where else 0)
    told = capsys.readouterr().err
    assert where in told and "Zylber" not in told


def test_an_index_of_nobody_is_not_made_unasked_and_the_last_one_stays(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, good = tmp_path / "empty.jsonl", index.read_bytes()
    empty.write_text("\n")
    assert main(["build", str(empty), "-f", "entries-jsonl", "-o", str(index)]) == 3
    assert "would clear everyone" in capsys.readouterr().err and index.read_bytes() == good
    assert main(["build", str(empty), "-f", "entries-jsonl", "-o", str(index), "--allow-empty"]) == 0
    assert len(Index.open(index)) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["screen", "INDEX", "--family", "😀"],
        ["screen", "INDEX", "--given", "Zylber", "--family", "", "--birth-date", "1970-13-01"],
        ["screen", "INDEX", "--family", "Zylber", "--birth-date", "2990-01-01"],
        ["screen", "INDEX", "--family", "Zylber", "--amber", "nan"],
        ["screen", "INDEX", "--family", "Zylber", "--amber", "inf", "--red", "inf"],
        ["screen", "INDEX", "--subjects", "PEOPLE", "--workers", "0"],
        ["screen", "INDEX", "--subjects", "PEOPLE", "-o", "."],
        ["explain", "INDEX", "--entry", "F-000001"],
        ["build", "PEOPLE", "-f", "entries-jsonl", "-o", "."],
        ["build", "PEOPLE", "-f", "entries-jsonl", "-o", "x.idx", "--max-refused", "nan"],
        ["diff", "PEOPLE", "PEOPLE", "-f", "entries-jsonl", "--max-shrink", "-1"],
        ["fetch", "https://localhost/x", "-o", "x", "--max-mb", "-1"],
    ],
)
def test_wrong_use_says_so_and_repeats_nobodys_name_or_date(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    people = tmp_path / "people.csv"
    _write_people(people)
    capsys.readouterr()
    given = [{"INDEX": str(index), "PEOPLE": str(people)}.get(argument, argument) for argument in arguments]
    try:
        status = main(given)
    except SystemExit as stopped:
        status = int(stopped.code or 0)
    told = capsys.readouterr()
    assert status == 2 and told.err and not told.out
    assert not any(word in told.err for word in ("Zylber", "1970-13", "2990", "Traceback"))


def test_explaining_an_entry_that_is_not_there_says_that(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(index), "--entry", "nobody", "--family", "Smith"]) == 3
    assert "no entry of that id" in capsys.readouterr().err


def test_evaluating_people_of_entries_that_are_not_there_is_no_recall_of_nothing(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = tmp_path / "people.csv"
    people.write_text("family,entry_id\nDoe,\nRoe,nobody\n")
    assert main(["evaluate", str(index), str(people)]) == 3
    assert "1 people are said to be entries that the index does not hold, the first of them person 2" in capsys.readouterr().err
    people.write_text("family,entry_id\n")
    assert main(["evaluate", str(index), str(people)]) == 3


def test_ids_of_any_characters_do_not_act_on_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.idx"
    Index.build([Entry("\x1b[2J", (Name("Zylberstein", "Ottilie"),))]).save(path)
    assert main(["screen", str(path), "--family", "Zylberstein", "--given", "Ottilie"]) == 1
    assert "'\\x1b[2J'" in capsys.readouterr().out

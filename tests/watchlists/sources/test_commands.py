"""The import side of the command line, as a person at a prompt sees it."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from watchlists.sources import Report, commands, read
from watchlists.sources.snapshot import Snapshot

Run = Callable[..., int]
HEAD = "entry_id,family_name,given_name,birth_date\n"


@pytest.fixture
def run() -> Run:
    parser = argparse.ArgumentParser()
    commands.add_commands(parser.add_subparsers(required=True))

    def go(*arguments: str | Path) -> int:
        args = parser.parse_args([str(argument) for argument in arguments])
        return commands.guarded(args.run, args)

    return go


@pytest.fixture
def barred(tmp_path: Path) -> Callable[[str, int], Path]:
    def write(name: str, count: int) -> Path:
        path = tmp_path / name
        path.write_text(HEAD + "".join(f"B-{i},Doe{i},Jo,1970-01-01\n" for i in range(count)))
        return path

    return write


def test_a_list_is_converted_and_reads_back_the_same(run: Run, barred: Callable[[str, int], Path], tmp_path: Path) -> None:
    source, out, snap = barred("a.csv", 5), tmp_path / "out.jsonl", tmp_path / "a.json"
    assert run("convert", source, "-f", "barred-csv", "-o", out, "--snapshot", snap) == 0
    assert list(read(out, "entries-jsonl")) == list(read(source, "barred-csv"))
    made = Snapshot.load(snap)
    assert (made.counts.entries, made.file_sha256) == (5, hashlib.sha256(source.read_bytes()).hexdigest())
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert not out.with_name("out.jsonl.new").exists()


def test_a_refused_file_leaves_no_output_and_says_where(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "a.csv", tmp_path / "out.jsonl"
    source.write_text(HEAD + "B-1,,,\n")
    out.write_text("the last good one")
    assert run("convert", source, "-f", "barred-csv", "-o", out) == commands.FILE_REFUSED
    assert out.read_text() == "the last good one"
    assert f"{source}:2:family_name" in capsys.readouterr().err
    assert run("convert", tmp_path / "absent.csv", "-f", "barred-csv") == commands.FILE_REFUSED


def test_a_shrunken_list_is_refused_until_its_token_is_given(
    run: Run, barred: Callable[[str, int], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after, snap = barred("a.csv", 100), barred("b.csv", 50), tmp_path / "b.json"
    asked = ("diff", before, after, "-f", "barred-csv", "--snapshot", snap)
    assert run(*asked) == commands.SHRANK
    told = capsys.readouterr()
    assert "lose 50 of 100 entries (50%)" in told.err and "0 added, 50 removed" in told.out
    assert not snap.exists()
    token = told.err.split()[-1]
    assert run(*asked, "--acknowledge", token) == 0
    assert Snapshot.load(snap).counts.entries == 50
    capsys.readouterr()
    assert run("diff", snap, after, "-f", "barred-csv", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["accepted"] and shown["diff"]["unchanged"] == 50 and shown["diff"]["removed"] == []


def test_ids_of_any_characters_do_not_act_on_a_terminal(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    before.write_text('{"id": "1", "names": [{"family": "Doe"}]}\n')
    after.write_text(before.read_text() + '{"id": "\\u001b[2J", "names": [{"family": "Roe"}]}\n')
    assert run("diff", before, after, "-f", "entries-jsonl") == 0
    assert "+ '\\x1b[2J'" in capsys.readouterr().out


def test_what_changed_is_written_for_rescreening(run: Run, barred: Callable[[str, int], Path], tmp_path: Path) -> None:
    before, after, out = barred("a.csv", 10), barred("b.csv", 12), tmp_path / "changed.jsonl"
    after.write_text(after.read_text().replace("Doe3,", "Dough3,"))
    assert run("diff", before, after, "-f", "barred-csv", "--changed", out) == 0
    assert [entry.id for entry in read(out, "entries-jsonl")] == ["B-3", "B-10", "B-11"]


def test_a_bar_is_drawn_on_a_terminal_and_nowhere_else(barred: Callable[[str, int], Path]) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    parser = argparse.ArgumentParser()
    commands.add_reading_options(parser)
    args = parser.parse_args([str(barred("a.csv", 5000)), "-f", "barred-csv"])
    shown, file = Terminal(), io.StringIO()
    for out in (shown, file):
        entries, report = commands.read_arguments(args, progress=out)
        assert sum(1 for _ in entries) == 5000
    drawn = re.findall(r"\r\[(#*)\.*\] +(\d+)%  ([\d,]+) entries", shown.getvalue())
    assert [count for _, _, count in drawn] == ["1,000", "2,000", "3,000", "4,000", "5,000"]
    assert int(drawn[0][1]) < int(drawn[-1][1]) <= 100 and report.fraction is not None
    assert file.getvalue() == ""


def test_formats_and_templates_are_listed_and_written(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("formats") == 0
    assert "un-xml" in capsys.readouterr().out
    out = tmp_path / "custody.csv"
    assert run("template", "custody", "-o", out) == 0
    report = Report()
    assert list(read(out, "custody-csv", report=report)) == [] and report.set_aside == {"example": 1}


def test_an_address_that_is_not_https_is_refused(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fetch", "http://example.org/list.csv", "-o", tmp_path / "x") == commands.FILE_REFUSED
    assert "unencrypted" in capsys.readouterr().err


def test_document_numbers_are_kept_only_under_a_key(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, key, out = tmp_path / "a.csv", tmp_path / "key", tmp_path / "out.jsonl"
    source.write_text("entry_id,family_name,given_name,id_number\nB-1,Doe,Jo,D123-4567\n")
    assert run("convert", source, "-f", "barred-csv", "-o", out) == 0
    assert "no hash_id" in capsys.readouterr().err and "id_hashes\":[]" in out.read_text()
    key.write_text("short")
    assert run("convert", source, "-f", "barred-csv", "-o", out, "--id-key", key) == commands.WRONG_USE
    key.write_text("0123456789abcdef")
    assert run("convert", source, "-f", "barred-csv", "-o", out, "--id-key", key) == 0
    [entry] = read(out, "entries-jsonl")
    assert len(entry.id_hashes) == 1 and len(entry.id_hashes[0]) == 64 and "1234567" not in out.read_text()

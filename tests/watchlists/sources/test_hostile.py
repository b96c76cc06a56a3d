"""Whatever comes in: an entry that can be screened, or a SourceError that says where. No other exception, no name in a message."""

from __future__ import annotations

import contextlib
import io
import json
import re
import unicodedata
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from watchlists.errors import SourceError
from watchlists.prepare import prepare_entry
from watchlists.records import Address, Entry, Name
from watchlists.sources import FORMATS, KINDS, Report, dates, entries_jsonl, ofac_csv, people, read

MAPPING = {
    "title": "t", "id": "entry_id", "name": {"family": "family_name", "given": "given_name"},
    "birth_date": [{"column": "birth_date", "formats": ["YYYY-MM-DD"]}],
    "sex": {"column": "sex"}, "height": {"column": "height"}, "eye_color": {"column": "eye_color"},
}  # fmt: skip
HEADERS = {
    "barred-csv": "entry_id,family_name,given_name,birth_date,sex,height,eye_color,aliases,expires_on,reason,id_number\n",
    "custody-csv": "entry_id,family_name,given_name,restriction,order_number,student_numbers,birth_date,expires_on\n",
    "mapped-csv": "entry_id,family_name,given_name,birth_date,sex,height,eye_color\n",
    "opensanctions-csv": "id,schema,name,aliases,birth_date,addresses\n",
    "ofsi-csv": "Last Updated,x\nName 6,Name 1,Group Type,Group ID,Alias Type,Alias Quality,DOB,Name Non-Latin Script,Passport Number\n",
}
SAMPLES = {
    "ofac-csv": '36,"DOE, John",individual,"SDGT",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,"DOB 1970; a.k.a. \'X Y\'; Passport A1234"\n',
    "ofac-xml": "<sdnList><sdnEntry><uid>1</uid><lastName>A</lastName><sdnType>Individual</sdnType></sdnEntry></sdnList>",
    "un-xml": "<CONSOLIDATED_LIST><INDIVIDUALS><INDIVIDUAL><DATAID>1</DATAID><FIRST_NAME>A B</FIRST_NAME><INDIVIDUAL_ALIAS>"
    "<ALIAS_NAME>x (y); z</ALIAS_NAME></INDIVIDUAL_ALIAS></INDIVIDUAL></INDIVIDUALS><ENTITIES/></CONSOLIDATED_LIST>",
    "nsopw-json": '{"offenders": [{"id": "1", "name": {"firstName": "A", "lastName": "B"}, "dob": "1970-01-01"}], "statusCode": 200}',
    "entries-jsonl": '{"id": "1", "names": [{"family": "A"}], "birth_dates": ["1970~"]}\n',
    **{name: header + "I-1,Doe,Jo,1970-01-01,M,5'11,BRO\n" for name, header in HEADERS.items()},
}
SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
HOSTILE_NAMES = (
    "", " ", "\x07", "🙂", "𒀀𒀁", "\u202eevil", "x" * 10_000, "a\u0300" * 500, "ﷺ", "’", "O'", "-", "null", "=cmd()", "\ud7ff", "１２",
)  # fmt: skip
SPOILERS = [b'"', b",", b"\n", b"\x1a", b"\0", b"<", b"}", b"\xff", b"-0- "]


def read_any(content: bytes, format: str) -> tuple[list[Entry], Report]:
    report = Report(max_refused=1.0)
    mapping = MAPPING if format == "mapped-csv" else None
    got = list(read(io.BytesIO(content), format, name="f", report=report, kinds=KINDS, mapping=mapping, hash_id=str.lower))
    return got, report


def check(entries: list[Entry], report: Report) -> None:
    """Every entry can be indexed, and every row is accounted for."""
    for entry in entries:
        prepare_entry(entry)
        assert entry.names and entry.id
    assert len({entry.id for entry in entries}) == len(entries) == report.entries


def test_every_format_is_tried_here() -> None:
    assert set(SAMPLES) == set(FORMATS)


@pytest.mark.parametrize("format", SAMPLES)
@SLOW
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_but_nothing_else(format: str, data: st.DataObject) -> None:
    content = bytearray(SAMPLES[format].encode() * data.draw(st.integers(1, 2)))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(at, min(len(content), at + 12)))
        content[at:end] = data.draw(st.binary(max_size=6) | st.sampled_from(SPOILERS))
    with contextlib.suppress(SourceError):
        check(*read_any(bytes(content), format))


@pytest.mark.parametrize("format", SAMPLES)
@SLOW
@given(content=st.binary(max_size=200))
@example(b"PK\x03\x04")
@example(b"PK\x05\x06" + b"\0" * 18)
@example(b"\x1f\x8b\x08")
@example(b"\xef\xbb\xbf")
@example(b"\xff\xfe")
@example(b"\xff\xfe\0\0")
@example(b"\x1a")
def test_bytes_that_mean_nothing_are_refused_or_hold_nothing(format: str, content: bytes) -> None:
    with contextlib.suppress(SourceError):
        check(*read_any(content, format))


@pytest.mark.parametrize("format", SAMPLES)
def test_a_file_cut_off_anywhere_is_refused_or_shorter_never_wrong(format: str) -> None:
    whole, _ = read_any(SAMPLES[format].encode(), format)
    content = SAMPLES[format].encode() * (2 if format in ("ofac-csv", "entries-jsonl") else 1)
    refused = 0
    for end in range(len(content) - 1):
        try:
            entries, report = read_any(content[:end], format)
        except SourceError:
            refused += 1
        else:
            # What is left of a table reads as a table: the last cell may be shorter, no entry may be another.
            assert [e.id for e in entries] in ([], [e.id for e in whole]) or report.problems or format in HEADERS, end
    assert refused > len(content) / 3


datelike = st.text(alphabet="0123456789-/~ .TZ:JanFebDecicrto", max_size=28)
cell_characters = st.characters(exclude_categories=("Cs",), exclude_characters='"\0\x1a\r\n')
cells = st.text(alphabet=cell_characters, max_size=20) | st.sampled_from(HOSTILE_NAMES)


@SLOW
@given(rows=st.lists(st.tuples(cells, cells, cells, cells, cells), max_size=6))
def test_any_cell_of_a_barred_list_becomes_an_entry_or_a_problem(rows: list[tuple[str, ...]]) -> None:
    head = "entry_id,family_name,given_name,birth_date,aliases\n"
    text = head + "".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in rows)
    entries, report = read_any(text.encode("utf-8"), "barred-csv")
    check(entries, report)
    blank = sum(not any(cell.strip() for cell in row) for row in rows)
    assert report.rows == len(rows) - blank
    assert report.entries + report.refused + report.set_aside.total() == report.rows


@SLOW
@given(rows=st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=4))
def test_no_problem_repeats_what_a_cell_says(rows: list[tuple[str, ...]]) -> None:
    secret = "Zylberschtein"
    text = "entry_id,family_name,given_name,birth_date,sex,expires_on\n" + "".join(
        f'{i},"{secret}","{a}","{secret}","{secret}{b}","{secret}"\n' for i, (a, b, _) in enumerate(rows)
    )
    _, report = read_any(text.encode("utf-8"), "barred-csv")
    assert report.problems
    assert not any(secret in str(problem) or secret in repr(problem) for problem in report.problems)


TAGS = [
    "DATAID", "FIRST_NAME", "SECOND_NAME", "THIRD_NAME", "NAME_ORIGINAL_SCRIPT", "GENDER", "ALIAS_NAME", "QUALITY", "TYPE_OF_DATE",
    "DATE", "YEAR", "FROM_YEAR", "TO_YEAR", "NOTE",
]  # fmt: skip
xml_text = st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), max_size=16)
known_words = ["a) x b) y; z (ق)", "born", "((", ")", "Low", "BETWEEN", "APPROXIMATELY", "Nov. 1973", "Male", "1"]
snippets = xml_text | datelike | st.sampled_from(known_words)


@SLOW
@given(fields=st.lists(st.tuples(st.sampled_from(TAGS), snippets), max_size=10), wrap=st.sampled_from(["", "_ALIAS", "_DATE_OF_BIRTH"]))
def test_any_text_in_a_un_entry_gives_an_entry_or_a_problem(fields: list[tuple[str, str]], wrap: str) -> None:
    inner = "".join(f"<{tag}>{escape(text)}</{tag}>" for tag, text in fields)
    wrapped = f"<INDIVIDUAL{wrap}>{inner}</INDIVIDUAL{wrap}>" if wrap else ""
    person = f"<INDIVIDUAL><DATAID>7</DATAID><FIRST_NAME>Ann</FIRST_NAME>{inner}{wrapped}</INDIVIDUAL>"
    entries, report = read_any(f"<CONSOLIDATED_LIST><INDIVIDUALS>{person}</INDIVIDUALS><ENTITIES/></CONSOLIDATED_LIST>".encode(), "un-xml")
    check(entries, report)
    assert len(entries) + report.refused == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@SLOW
@given(
    changes=st.dictionaries(
        st.sampled_from(["id", "name", "aliases", "gender", "dob", "locations", "offenderUri", "imageUri", "absconder", "jurisdictionId"]),
        json_values,
        max_size=4,
    )
)
def test_any_value_in_an_offender_gives_an_entry_or_a_problem(changes: dict[str, Any]) -> None:
    offender = {"id": "1", "name": {"firstName": "Ann", "lastName": "Lee"}, "dob": "1970-01-01", "gender": "F", **changes}
    entries, report = read_any(json.dumps({"offenders": [offender]}).encode(), "nsopw-json")
    check(entries, report)
    assert len(entries) + report.refused == 1


remark = st.sampled_from(["DOB ", "alt. DOB ", "a.k.a. '", "'; f.k.a. '", "Gender ", "Passport ", "National ID No. ", "POB ", ""])


@SLOW
@given(parts=st.lists(st.tuples(remark, datelike | cells), max_size=6))
def test_any_remarks_give_an_entry_and_keep_no_document_number(parts: list[tuple[str, str]]) -> None:
    text = "; ".join(label + value.replace('"', "") for label, value in parts) + "; Passport A1234567 (Iran)"
    row = f'36,"DOE, John",individual,"X"{",-0- " * 7},"{text}"\n'
    entries, report = read_any(row.encode("utf-8"), "ofac-csv")
    check(entries, report)
    assert len(entries) == 1
    if "'" not in text and len(text) <= ofac_csv.MAX_REMARKS:
        assert "a1234567" in entries[0].id_hashes
        assert "A1234567" not in entries[0].fields.get("remarks", "")


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_refused_or_kept_clean(name: str) -> None:
    quoted = name.replace('"', '""')
    entries, report = read_any(f'entry_id,family_name,given_name\n1,"{quoted}",\n'.encode(), "barred-csv")
    assert len(entries) + report.refused == 1
    for entry in entries:
        assert all(c.isprintable() for c in entry.names[0].family) and len(entry.names[0].family) <= people.MAX_NAME
        assert unicodedata.is_normalized("NFC", entry.names[0].family)


EDTF = re.compile(r"\d{4}(-\d\d(-\d\d)?)?~?(/\d{4}(-\d\d(-\d\d)?)?~?)?")
PARSERS: list[Callable[[str], str]] = [dates.from_iso, dates.from_us, dates.from_us_any, dates.from_day_first, dates.from_words]


@pytest.mark.parametrize("parse", PARSERS)
@given(text=datelike | st.text(max_size=12) | st.dates().map(str))
def test_a_date_is_edtf_or_a_value_error_that_does_not_repeat_it(parse: Callable[[str], str], text: str) -> None:
    try:
        value = parse(text)
    except ValueError as error:
        assert len(text.strip()) < 6 or text.strip() not in str(error)
    else:
        assert EDTF.fullmatch(value)
        assert entries_jsonl.check_edtf(value, today=dates.date.max) == value


@given(day=st.dates(min_value=dates.date(1850, 1, 1), max_value=dates.date(2020, 1, 1)))
def test_one_day_is_read_the_same_however_it_is_written(day: dates.date) -> None:
    iso = day.isoformat()
    assert dates.from_iso(iso) == dates.from_iso(f"{iso}T00:00:00") == iso
    assert dates.from_us(f"{day.month}/{day.day}/{day.year}") == iso
    assert dates.from_day_first(f"{day.day:02}/{day.month:02}/{day.year}") == iso
    assert dates.from_words(day.strftime("%d %b %Y")) == iso
    assert dates.from_words("circa " + day.strftime("%d %b %Y")) == iso + "~"
    for pattern, written in (("YYYYMMDD", "%Y%m%d"), ("MM/DD/YYYY", "%m/%d/%Y"), ("DD.MM.YYYY", "%d.%m.%Y"), ("DD MON YYYY", "%d %B %Y")):
        assert dates.from_pattern(day.strftime(written), pattern) == iso
    assert dates.from_pattern(f"{day.year}0000", "YYYYMMDD") == str(day.year)


@given(text=st.text(max_size=30), order=st.sampled_from(["given-first", "family-first"]))
@example("Jr., Jr., Jr.", "given-first")
@example(",", "given-first")
@example("de la", "given-first")
@example("Jr", "family-first")
def test_a_name_split_loses_no_letter(text: str, order: people.Order) -> None:
    found = people.split_name(text, order=order)
    letters = sorted(c for c in people.clean(text) if c.isalpha())
    if found is None:
        # Only a name whose every part fails the one test there is, a letter, is none.
        assert not letters or all(people._bare(part) in people.SUFFIXES for part in re.split(r"[\s,]+", people.clean(text)) if part)
        return
    assert any(c.isalpha() for c in found.family)
    kept = sorted(c for c in f"{found.family}{found.given}{found.middle}" if c.isalpha())
    assert len(kept) <= len(letters)
    if not found.suffix and people._bare(people.clean(text).split(" ")[0]) not in people.TITLES:
        assert kept == letters


@pytest.mark.parametrize(
    ("written", "split"),
    [
        ("DE LA CRUZ, Juan Carlos, Jr.", ("DE LA CRUZ", "Juan", "Carlos", "Jr")),
        ("SMITH JR, John", ("SMITH", "John", "", "Jr")),
        ("Smith, Jr.", ("Smith", "", "", "Jr")),
        ("Ludwig van Beethoven", ("van Beethoven", "Ludwig", "", "")),
        ("Juan de la Cruz III", ("de la Cruz", "Juan", "", "III")),
        ("Malcolm X V", ("V", "Malcolm", "X", "")),
        ("Cher", ("Cher", "", "", "")),
        ("Dr. Ann B. Lee", ("Lee", "Ann", "B.", "")),
        ("Dr. Lee", ("Lee", "Dr.", "", "")),
        ("欧阳娜娜", ("欧阳", "娜娜", "", "")),
        ("김철수", ("김", "철수", "", "")),
        ("  Ann \t Lee\n", ("Lee", "Ann", "", "")),
    ],
)
def test_whole_names_are_split_as_their_lists_write_them(written: str, split: tuple[str, ...]) -> None:
    found = people.split_name(written)
    assert found is not None and (found.family, found.given, found.middle, found.suffix) == split


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("5'11\"", "auto", 180), ("5’11”", "auto", 180), ("5-11", "auto", 180), ("5 ft 11 in", "auto", 180), ("511", "feet-inches", 180),
        ("511", "auto", 180), ("71", "inches", 180), ("71 in", "auto", 180), ("180", "cm", 180), ("180 cm", "auto", 180),
        ("6'", "auto", 183), ("000", "auto", None), ("", "auto", None), ("UNK", "cm", None),
    ],
)  # fmt: skip
def test_heights_are_read_as_they_are_written(text: str, unit: people.HeightUnit, expected: int | None) -> None:
    assert people.height_cm(text, unit) == expected


@pytest.mark.parametrize("text", ["5'12\"", "9'11", "12", "180", "999", "tall", "-5", "5'11'' tall"])
def test_what_is_no_height_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a height"):
        people.height_cm(text, "auto")


@pytest.mark.parametrize(
    "text",
    [
        "Passport A12345" + " A" * 60 + "\n",
        "Passport A12345" + " 1a" * 5000 + "!",
        "a.k.a. '; " * 5000,
        "DOB " + " " * 50_000 + "x",
        "x" + " " * 100_000 + "y",
        "(" * 50_000,
        " b) " * 20_000,
        "," * 50_000,
        "No " * 40_000,
        "(1) " * 30_000,
    ],
)
def test_no_text_takes_time_out_of_all_proportion(text: str) -> None:
    # Each of these takes minutes, or longer than anybody waits, with a pattern that backtracks.
    cell = text.replace('"', "")
    read_any(f'36,"DOE, {cell}",individual,"X"{",-0- " * 7},"{cell}"\n36,"A","individual"{",-0- " * 9}\n'.encode(), "ofac-csv")
    inner = "".join(f"<{tag}>{cell}</{tag}>" for tag in TAGS)
    person = f"<INDIVIDUAL>{inner}<INDIVIDUAL_ALIAS>{inner}</INDIVIDUAL_ALIAS></INDIVIDUAL>"
    read_any(f"<CONSOLIDATED_LIST><INDIVIDUALS>{person}</INDIVIDUALS><ENTITIES/></CONSOLIDATED_LIST>".encode(), "un-xml")
    for format in ("ofsi-csv", "barred-csv", "mapped-csv", "opensanctions-csv"):
        header = HEADERS[format]
        width = header.splitlines()[-1].count(",") + 1
        row = ",".join(["7", f'"{cell}"', "Individual", *[f'"{cell}"'] * (width - 3)])
        with contextlib.suppress(SourceError):
            read_any((header + row + "\n").encode(), format)


@pytest.mark.parametrize("id_", ["two\nlines", "\x1b[2J", "\u202ethgir"])
def test_an_id_is_any_text_but_no_message_lets_it_act_on_a_terminal(id_: str, lenient: Callable[..., Any]) -> None:
    text = (json.dumps({"id": id_, "names": [{"family": "Doe"}]}) + "\n") * 2
    entries, report = lenient(text, "entries-jsonl")
    assert [e.id for e in entries] == [id_]
    assert report.refused == 1 and str(report.problems[0]).isprintable()


def test_an_id_without_end_is_refused(lenient: Callable[..., Any]) -> None:
    entries, report = lenient(json.dumps({"id": "x" * 201, "names": [{"family": "Doe"}]}) + "\n", "entries-jsonl")
    assert entries == [] and report.refused == 1 and "xxx" not in str(report.problems[0])


def test_an_alias_without_end_is_dropped_and_its_entry_kept(lenient: Callable[..., Any]) -> None:
    text = json.dumps({"id": "1", "names": [{"family": "x" * 600}, {"family": "Doe", "kind": "alias"}]}) + "\n"
    [entry], report = lenient(text, "entries-jsonl")
    assert entry.names == (Name("Doe"),)
    assert [(p.refused, p.line) for p in report.problems] == [(False, 1)]
    _, report = lenient(json.dumps({"id": "1", "names": [{"family": "x" * 600}]}) + "\n", "entries-jsonl")
    assert [p.refused for p in report.problems] == [False, True]


letters = st.text(alphabet=st.characters(categories=("Lu", "Ll"), max_codepoint=0x4FF), min_size=1, max_size=8)
kinds = st.sampled_from(["primary", "alias", "weak"])
some_names = st.builds(Name, letters, letters | st.just(""), letters | st.just(""), st.sampled_from(["", "Jr"]), kinds)
some_entries = st.builds(
    Entry,
    id=st.text(alphabet=st.characters(categories=("L", "N")), min_size=1, max_size=8),
    names=st.lists(some_names, min_size=1, max_size=3).map(tuple),
    birth_dates=st.lists(st.sampled_from(["1970", "1970~", "1970-03", "1970-03-02", "1970/1975", "1960~/1961~"]), max_size=2).map(tuple),
    sex=st.sampled_from(["M", "F", "X", None]),
    addresses=st.lists(st.builds(Address, letters, letters), max_size=2).map(tuple),
    fields=st.dictionaries(letters, letters, max_size=2),
)


@SLOW
@given(entries=st.lists(some_entries, max_size=5, unique_by=lambda e: e.id))
def test_our_own_entries_come_back_as_they_were_written(entries: list[Entry]) -> None:
    buffer = io.BytesIO()
    assert entries_jsonl.write(entries, buffer) == len(entries)
    if entries:
        assert list(read(buffer, "entries-jsonl")) == entries


@pytest.mark.parametrize(
    ("line", "column", "words"),
    [
        ('{"id": 1, "names": []}', "id", "Expected `str`"),
        ('{"id": "1"}', "", "missing required field `names`"),
        ('{"id": "1", "names": [{"family": "A", "kind": "bad"}]}', "names[0].kind", "not allowed"),
        ('{"id": "1", "names": [{"familly": "A"}]}', "names[0]", "family"),
        ('{"id": "1", "names": [{"family": "A"}], "birthdates": []}', "", "did you mean 'birth_dates'"),
        ('{"id": " ", "names": [{"family": "A"}]}', "id", "no id"),
        ('{"id": "1", "names": [{"family": "12"}]}', "names", "no name"),
        ("[]", "", "Expected `object`"),
        ("{", "", "no JSON object"),
    ],
)
def test_lines_that_are_no_entry_are_refused_with_their_place(line: str, column: str, words: str, lenient: Callable[..., Any]) -> None:
    good = json.dumps({"id": "ok", "names": [{"family": "Doe"}]})
    entries, report = lenient(f"{good}\n\n{line}\n", "entries-jsonl")
    assert [e.id for e in entries] == ["ok"]
    [problem] = report.problems
    assert problem.line == 3 and str(problem.column or "") == column and words in str(problem)


def test_a_birth_date_of_our_own_format_is_checked_too(lenient: Callable[..., Any]) -> None:
    text = '{"id": "1", "names": [{"family": "A"}], "birth_dates": ["1970-02-30", "1970-02", "2970", "1975/1970", "soon"]}\n'
    [entry], report = lenient(text, "entries-jsonl")
    assert entry.birth_dates == ("1970-02",) and report.dropped_values == 4

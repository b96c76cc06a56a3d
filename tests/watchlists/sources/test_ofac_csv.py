"""The OFAC list: the whole one of January 2019, and its quirks one by one."""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watchlists.errors import SourceError
from watchlists.records import Entry
from watchlists.sources import KINDS, Report, read

SDN = '36,"DOE, John",individual,"SDGT",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,"{}"\n'


def zipped(**tables: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in tables.items():
            archive.writestr(f"SDN/{name.upper()}.CSV", text)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def whole_list(published: Path) -> tuple[dict[str, Entry], Report]:
    report = Report(max_refused=0.0)
    entries = {e.id: e for e in read(published / "ofac_2019", "ofac-csv", report=report, kinds=KINDS, strict=True)}
    return entries, report


def test_every_row_of_the_2019_list_is_an_entry_and_every_alias_a_name(whole_list: tuple[dict[str, Entry], Report]) -> None:
    entries, report = whole_list
    # `wc -l` says 7,378 and 9,681: neither file ends its last row with a line end, and that row counts.
    assert len(entries) == report.rows == 7379
    names = [name for entry in entries.values() for name in entry.names]
    assert sum(name.kind == "alias" for name in names) == 9682
    # 2,037 in the remarks, less one alias written in digits only ('31' and the like name nobody).
    assert sum(name.kind == "weak" for name in names) == 2036
    assert sum(name.kind == "primary" for name in names) == 7379
    kinds = Counter(entry.fields["type"] for entry in entries.values())
    assert kinds == {"individual": 3845, "entity": 2994, "vessel": 323, "aircraft": 217}
    assert report.refused == report.dropped_values == 0


def test_every_shape_of_birth_date_of_the_2019_list_is_read(whole_list: tuple[dict[str, Entry], Report], published: Path) -> None:
    entries, _ = whole_list
    shapes = Counter(re.sub(r"\d", "9", born) for entry in entries.values() for born in entry.birth_dates)
    assert shapes == {
        "9999-99-99": 3357, "9999": 748, "9999~": 76, "9999/9999": 66, "9999-99": 21, "9999-99-99~": 2, "9999-99~": 2, "9999~/9999~": 1,
        "9999-99-99/9999-99-99": 1,
    }  # fmt: skip
    # Counted in the file itself. Of the 94 ranges 22 are a whole year and 5 a whole month; one person has the same birth date twice.
    text = (published / "ofac_2019" / "sdn.csv").read_text(encoding="ascii")
    written = Counter(re.sub(r"[A-Z][a-z]{2}", "Mon", re.sub(r"\d", "9", found)) for found in re.findall(r'DOB ((?:circa )?[^;."]*)', text))
    ranges = written["99 Mon 9999 to 99 Mon 9999"] + written["9999 to 9999"]
    assert ranges == 94 == 22 + 5 + shapes["9999/9999"] + shapes["9999-99-99/9999-99-99"]
    assert (written["99 Mon 9999"] - 1, written["9999"] + 22, written["Mon 9999"] + 5) == (3357, 748, 21)
    assert (written["circa 9999"], written["circa 99 Mon 9999"], written["circa Mon 9999"], written["circa 9999-9999"]) == (76, 2, 2, 1)
    assert sum(written.values()) == sum(shapes.values()) + 1
    assert sum(bool(entry.birth_dates) for entry in entries.values()) == 3662


def test_only_individuals_are_yielded_unless_more_is_asked_for(published: Path) -> None:
    report = Report()
    entries = list(read(published / "ofac_2019" / "sdn.csv", "ofac-csv", report=report))
    assert len(entries) == 3845
    assert report.set_aside == {"entity": 2994, "vessel": 323, "aircraft": 217}
    assert any("without its strong aliases" in note for note in report.notes)


@pytest.mark.parametrize(
    ("written", "edtf"),
    [
        ("02 Mar 1970", "1970-03-02"),
        ("Mar 1970", "1970-03"),
        ("1970", "1970"),
        ("circa 1970", "1970~"),
        ("circa 02 Mar 1970", "1970-03-02~"),
        ("circa Mar 1961", "1961-03~"),
        ("circa 1979-1982", "1979~/1982~"),
        ("1970 to 1972", "1970/1972"),
        ("26 Sep 1946 to 07 Dec 1946", "1946-09-26/1946-12-07"),
        ("01 Jan 1953 to 31 Dec 1953", "1953"),
        ("01 Feb 1960 to 29 Feb 1960", "1960-02"),
    ],
)
def test_a_birth_date_becomes_edtf(written: str, edtf: str, lenient: Callable[..., Any]) -> None:
    [entry], report = lenient(SDN.format(f"DOB {written}; POB Paris."), "ofac-csv")
    assert entry.birth_dates == (edtf,)
    assert report.problems == []


def test_remarks_give_weak_aliases_sex_and_hashed_numbers(lenient: Callable[..., Any]) -> None:
    remarks = (
        "DOB 1970; a.k.a. 'GORDO'; a.k.a. ''FOOPIE''; a.k.a. 'ROE, Jack'; a.k.a. ''ABDUL-GHANI'; Gender Male; "
        "Passport A-992535 (Saudi Arabia) issued 1999; POB Lima."
    )
    [entry], _ = lenient(SDN.format(remarks), "ofac-csv", hash_id=lambda number: f"<{number}>")
    weak = [(name.family, name.given) for name in entry.names if name.kind == "weak"]
    assert weak == [("GORDO", ""), ("FOOPIE", ""), ("ROE", "Jack"), ("'ABDUL-GHANI", "")]
    assert entry.sex == "M"
    assert entry.id_hashes == ("<A992535>",)
    assert entry.fields["remarks"] == "POB Lima"


@pytest.mark.parametrize(
    ("segment", "number"),
    [
        ("Passport G 649385 issued 08 Sep 2006 expires 17 Jul 2011", "G649385"),
        ("alt. Cedula No. 16.247.821 (Colombia)", "16247821"),
        ("Electoral Registry No. CZSLBL54091825M200 (Mexico)", "CZSLBL54091825M200"),
        ("National ID No. JMB 0105954171511", "JMB0105954171511"),
        ("National ID No.: 1372584, Kenya", "1372584"),
        ("C.U.R.P. # HESU430525HBCRMR13 (Mexico)", "HESU430525HBCRMR13"),
        ("Driver's License No. 180839 (Mexico)", "180839"),
        ("SSN 000-12-3456 (United States)", "000123456"),
        ("Secondary sanctions risk: section 1(b) of Executive Order 13224", ""),
        ("Linked To: BRIGADE 12345", ""),
        ("arrested 23 Apr 2002", ""),
    ],
)
def test_a_document_number_is_told_from_what_stands_around_it(segment: str, number: str, lenient: Callable[..., Any]) -> None:
    [entry], _ = lenient(SDN.format(f"{segment}; POB Lima."), "ofac-csv", hash_id=str)
    assert entry.id_hashes == ((number,) if number else ())
    assert ("POB Lima" if number else segment) in entry.fields["remarks"]


def test_a_zip_joins_aliases_addresses_and_the_rest_of_long_remarks(lenient: Callable[..., Any]) -> None:
    cut = "POB Rome; " + "x" * 980 + "; DOB 02 M"
    assert len(cut) == 1000
    data = zipped(
        sdn=SDN.format(cut) + "\x1a",
        alt='36,12,"aka","ROE, Jack",-0- \n\x1a',
        add='36,25,"1 Main St","Chicago, IL 60601","United States",-0- \n36,26,-0- ,-0- ,"Cuba",-0- \n',
        sdn_comments='36,"ar 1970."\n\x1a',
    )
    [entry], report = lenient(data, "ofac-csv")
    assert entry.birth_dates == ("1970-03-02",)
    assert [(n.family, n.given, n.kind) for n in entry.names] == [("DOE", "John", "primary"), ("ROE", "Jack", "alias")]
    assert [(a.city, a.region, a.postal_code, a.country) for a in entry.addresses] == [
        ("Chicago", "IL", "60601", "United States"),
        ("", "", "", "Cuba"),
    ]
    assert not report.problems


def test_the_consolidated_list_of_other_programs_is_of_the_same_layout(lenient: Callable[..., Any]) -> None:
    row = SDN.format("DOB 1970; Phone Number 963112121816; Passport A1234567 (Iran).").replace("SDGT", "SDGT] [NS-PLC")
    data = zipped(cons_prim=row, cons_alt='36,12,"aka","ROE, Jack",-0- \n')
    [entry], _ = lenient(data, "ofac-csv", hash_id=str)
    assert len(entry.names) == 2 and entry.fields["programs"] == "SDGT; NS-PLC"
    assert entry.id_hashes == ("A1234567",), "a telephone number is no document"


def test_an_alias_of_an_entry_that_is_missing_shows_that_the_list_was_cut(lenient: Callable[..., Any]) -> None:
    _, report = lenient(zipped(sdn=SDN.format("-0- "), alt='36,1,"aka","A B",-0- \n99,2,"aka","C D",-0- \n'), "ofac-csv")
    [problem] = report.problems
    assert problem.refused and problem.line == 2 and "99" in str(problem) and "cut off" in str(problem)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (SDN.format("POB Rome")[:-6], "inside a quoted value"),
        (SDN.format("-0- ") + '37,"ROE, Ann",indiv', "cut off"),
        ('36,12,"aka","AERO",-0- \n', "looks like alt.csv"),
        ("<html><body>Access denied</body></html>\n", "columns where sdn.csv has 12"),
        ("a,b,c,d,e,f,g,h,i,j,k,l\n", "not an OFAC table"),
    ],
)
def test_a_file_that_is_no_whole_list_is_refused(content: str, words: str, lenient: Callable[..., Any]) -> None:
    with pytest.raises(SourceError, match=re.escape(words)) as caught:
        lenient(content, "ofac-csv")
    assert caught.value.file == "list.csv" and caught.value.line


def test_a_row_of_unknown_type_is_refused_with_its_line(lenient: Callable[..., Any]) -> None:
    text = SDN.format("-0- ") + SDN.format("-0- ").replace("individual", "robot").replace("36", "37")
    entries, report = lenient(text, "ofac-csv")
    assert [e.id for e in entries] == ["ofac-36"]
    assert [(p.line, p.column) for p in report.problems] == [(2, "SDN_Type")]

"""OFSI, OpenSanctions, NSOPW, mapped state registries."""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from watchlists import sources
from watchlists.errors import SourceError
from watchlists.records import Address, Name
from watchlists.sources import KINDS, jsonrecords

MAPPINGS = Path(sources.__file__).parent / "mappings"

OFSI = (
    "Last Updated,03/06/2026\n"
    "Name 6,Name 1,Name 2,Name 3,Name 4,Name 5,Title,Name Non-Latin Script,Non-Latin Script Type,Non-Latin Script Language,DOB,"
    "Town of Birth,Country of Birth,Nationality,Passport Number,Passport Details,National Identification Number,"
    "National Identification Details,Position,Address 1,Address 2,Address 3,Address 4,Address 5,Address 6,Post/Zip Code,Country,"
    "Other Information,Group Type,Alias Type,Alias Quality,Regime,Listed On,UK Sanctions List Date Designated,Last Updated,Group ID\n"
)


def test_the_ofsi_columns_are_the_published_ones(published: Path) -> None:
    layout = json.loads((published / "list_formats.json").read_text(encoding="utf-8"))["uk_ofsi_conlist_csv"]
    assert OFSI.splitlines()[1].split(",") == layout["columns"]


def test_the_ofac_columns_are_the_published_ones(published: Path) -> None:
    layout = json.loads((published / "list_formats.json").read_text(encoding="utf-8"))["ofac_sdn_csv"]
    for table in ("sdn", "alt", "add"):
        with (published / "ofac_2019" / f"{table}.csv").open(newline="", encoding="ascii") as file:
            assert len(next(csv.reader(file))) == len(layout[table])


def test_the_published_nsopw_query_is_of_the_schema_its_answer_is_read_by(published: Path) -> None:
    folder = published / "sex_offender_registry_formats"
    query = json.loads((folder / "nsopw_v1_sample_query.json").read_text(encoding="utf-8"))
    schema = json.loads((folder / "formats.json").read_text(encoding="utf-8"))["nsopw_json_v1"]
    assert set(query) == set(schema["query"])
    with pytest.raises(SourceError, match="there is no array 'offenders'"):
        list(sources.read(folder / "nsopw_v1_sample_query.json", "nsopw-json"))


def test_every_published_file_is_read_by_some_test(published: Path) -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    unread = {path.name for path in published.rglob("*") if path.is_file() and path.name not in tests and path.parent.name != "ofac_2019"}
    assert unread == set() and "ofac_2019" in tests


def ofsi_row(**cells: str) -> str:
    columns = [sources.tables.fold(c) for c in OFSI.splitlines()[1].split(",")]
    assert not set(cells) - set(columns)
    return ",".join('"' + cells.get(column, "") + '"' for column in columns) + "\n"


def test_an_ofsi_group_of_scattered_rows_is_one_entry(lenient: Callable[..., Any]) -> None:
    mine = {"group_type": "Individual", "group_id": "99001", "dob": "00/00/1959"}
    text = (
        OFSI
        + ofsi_row(**mine, name_6="QUILLE", name_1="Tobias", alias_type="AKA", alias_quality="Good")
        + ofsi_row(name_6="HOLDINGS LTD", group_type="Entity", group_id="99002", alias_type="Primary name")
        + ofsi_row(**mine, name_6="TOBY", alias_type="AKA", alias_quality="Low")
        + ofsi_row(
            **(mine | {"dob": "12/03/1959"}), name_6="QUILL", name_1="Tobias", name_2="Ezra", alias_type="Primary name",
            name_non_latin_script="Тобиас Квилл", nationality="(1) Utopia (2) Freedonia", passport_number="(1) 55501 (2) 55502",
            address_1="1 High St", address_2="Leeds", post_zip_code="LS1", country="United Kingdom",
        )
    )  # fmt: skip
    [entry], report = lenient(text, "ofsi-csv", hash_id=lambda number: f"<{number}>")
    assert entry.id == "ofsi-99001"
    assert entry.names[0] == Name("QUILL", "Tobias", "Ezra")
    others = {Name("QUILLE", "Tobias", kind="alias"), Name("TOBY", kind="weak"), Name("Квилл", "Тобиас", kind="alias")}
    assert set(entry.names[1:]) == others
    assert entry.birth_dates == ("1959", "1959-03-12")
    assert entry.id_hashes == ("<55501>", "<55502>")
    assert entry.addresses == (Address("1 High St", "Leeds", "", "LS1", "United Kingdom"),)
    assert report.set_aside == {"entity": 1} and not report.problems


UKSL = (
    "Report Date: 13-Feb-2026\n"
    "Last Updated,Unique ID,OFSI Group ID,UN Reference Number,Name 6,Name 1,Name 2,Name 3,Name 4,Name 5,Name type,Alias strength,Title,"
    "Name non-latin script,Regime Name,Designation Type,Address Line 1,Address Line 2,Address Postal Code,Address Country,D.O.B,"
    "Nationality(/ies),National Identifier number,Passport number,Gender\n"
    "12/01/2022,UTO0001,99001,,QUILL,Tobias,0,0,0,,Primary Name,,Mr,,Utopia,Individual,1 High St,Leeds,LS1,United Kingdom,"
    "dd/mm/1959,Utopia,,(1) 55501 (2) 55502,Male\n"
    "12/01/2022,UTO0001,99001,,TOBY,,,,,,Alias,Low quality a.k.a,,,Utopia,Individual,,,,,dd/11/1958,,,,Male\n"
    "12/01/2022,UTO0002,,,ROE,Ann,,,,,Primary Name,,,,Utopia,Individual,,,,,12/03/1970,,,,female\n"
)


def test_the_uk_sanctions_list_is_read_by_its_own_columns_and_keeps_ofsis_ids(lenient: Callable[..., Any]) -> None:
    [first, second], report = lenient(UKSL, "ofsi-csv", hash_id=lambda number: f"<{number}>")
    assert (first.id, second.id) == ("ofsi-99001", "uksl-UTO0002")
    assert first.names == (Name("QUILL", "Tobias"), Name("TOBY", kind="weak"))
    assert first.birth_dates == ("1959", "1958-11") and (first.sex, second.sex) == ("M", "F")
    assert first.id_hashes == ("<55501>", "<55502>") and first.addresses[0].postal_code == "LS1"
    assert not report.problems


def test_an_ofsi_file_that_lacks_a_column_names_it_and_the_nearest(lenient: Callable[..., Any]) -> None:
    with pytest.raises(SourceError, match="'group_id' is missing; the nearest there is 'groupid'") as caught:
        lenient(OFSI.replace("Group ID", "GroupID"), "ofsi-csv")
    assert (caught.value.line, caught.value.column) == (2, "group_id")


OPEN = (
    "id,schema,name,aliases,birth_date,countries,addresses,identifiers,sanctions,phones,emails,program_ids,dataset,"
    "first_seen,last_seen,last_change\n"
    'NK-1,Person,Ivan Petrov,"Иван Петров;""Petrov; Ivan"";Petroff",1960-01;1961,ru,"1 Main St;2 Elm Ave",P-1,EU,,,,EU FSF,,,2026-09-01\n'
    "NK-2,Company,Acme Arms,,,ru,,,,,,,EU FSF,,,\n"
    "NK-3,Vessel,SHIP ONE,,,,,,,,,,EU FSF,,,\n"
    "NK-4,LegalEntity,Pat Doe,,,,,,,,,,EU FSF,,,\n"
)


def test_opensanctions_cells_hold_values_within_values(lenient: Callable[..., Any]) -> None:
    [person, unclear], report = lenient(OPEN, "opensanctions-csv")
    assert [n.family for n in person.names] == ["Petrov", "Петров", "Ivan", "Petroff"]
    assert person.birth_dates == ("1960-01", "1961")
    assert [a.street for a in person.addresses] == ["1 Main St", "2 Elm Ave"]
    assert unclear.id == "NK-4", "what may be a person screens"
    assert report.set_aside == {"entity": 1, "vessel": 1}
    assert len(lenient(OPEN, "opensanctions-csv", kinds=KINDS)[0]) == 4


@pytest.fixture
def nsopw(published: Path) -> dict[str, Any]:
    path = published / "sex_offender_registry_formats" / "nsopw_v1_sample_response.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_the_published_nsopw_sample_is_an_entry(nsopw: dict[str, Any], lenient: Callable[..., Any]) -> None:
    [entry], report = lenient(json.dumps(nsopw), "nsopw-json")
    assert entry.id == "DC:DC1000"
    assert entry.names == (Name("Smith", "John", "Jacob", "Jr"), Name("Smith", "John", "J", "Jr", "alias"))
    assert (entry.birth_dates, entry.sex, entry.category) == (("1970-01-01",), "M", "sex_offender")
    assert entry.addresses == (Address("1600 Pennsylvania Avenue NW", "Washington", "DC", "20500", "United States"),)
    assert entry.photo == "https://www.somesite.net/offenders/offenderimage.jpg"
    assert not report.problems


OFFENDER: dict[str, Any] = {
    "name": {"givenName": "Ann", "surName": "Lee"}, "dob": "1972-04-28T00:00:00", "gender": "F", "offenderUri": "http://x/?a=1&amp;b=2",
    "locations": [{"type": "RESIDENTIAL", "streetAddress": "TRANSIENT", "city": "Tulsa", "state": "ok"}], "jurisdictionId": "OK",
}  # fmt: skip


def test_the_public_sites_own_words_are_read(lenient: Callable[..., Any]) -> None:
    [entry], _ = lenient(json.dumps({"offenders": [OFFENDER]}), "nsopw-json")
    assert entry.names == (Name("Lee", "Ann"),) and entry.birth_dates == ("1972-04-28",)
    assert entry.id.startswith("OK:uri-") and entry.fields["page"] == "http://x/?a=1&b=2"
    assert entry.addresses == (Address("", "Tulsa", "OK", "", "United States"),) and entry.fields["whereabouts"] == "transient"


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": 500},
        {"statusCode": "511"},
        {
            "statusCode": 201,
            "jurisdictionStatus": [{"jurisdictionId": "DC", "statusCode": 200}, {"jurisdictionId": "OK", "statusCode": "504"}],
        },
    ],
)
def test_an_answer_without_a_jurisdiction_is_no_list(answer: dict[str, Any], lenient: Callable[..., Any]) -> None:
    with pytest.raises(SourceError, match=r"no list|answered 504"):
        lenient(json.dumps({"offenders": [OFFENDER], **answer}), "nsopw-json")


def test_offenders_that_break_the_schema_are_refused_one_by_one(lenient: Callable[..., Any]) -> None:
    broken = [{**OFFENDER, "name": None}, {**OFFENDER, "offenderUri": None}, {**OFFENDER, "name": {}}, 7, {**OFFENDER, "dob": "1972-13-01"}]
    entries, report = lenient(json.dumps({"offenders": broken}, indent=1), "nsopw-json")
    assert len(entries) == 1 and entries[0].birth_dates == ()
    assert [(p.column, p.refused) for p in report.problems] == [
        ("name", True), ("id", True), ("name", True), ("offenders", True), ("dob", False),
    ]  # fmt: skip
    assert [p.line for p in report.problems] == sorted({p.line for p in report.problems})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"offenders": [{"id": "1", "na', "cut off"),
        ('{"offenders": [', "cut off"),
        ('{"offenders"', "cut off"),
        ('{"offenders": []', "cut off"),
        ('{"offenders": [}]}', "damaged"),
        ('{"offenders": [] "x": 1}', "damaged"),
        ('{"offenders": []} {}', "after the end"),
        ('{"people": []}', "no array 'offenders'"),
        ('{"offenders": {}}', "no array 'offenders'"),
        ("{}", "no array 'offenders'"),
        ("[]", "damaged"),
        ("<!doctype html><html>", "a web page"),
        ("\ufeff".encode("utf-16") + b"{}", "UTF-16"),
        ('{"a": nul, "offenders": []}', "damaged"),
        ('{"offenders": [], "offenders": []}', "twice"),
        ('{"offenders": [' + "[" * 100, "nested"),
        ("   ", "cut off"),
    ],
)
def test_json_that_is_no_list_is_refused(content: str | bytes, words: str, lenient: Callable[..., Any]) -> None:
    with pytest.raises(SourceError, match=re.escape(words)) as caught:
        lenient(content, "nsopw-json")
    assert caught.value.file == "list.csv" and caught.value.line == 1


def test_json_is_read_element_by_element_over_any_chunking(lenient: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    offenders = [{**OFFENDER, "id": f'{i}"}}]\\'} for i in range(40)]
    text = json.dumps({"x": {"a": ["}", '"', "\\"]}, "offenders": offenders, "y": -1.5e3}, indent=1)
    whole = [e.id for e in lenient(text, "nsopw-json")[0]]
    assert len(whole) == 40
    for size in (4, 5, 7, 64):
        monkeypatch.setattr(jsonrecords, "CHUNK", size)
        assert [e.id for e in lenient(text, "nsopw-json")[0]] == whole


def test_an_element_without_end_does_not_fill_the_memory(lenient: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonrecords, "MAX_ELEMENT", 100_000)
    with pytest.raises(SourceError, match="longer than"):
        lenient('{"offenders": ["' + "x" * 400_000, "nsopw-json")


FLORIDA = (
    "STATUS,SCORE,SIDE,X,Y,ID,LAST_,FIRST_,MIDDLE_,SUFFIX_,RACE,SEX,EYE_COL,HAIR_COL,HEIGHT,WEIGHT,STATUS_1,DOB,DC_,DATE_ADD,RESIDNT,"
    "ADDRESS1,ADDRESS2,CITY_,STATE,ZIP5,ZIP4,COUNTY_,SUBJECT,VICTIM,DESCRIPT\n"
    "M,100,L,1.5,2.5,1001,PEÑA,JOSÉ,LUIS,JR,W,M,BROWN,BLACK,511,180,RELEASED,19700302,123456,20030401,Y,"
    "12 PALM AVE,APT 3,MIAMI,FL,33101,1234,DADE,1,1,SEXUAL BATTERY\n"
    "M,100,L,1.5,2.5,1002,ROE,ANN,,,W,F,GREEN,BLACK,0,0,DECEASED,19500101,0,20030401,Y,,,,,,,,1,1,\n"
    "M,100,L,1.5,2.5,1003,DOE,JIM,,,W,M,UNKNOWN,BLACK,502,0,RELEASED,3/2/1980,0,20030401,Y,,,TAMPA,FL,33602,0,,1,1,\n"
)


def test_florida_is_read_by_its_mapping(published: Path, lenient: Callable[..., Any]) -> None:
    layout = json.loads((published / "sex_offender_registry_formats" / "formats.json").read_text(encoding="utf-8"))
    columns = [column for column, *_ in layout["florida_fdle_2003_gis_extract"]["columns"]]
    assert FLORIDA.splitlines()[0].split(",") == columns, "the sample is in the published layout"
    entries, report = lenient(FLORIDA.encode("cp1252"), "mapped-csv", mapping=MAPPINGS / "florida_fdle.toml", hash_id=str)
    first, second = entries
    assert first.id == "FL:1001" and first.names == (Name("PEÑA", "JOSÉ", "LUIS", "Jr"),)
    assert (first.birth_dates, first.sex, first.height_cm, first.eye_color) == (("1970-03-02",), "M", 180, "BRO")
    assert first.addresses == (Address("12 PALM AVE, APT 3", "MIAMI", "FL", "33101-1234", "United States"),)
    assert first.id_hashes == () and first.fields["corrections_number"] == "123456" and first.fields["offense"] == "SEXUAL BATTERY"
    assert (second.birth_dates, second.height_cm, second.eye_color) == (("1980-03-02",), 157, None)
    assert second.addresses[0].postal_code == "33602"
    assert report.set_aside == {"deceased": 1} and not report.problems


TEXAS = (
    "SID,Name,Alias,Address,City,State,ZIP,DOB,Sex,Race,HGT,WGT,EYE,HAIR,Risk Level\n"
    '0501,"SMITH,JOHN JACOB JR","SMYTH,JON;GARCIA LOPEZ,JUAN",1 Elm St,Austin,TX,78701,03/02/1970,Male,W,"5\'11""",180,HAZ,BLK,HIGH\n'
    '0501,"SMITH,JOHN JACOB JR",,9 Oak St,Waco,TX,76701,03/02/1970,Male,W,"5\'11""",180,HAZ,BLK,HIGH\n'
    '0502,"ROE,ANN",,,,,,1980-01-01,Female,B,UNKNOWN,,XXX,,LOW\n'
)


def test_texas_rows_of_one_person_are_put_together(lenient: Callable[..., Any]) -> None:
    [first, second], report = lenient(TEXAS, "mapped-csv", mapping="texas_dps")
    assert first.names == (
        Name("SMITH", "JOHN", "JACOB", "Jr"), Name("SMYTH", "JON", kind="alias"), Name("GARCIA LOPEZ", "JUAN", kind="alias"),
    )  # fmt: skip
    assert [a.city for a in first.addresses] == ["Austin", "Waco"]
    assert (first.height_cm, first.eye_color, first.fields["risk_level"]) == (180, "HAZ", "HIGH")
    assert (second.id, second.sex, second.height_cm) == ("TX:0502", "F", None)
    assert report.rows == 3 and not report.problems


def changed(path: str, value: Any) -> dict[str, Any]:
    mapping: dict[str, Any] = tomllib.loads((MAPPINGS / "texas_dps.toml").read_text(encoding="utf-8"))
    *parents, last = path.split(".")
    at: Any = mapping
    for key in parents:
        at = at[int(key)] if key.isdigit() else at[key]
    at[last] = value
    return mapping


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("titel", "x", "unknown key 'titel'; did you mean 'title'"),
        ("name.familly", "x", "unknown key 'familly' in [name]; did you mean 'family'"),
        ("birth_date.0.formats", ["MM/DD/YY"], "needs one YYYY"),
        ("birth_date.0.column", 7, "[birth_date[0].column]"),
        ("height.unit", "furlongs", "[height.unit]"),
        ("name", {}, "[name] names no column"),
        ("sex.column", "Gender", "the column 'gender' is missing"),
        ("fields.risk_level", "Risk Levl", "the column 'risk_levl' is missing; the nearest there is 'risk_level'"),
        ("file.delimiter", "ab", "one character"),
        ("file.delimiter", '"', "no quote"),
        ("file.encoding", "zip", "no encoding 'zip'"),
    ],
)
def test_a_mapping_is_checked_before_a_row_is_read(path: str, value: Any, words: str, lenient: Callable[..., Any]) -> None:
    with pytest.raises(SourceError, match=re.escape(words)):
        lenient(TEXAS, "mapped-csv", mapping=changed(path, value))


def test_the_readmes_mapping_is_one(tmp_path: Path) -> None:
    readme = (MAPPINGS.parent / "README.md").read_text(encoding="utf-8")
    path = tmp_path / "example.toml"
    path.write_text(readme.split("```toml")[1].split("```")[0], encoding="utf-8")
    loaded = sources.mapping.load(path)
    assert loaded.title == "Example County" and loaded.skip[0].because == "deceased"


def test_a_mapping_file_that_is_not_toml_names_its_line(tmp_path: Path, lenient: Callable[..., Any]) -> None:
    path = tmp_path / "registry.toml"
    path.write_text('title = "x"\nid = = 1\n')
    with pytest.raises(SourceError, match="not TOML") as caught:
        lenient(TEXAS, "mapped-csv", mapping=path)
    assert (caught.value.file, caught.value.line) == (str(path), 2)
    with pytest.raises(SourceError, match="cannot be read"):
        lenient(TEXAS, "mapped-csv", mapping=tmp_path / "absent.toml")
    with pytest.raises(SourceError, match="needs a mapping"):
        lenient(TEXAS, "mapped-csv")
    for name in ("texas_dpz", str(path), "../mappings/texas_dps"):
        with pytest.raises(SourceError, match="no mapping of that name"):
            lenient(TEXAS, "mapped-csv", mapping=name)


def test_a_table_may_be_uploaded_with_its_mapping_in_one_zip(lenient: Callable[..., Any]) -> None:
    def packed(**files: str) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, text in files.items():
                archive.writestr(name.replace("_", "."), text)
        return buffer.getvalue()

    mapping = (MAPPINGS / "texas_dps.toml").read_text(encoding="utf-8")
    assert len(lenient(packed(texas_csv=TEXAS, texas_toml=mapping), "mapped-csv")[0]) == 2
    assert len(lenient(packed(texas_csv=TEXAS), "mapped-csv", mapping="texas_dps")[0]) == 2, "a shipped mapping by its name"
    with pytest.raises(SourceError, match="2 mappings"):
        lenient(packed(texas_csv=TEXAS, a_toml=mapping, b_toml=mapping), "mapped-csv")
    with pytest.raises(SourceError, match="needs a mapping"):
        lenient(packed(texas_csv=TEXAS), "mapped-csv")
    with pytest.raises(SourceError, match="not TOML") as caught:
        lenient(packed(texas_csv=TEXAS, a_toml="= ="), "mapped-csv")
    assert caught.value.file == "list.csv/a.toml"


def test_a_table_without_a_header_is_read_by_the_mappings_columns(lenient: Callable[..., Any]) -> None:
    file = {"columns": ["no", "last", "first"], "delimiter": "|"}
    mapping = {"title": "x", "id": "no", "name": {"family": "last", "given": "first"}, "file": file}
    entries, report = lenient("1|Doe|Jo\n2|Roe\n3|Poe|Al\n", "mapped-csv", mapping=mapping)
    assert [e.names[0].family for e in entries] == ["Doe", "Poe"]
    assert [(p.line, p.refused) for p in report.problems] == [(2, True)]

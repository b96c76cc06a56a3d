"""The two lists in XML, and XML that means harm."""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from watchlists.errors import SourceError
from watchlists.records import Entry, Name
from watchlists.sources import KINDS, Report, read, xmlrecords
from watchlists.sources.un_xml import alias_names

UN_FILE = Path("un/UN_consolidated_2026-02-27.xml")


@pytest.fixture(scope="module")
def un(published: Path) -> dict[str, Entry]:
    return {e.id: e for e in read(published / UN_FILE, "un-xml")}


def test_all_individuals_of_the_un_list_are_read(un: dict[str, Entry], published: Path) -> None:
    assert len(un) == 730
    report = Report()
    assert len(list(read(published / UN_FILE, "un-xml", report=report, kinds=KINDS))) == report.rows == 1003
    assert report.problems == []


def test_every_original_script_name_of_the_un_list_is_a_name(un: dict[str, Entry], published: Path) -> None:
    # Counted by another parser than ours.
    written = {
        f"un-{person.findtext('DATAID')}": script
        for person in ElementTree.parse(published / UN_FILE).iter("INDIVIDUAL")
        if (script := (person.findtext("NAME_ORIGINAL_SCRIPT") or "").strip())
    }
    assert len(written) == 336
    for id_, script in written.items():
        letters = Counter(re.findall(r"[^\W\d_]", script))
        held = Counter("".join(f"{n.family}{n.given}{n.middle}" for n in un[id_].names))
        assert not {c for c in letters if not held[c] and ord(c) > 0x24F}, id_


def test_birth_dates_of_the_un_list_take_every_shape(un: dict[str, Entry]) -> None:
    shapes = Counter(re.sub(r"\d", "9", born) for entry in un.values() for born in entry.birth_dates)
    assert shapes == {"9999-99-99": 454, "9999": 261, "9999~": 116, "9999/9999": 23, "9999~/9999~": 8, "9999-99": 5}


def test_weak_aliases_of_the_un_list_are_kept_apart(un: dict[str, Entry], published: Path) -> None:
    cells = Counter(
        (alias.findtext("QUALITY") or "").strip()
        for person in ElementTree.parse(published / UN_FILE).iter("INDIVIDUAL")
        for alias in person.findall("INDIVIDUAL_ALIAS")
        if (alias.findtext("ALIAS_NAME") or "").strip()
    )
    assert cells == {"Good": 1524, "Low": 615}, "some cells hold several names, and original scripts are aliases, too"
    kinds = Counter(name.kind for entry in un.values() for name in entry.names)
    assert kinds == {"primary": 730, "alias": 1911, "weak": 623}
    assert sum(bool(entry.birth_dates) for entry in un.values()) == 678
    assert not [n for e in un.values() for n in e.names if re.search(r"[();“”]|born in", f"{n.family} {n.given} {n.middle}")]


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("Azim Adhajani; Azim Agha-Jani", [("Azim", "Adhajani"), ("Azim", "Agha-Jani")]),
        ("Mohammed Sabet b) M. Javad Sabet; M. Jawad Sabet", [("Mohammed", "Sabet"), ("M.", "Sabet"), ("M.", "Sabet")]),
        ("حسن غول (Hassan Ghul; Hasan Gul)", [("Hassan", "Ghul"), ("Hasan", "Gul"), ("حسن", "غول")]),
        ("Safia Farkash, born 1 Jan. 1953 (Oman passport no. 1)", [("Safia", "Farkash")]),
        ("“Chief Kahwa”", [("Chief", "Kahwa")]),
        ("El Harrachi (الحراشي)", [("", "الحراشي"), ("El", "Harrachi")]),
        ("(combat name)", []),
        ("", []),
    ],
)
def test_an_alias_cell_is_taken_apart(cell: str, names: list[tuple[str, str]]) -> None:
    assert [(n.given, n.family) for n in alias_names(cell, "alias")] == names


def test_a_north_korean_family_name_comes_first(un: dict[str, Entry]) -> None:
    korean = [e for e in un.values() if "People's Republic of Korea" in e.fields.get("nationality", "")]
    assert len(korean) > 50
    assert sum(e.names[0].family in {"KIM", "RI", "PAK", "JANG", "CHOE", "HAN", "JON", "KANG"} for e in korean) > len(korean) / 3


OFAC = """<?xml version="1.0" standalone="yes"?>
<sdnList xmlns="https://sanctionslistservice.ofac.treas.gov/api/PublicationPreview/exports/XML">
  <publshInformation><Publish_Date>11/20/2026</Publish_Date><Record_Count>2</Record_Count></publshInformation>
  <sdnEntry>
    <uid>36</uid><firstName>Feliciano Semborio, Jr.</firstName><lastName>DELOS REYES</lastName><title>Dr.</title>
    <sdnType>Individual</sdnType><remarks>(Linked To: RSM)</remarks>
    <programList><program>SDGT</program><program>IRAN</program></programList>
    <idList>
      <id><uid>1</uid><idType>Passport</idType><idNumber>A-123 456</idNumber><idCountry>Iran</idCountry></id>
      <id><uid>2</uid><idType>Gender</idType><idNumber>Male</idNumber></id>
      <id><uid>3</uid><idType>Secondary sanctions risk:</idType><idNumber>section 1(b)</idNumber></id>
    </idList>
    <akaList>
      <aka><uid>1</uid><type>a.k.a.</type><category>strong</category><lastName>REYES</lastName><firstName>Abdul</firstName></aka>
      <aka><uid>2</uid><type>a.k.a.</type><category>weak</category><lastName>JABON</lastName></aka>
      <aka><uid>3</uid><type>a.k.a.</type><category>weak</category><lastName>31</lastName></aka>
    </akaList>
    <addressList>
      <address><uid>9</uid><address1>1 Main St</address1><address2>Apt 2</address2><city>Manila</city>
        <country>Philippines</country></address>
      <address><uid>10</uid></address>
    </addressList>
    <dateOfBirthList>
      <dateOfBirthItem><uid>4</uid><dateOfBirth>circa 1963</dateOfBirth><mainEntry>true</mainEntry></dateOfBirthItem>
      <dateOfBirthItem><uid>5</uid><dateOfBirth>04 Nov 1963</dateOfBirth><mainEntry>false</mainEntry></dateOfBirthItem>
    </dateOfBirthList>
  </sdnEntry>
  <sdnEntry><uid>99</uid><lastName>SHIP OF FOOLS</lastName><sdnType>Vessel</sdnType>
    <vesselInfo><callSign>ABCD</callSign><vesselFlag>Iran</vesselFlag></vesselInfo></sdnEntry>
</sdnList>
"""


def test_the_ofac_list_in_xml_tells_strong_from_weak(lenient: Callable[..., Any]) -> None:
    [person, ship], report = lenient(OFAC, "ofac-xml", kinds=KINDS, hash_id=lambda number: f"<{number}>")
    assert person.names == (
        Name("DELOS REYES", "Feliciano", "Semborio", "Jr"),
        Name("REYES", "Abdul", kind="alias"),
        Name("JABON", kind="weak"),
    )
    assert person.birth_dates == ("1963~", "1963-11-04")
    assert (person.sex, person.id_hashes) == ("M", ("<A123456>",))
    assert [(a.street, a.city) for a in person.addresses] == [("1 Main St, Apt 2", "Manila")]
    assert person.fields["programs"] == "SDGT; IRAN"
    assert ship.fields == {"type": "vessel", "call_sign": "ABCD", "flag": "Iran"}
    assert report.problems == []


def test_a_list_of_fewer_records_than_its_head_promises_is_refused(lenient: Callable[..., Any]) -> None:
    with pytest.raises(SourceError, match="promises 3 records and there are 2"):
        lenient(OFAC.replace("<Record_Count>2<", "<Record_Count>3<"), "ofac-xml")


def test_the_advanced_layout_is_told_from_the_standard_one(lenient: Callable[..., Any]) -> None:
    with pytest.raises(SourceError, match="the advanced layout; take the standard one"):
        lenient('<Sanctions xmlns="https://sanctionslistservice.ofac.treas.gov/api"/>', "ofac-xml")


def test_the_same_ids_come_from_csv_and_xml(lenient: Callable[..., Any]) -> None:
    [person], _ = lenient(OFAC, "ofac-xml")
    [same], _ = lenient('36,"DELOS REYES, Feliciano Semborio, Jr.",individual' + ",-0- " * 9 + "\n", "ofac-csv")
    assert same.id == person.id and same.names[0] == person.names[0]


def test_a_zip_of_one_xml_is_unpacked(lenient: Callable[..., Any]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("SDN.XML", OFAC)
        archive.writestr("__MACOSX/._SDN.XML", b"junk")
    entries, _ = lenient(buffer.getvalue(), "ofac-xml")
    assert [e.id for e in entries] == ["ofac-36"]


BOMB = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
SECTIONS = "<INDIVIDUALS/><ENTITIES/>"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"<?xml version='1.0'?>{BOMB}<CONSOLIDATED_LIST>&b;</CONSOLIDATED_LIST>", "document type declaration"),
        ("<!DOCTYPE x SYSTEM 'file:///etc/passwd'><CONSOLIDATED_LIST/>", "document type declaration"),
        ("<html><body>Sign in to the network</body></html>", "a web page"),
        ("<sdnList/>", "where <CONSOLIDATED_LIST> is wanted"),
        ("<HTML/>", "a web page"),
        (f"<CONSOLIDATED_LIST>{SECTIONS}<INDIVIDUALS><INDIVIDUAL><DATAID>1", "cut off"),
        ("<CONSOLIDATED_LIST><INDIVIDUALS/></CONSOLIDATED_LIST>", "section ENTITIES is missing"),
        (f"<CONSOLIDATED_LIST>{SECTIONS}</CONSOLIDATED_LIST><more/>", "cannot be read"),
        ("<CONSOLIDATED_LIST><a></b></CONSOLIDATED_LIST>", "mismatched tag"),
        ("<CONSOLIDATED_LIST>&unknown;</CONSOLIDATED_LIST>", "undefined entity"),
        (f"<CONSOLIDATED_LIST>{'<a>' * 40}", "nested over"),
        ("plain words", "cannot be read"),
        (b"<?xml version='1.0' encoding='utf-8'?><CONSOLIDATED_LIST>\xff\xfe</CONSOLIDATED_LIST>", "cannot be read"),
    ],
)
def test_harmful_and_damaged_xml_is_refused_with_its_place(content: str | bytes, words: str, lenient: Callable[..., Any]) -> None:
    with pytest.raises(SourceError, match=re.escape(words)) as caught:
        lenient(content, "un-xml")
    assert caught.value.file == "list.csv"


@pytest.mark.parametrize("filler", ["<X/>", "<X>words</X>", "words"])
def test_a_record_without_end_does_not_fill_the_memory(filler: str, lenient: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xmlrecords, "MAX_RECORD_TEXT", 10_000)
    monkeypatch.setattr(xmlrecords, "MAX_RECORD_ELEMENTS", 5_000)
    with pytest.raises(SourceError, match="a record h"):
        lenient("<CONSOLIDATED_LIST><INDIVIDUAL>" + filler * 300_000, "un-xml")


def test_entries_without_id_or_name_are_refused_one_by_one(lenient: Callable[..., Any]) -> None:
    people = (
        "<INDIVIDUAL><FIRST_NAME>A</FIRST_NAME></INDIVIDUAL>\n"
        "<INDIVIDUAL><DATAID>2</DATAID></INDIVIDUAL>\n"
        "<INDIVIDUAL><DATAID>3</DATAID><FIRST_NAME>Ann</FIRST_NAME><SECOND_NAME>Lee</SECOND_NAME>"
        "<INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>EXACT</TYPE_OF_DATE><DATE>1970-02-30</DATE></INDIVIDUAL_DATE_OF_BIRTH></INDIVIDUAL>"
    )
    text = f"<CONSOLIDATED_LIST><INDIVIDUALS>\n{people}</INDIVIDUALS><ENTITIES/></CONSOLIDATED_LIST>"
    [kept], report = lenient(text, "un-xml")
    assert kept.names == (Name("Lee", "Ann"),) and kept.birth_dates == ()
    assert [(p.line, p.column, p.refused) for p in report.problems] == [
        (2, "DATAID", True),
        (3, "FIRST_NAME", True),
        (4, "INDIVIDUAL_DATE_OF_BIRTH", False),
    ]

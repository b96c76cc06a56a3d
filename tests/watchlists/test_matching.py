"""What the matcher is for, case by case: who is found, by what evidence, and what speaks against."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from watchlists import Address, Entry, Index, Match, Matcher, Name, Subject, Thresholds, testing
from watchlists.names import parse_full

PEOPLE = {
    "garcia": Entry("garcia", (Name("García López", "José", "Antonio"),), ("1970-03-02",), "M"),
    "kovalenko": Entry("kovalenko", (Name("Kovalenko", "Yevgeniy"), Name("Zhuk", "Zhenya", kind="alias")), ("1981-11-30",), "M"),
    "thibodeaux": Entry("thibodeaux", (Name("Thibodeaux", "William", "Percival", "Jr"),), ("1955-07-19",), "M"),
    "otoole": Entry("otoole", (Name("O'Toole-Quattlebaum", "Siobhan"),), ("1990-01-31",), "F"),
    "de la cruz": Entry("de la cruz", (Name("de la Cruz", "María Guadalupe"),), ("1964-12-05",), "F"),
    "kuznetsov": Entry("kuznetsov", (Name("Kuznetsov", "Ivan"),), ("1969-02-22",), "M"),
    "rahman": Entry("rahman", (Name("Al-Qadhafi", "Abdul Rahman"),), ("1975",), "M"),
    "xiao": Entry("xiao", (Name("Ouyang", "Xiao Ming"),), ("1988-08-08",), "F"),
}


@pytest.fixture(scope="module")
def matcher() -> Matcher:
    return Matcher(Index.build([*PEOPLE.values(), *testing.entries(300, seed=50)]), Thresholds(16.0, 26.0))


def _find(matcher: Matcher, wanted: str, subject: Subject) -> Match | None:
    return next((match for match in matcher.screen(subject) if match.entry_id == wanted), None)


@pytest.mark.parametrize(
    ("wanted", "name", "born"),
    [
        ("garcia", Name("GARCIA LOPEZ", "JOSE"), date(1970, 3, 2)),
        ("garcia", Name("GARCIA", "JOSE", "A"), date(1970, 3, 2)),
        ("garcia", Name("LOPEZ GARCIA", "JOSE"), date(1970, 3, 2)),
        ("garcia", Name("GARCIALOPEZ", "JOSE ANTONIO"), date(1970, 2, 3)),
        ("garcia", Name("GARC1A L0PEZ", "JOSE"), date(1970, 3, 2)),
        ("kovalenko", Name("KOVALENKO", "EVGENY"), date(1981, 11, 30)),
        ("kovalenko", Name("Коваленко", "Евгений"), date(1981, 11, 30)),
        ("kovalenko", Name("ZHUK", "ZHENYA"), date(1981, 11, 30)),
        ("kuznetsov", Name("KUSNEZOW", "IVAN"), date(1969, 2, 22)),
        ("kuznetsov", Name("KOUZNETSOFF", "IVAN"), date(1969, 2, 22)),
        ("kovalenko", Name("YEVGENIY", "KOVALENKO"), date(1981, 11, 30)),
        ("thibodeaux", Name("THIBODEAUX", "BILL", "P", "JR"), date(1955, 7, 19)),
        ("thibodeaux", Name("THIBODEAUX JR", "WILLIAM"), date(1956, 7, 19)),
        ("thibodeaux", Name("TIBODEAUX", "WILLIAM"), date(1955, 7, 19)),
        ("thibodeaux", Name("THIBODE", "WILL"), date(1955, 7, 19)),
        ("thibodeaux", Name("THIBODEAUX", "WILLIAM", "PERCIVAL"), date(1999, 1, 1)),
        ("otoole", Name("OTOOLE", "SIOBHAN"), date(1990, 1, 31)),
        ("otoole", Name("QUATTLEBAUM", "SIOBHAN"), date(1990, 1, 31)),
        ("de la cruz", Name("CRUZ", "MARIA"), date(1964, 12, 5)),
        ("de la cruz", Name("DELACRUZ", "MARIAGUADALUPE"), date(1964, 12, 5)),
        ("rahman", Name("GADDAFI", "ABDELRAHMAN"), date(1975, 6, 1)),
        ("xiao", Name("OUYANG", "XIAOMING"), date(1988, 8, 8)),
        ("xiao", Name("XIAO MING", "OUYANG"), date(1988, 8, 8)),
        ("garcia", Name("ANTONIO", "GARCIA LOPEZ"), date(1970, 3, 2)),
        ("otoole", Name("MARGARET", "OTOOLE-QUATTLEBAUM"), date(1990, 1, 31)),
        ("kovalenko", Name("YEVGENIY", "SMITH"), date(1981, 11, 30)),
    ],
)
def test_a_person_is_found_however_the_name_was_read(matcher: Matcher, wanted: str, name: Name, born: date) -> None:
    found = _find(matcher, wanted, Subject(name, born))
    assert found is not None
    assert found.bits == pytest.approx(sum(found.evidence.values()))
    assert len(matcher.explain(found).sentences("es")) == len(found.evidence) + 1


@pytest.mark.parametrize(
    ("wanted", "name", "sentence"),
    [
        ("kovalenko", Name("YEVGENIY", "KOVALENKO"), "Family and given name agree, but in each other's place."),
        ("thibodeaux", Name("BILL", "THIBODEAUX"), "Family and given name agree, but in each other's place."),
        ("kovalenko", Name("SMITH", "KOVALENKO"), "The given name agrees with the registered family name; the names may be in each other's place."),
        ("kovalenko", Name("YEVGENIY", "SMITH"), "The family name agrees with the registered given name; the names may be in each other's place."),
    ],
)
def test_exchanged_names_are_explained_as_far_as_they_agree(matcher: Matcher, wanted: str, name: Name, sentence: str) -> None:
    found = _find(matcher, wanted, Subject(name, date.fromisoformat(PEOPLE[wanted].birth_dates[0])))
    assert found is not None
    assert sentence in matcher.explain(found).sentences("en")


def test_a_stranger_of_the_same_common_name_is_not_shown(matcher: Matcher) -> None:
    assert matcher.screen(Subject(Name("SMITH", "JOHN"), date(1983, 5, 6))) == []
    assert _find(matcher, "garcia", Subject(Name("GARCIA", "JOSE"), date(1991, 9, 9))) is None


def test_a_rare_name_says_more_than_a_common_one() -> None:
    index = Index.build([Entry("a", (Name("Smith", "James"),), ("1970-01-05",)), Entry("b", (Name("Zylberstein", "Ottilie"),), ("1970-01-05",))])
    matcher = Matcher(index, Thresholds(5.0, 26.0))
    common = matcher.screen(Subject(Name("SMITH", "JAMES"), date(1970, 1, 5)))[0]
    rare = matcher.screen(Subject(Name("ZYLBERSTEIN", "OTTILIE"), date(1970, 1, 5)))[0]
    assert rare.evidence["family"] > common.evidence["family"] + 4
    assert rare.evidence["given"] > common.evidence["given"] + 4


def test_what_speaks_against_is_named_and_counted() -> None:
    entry = Entry("a", (Name("Zylberstein", "Otto"),), ("1970-01-05",), "M", (Address(postal_code="75001", region="TX"),), 190, "BLU")
    matcher = Matcher(Index.build([entry]))
    same = Subject(entry.names[0], date(1970, 1, 5), "M", entry.addresses[0], 190, "BLU")
    other = msgspec.structs.replace(same, sex="F", height_cm=160, eye_color="BRO")
    agrees, differs = matcher.screen(same)[0], matcher.screen(other)[0]
    assert agrees.contradictions == ()
    assert differs.contradictions == ("sex", "height", "eye_color")
    assert differs.bits < agrees.bits - 12
    assert "3 facts speak against it" in matcher.explain(differs).summary_en


def test_description_alone_makes_no_match() -> None:
    place = Address(postal_code="75001", region="TX")
    matcher = Matcher(Index.build([Entry("a", (Name("Zylberstein", "Otto"),), ("1970-01-05",), "M", (place,), 190, "BLU")]))
    assert matcher.screen(Subject(Name("Quattlebaum", "Ignatz"), date(1988, 2, 2), "M", place, 190, "BLU")) == []


def test_the_same_document_finds_the_entry_under_another_name() -> None:
    entry = Entry("a", (Name("Zylberstein", "Otto"),), ("1970-01-05",), id_hashes=("k1",))
    matcher = Matcher(Index.build([entry]), Thresholds(8.0, 26.0))
    found = matcher.screen(Subject(Name("Zylberstein", "Ignatz"), date(1988, 2, 2), id_hashes=("k1",)))
    assert [match.entry_id for match in found] == ["a"]
    assert found[0].evidence["id"] == 20.0


def test_a_weak_alias_says_less_than_a_name() -> None:
    strong = Entry("strong", (Name("Zylberstein", "Otto"),))
    weak = Entry("weak", (Name("Zylberstein", "Otto", kind="weak"),))
    bits = {m.entry_id: m.bits for m in Matcher(Index.build([strong, weak]), Thresholds(8.0, 26.0)).screen(Subject(Name("Zylberstein", "Otto")))}
    assert bits["strong"] - bits["weak"] == 2.0


@pytest.mark.parametrize(("registered", "found"), [("1970", True), ("1968/1972", True), ("1971~", True), ("1970-03", True), ("1990", False)])
def test_a_birth_date_known_in_part_counts_as_far_as_it_goes(registered: str, found: bool) -> None:
    index = Index.build([Entry("a", (Name("Zylberstein", "Otto"),), (registered,))])
    match = Matcher(index, Thresholds(8.0, 26.0)).screen(Subject(Name("Zylberstein", "Otto"), date(1970, 3, 2)))[0]
    assert (match.evidence["birth_date"] > 0) is found
    assert ("birth_date" in match.contradictions) is not found


@pytest.mark.parametrize(
    ("text", "name"),
    [("Nguyen, Van Hung", Name("Nguyen", "Van Hung")), ("José Luis García", Name("García", "José Luis")), ("金正恩", Name("金", "正恩")), ("", Name(""))],
)
def test_a_full_name_is_parted(text: str, name: Name) -> None:
    assert parse_full(text) == name

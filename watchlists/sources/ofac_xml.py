"""The OFAC list as `SDN.XML` (or `CONSOLIDATED.XML`), the "standard" layout: root `sdnList`.

Everything the CSV hides in its Remarks stands here in elements: birth dates, gender, documents, and a category (`strong`, `weak`) an
alias. The head tells how many records there are, so a list that lost some is seen. The "advanced" layout (root `Sanctions`) is another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element

from watchlists.records import Address, Entry, Name, NameKind, Sex
from watchlists.sources import dates, people
from watchlists.sources.base import AIRCRAFT, ENTITY, INDIVIDUAL, VESSEL, Document, Format
from watchlists.sources.xmlrecords import Records, text_of, texts_of

_TYPES: Final = {"individual": INDIVIDUAL, "entity": ENTITY, "vessel": VESSEL, "aircraft": AIRCRAFT}
_NOT_NUMBERS: Final = ("gender", "website", "email", "phone", "secondary sanctions", "additional sanctions", "executive order")
_SHIP: Final = {"callSign": "call_sign", "vesselType": "vessel_type", "vesselFlag": "flag", "vesselOwner": "owner", "tonnage": "tonnage"}


def read(document: Document) -> Iterator[Entry]:
    """Yield the list's entries."""
    records = Records(document, "sdnList", frozenset({"sdnEntry"}), {"Sanctions": "the advanced layout; take the standard one, SDN.XML"})
    report = document.report
    count = 0
    for line, element in records:
        report.rows += 1
        report.line = line
        count += 1
        if found := _entry(document, line, element):
            yield found
    promised = records.head.get("Record_Count", "").replace(",", "")
    if promised.isdigit() and int(promised) != count:
        raise document.fault(f"its head promises {int(promised):,} records and there are {count:,}: the list is not whole")


FORMAT: Final = Format("ofac-xml", "OFAC SDN list (XML)", read)


def _entry(document: Document, line: int, element: Element) -> Entry | None:
    kind = _TYPES.get(text_of(element, "sdnType").lower())
    if kind is None:
        document.refuse("the type is none of Individual, Entity, Vessel and Aircraft", line=line, column="sdnType")
        return None
    uid = text_of(element, "uid")
    if not uid:
        document.refuse("the entry has no uid", line=line, column="uid")
        return None
    if not document.wants(kind):
        return None
    primary = _name(element, kind, "primary")
    if primary is None:
        document.refuse("the entry has no name", line=line, column="lastName")
        return None
    names = [primary]
    for aka in element.findall("akaList/aka"):
        alias = _name(aka, kind, "weak" if text_of(aka, "category").lower() == "weak" else "alias")
        if alias is None:
            document.report.note("an alias without letters was left out")
        else:
            names.append(alias)
    births = (
        document.tried(dates.from_words, text, line=line, column="dateOfBirth")
        for text in texts_of(element, "dateOfBirthList/dateOfBirthItem/dateOfBirth")
    )
    sex: Sex | None = None
    numbers: list[str] = []
    for paper in element.findall("idList/id"):
        what, number = text_of(paper, "idType"), text_of(paper, "idNumber")
        if what.lower() == "gender":
            sex = document.tried(people.sex, number, line=line, column="idNumber")
        elif number and not what.lower().startswith(_NOT_NUMBERS):
            numbers.append(number)
    facts = {
        "type": kind,
        "programs": "; ".join(texts_of(element, "programList/program")),
        "title": text_of(element, "title"),
        "nationality": "; ".join(texts_of(element, "nationalityList/nationality/country")),
        "citizenship": "; ".join(texts_of(element, "citizenshipList/citizenship/country")),
        "place_of_birth": "; ".join(texts_of(element, "placeOfBirthList/placeOfBirthItem/placeOfBirth")),
        "remarks": text_of(element, "remarks"),
        **{ours: text_of(element, f"vesselInfo/{theirs}") for theirs, ours in _SHIP.items()},
    }
    return Entry(
        id=f"ofac-{uid}",
        names=tuple(names),
        birth_dates=tuple(dict.fromkeys(filter(None, births))),
        sex=sex,
        addresses=tuple(filter(None, map(_address, element.findall("addressList/address")))),
        id_hashes=document.id_hashes(numbers),
        category="sanctions",
        fields={key: people.clean(value) for key, value in facts.items() if value},
    )


def _name(element: Element, kind: str, as_: NameKind) -> Name | None:
    family, given = text_of(element, "lastName"), text_of(element, "firstName")
    if kind != INDIVIDUAL:
        whole = people.clean(f"{given} {family}")
        return Name(family=whole, kind=as_) if whole else None
    if not given:
        return people.split_name(family, as_)
    first, _, middle = people.clean(given).partition(" ")
    # "Feliciano Semborio, Jr." carries its suffix behind the given names.
    middle, _, suffix = middle.rpartition(", ") if ", " in middle else (middle, "", "")
    return people.person(family, first.rstrip(","), middle, suffix, as_)


def _address(element: Element) -> Address | None:
    street = ", ".join(filter(None, (text_of(element, f"address{number}") for number in (1, 2, 3))))
    place = Address(
        street=people.clean(street),
        city=people.clean(text_of(element, "city")),
        region=people.clean(text_of(element, "stateOrProvince")),
        postal_code=people.clean(text_of(element, "postalCode")),
        country=people.clean(text_of(element, "country")),
    )
    return place if place != Address() else None

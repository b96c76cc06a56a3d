"""The United Nations Security Council's consolidated list in XML: root `CONSOLIDATED_LIST`, schema of sanctions.xsd.

Names come in up to four parts without saying which is the family's. The first part is taken as given and the last as family, but for
North Koreans, whose family name comes first: right for most of the list, and swapped halves are evidence the matcher weighs anyway. A
name in its original script becomes an alias of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element

from watchlists.records import Address, Entry, Name, NameKind, Sex
from watchlists.sources import dates, people
from watchlists.sources.base import ENTITY, INDIVIDUAL, Document, Format
from watchlists.sources.xmlrecords import Records, text_of, texts_of

MAX_ALIASES: Final = 10_000
"""Characters of one alias cell that are looked at. The longest real one has some 200."""
_PARTS: Final = ("FIRST_NAME", "SECOND_NAME", "THIRD_NAME", "FOURTH_NAME")
_SEVERAL: Final = re.compile(r"\s*;\s*|\s+(?=[b-z]\)\s)|^a\)\s*")
"""What parts several names in one cell: a semicolon, or the letters `a)`, `b)` of an enumeration."""
_LABEL: Final = re.compile(r"^[a-z]\)\s*")
_PARENTHESES: Final = re.compile(r"\(([^()]*)\)")
_BORN: Final = re.compile(r",?(?:^|\s+)born\s.*$", re.IGNORECASE)
_FAMILY_FIRST: Final = frozenset({"Democratic People's Republic of Korea"})
_NO_QUOTES: Final = str.maketrans("", "", "“”„\"«»")
_NOTE_MONTH: Final = re.compile(r"\s*(?:([A-Za-z]{3,9})\.?)(?:\s+(\d{4}))?\s*")


def read(document: Document) -> Iterator[Entry]:
    """Yield the list's entries: individuals, and entities when asked for."""
    records = Records(document, "CONSOLIDATED_LIST", frozenset({"INDIVIDUAL", "ENTITY"}))
    for line, element in records:
        document.report.rows += 1
        document.report.line = line
        if found := _entry(document, line, element):
            yield found
    # A list whose individuals are missing altogether is well-formed XML, too.
    if missing := {"INDIVIDUALS", "ENTITIES"} - records.sections:
        raise document.fault(f"its section {', '.join(sorted(missing))} is missing: the list is not whole")


FORMAT: Final = Format("un-xml", "UN Security Council consolidated list (XML)", read)


def _entry(document: Document, line: int, element: Element) -> Entry | None:
    kind = INDIVIDUAL if element.tag == "INDIVIDUAL" else ENTITY
    data_id = text_of(element, "DATAID")
    if not data_id:
        document.refuse("the entry has no DATAID", line=line, column="DATAID")
        return None
    if not document.wants(kind):
        return None
    parts = [text_of(element, part) for part in _PARTS]
    order: people.Order = "given-first"
    if _FAMILY_FIRST.intersection(texts_of(element, "NATIONALITY/VALUE")):
        order = "family-first"
    names = list(_main_names(parts, text_of(element, "NAME_ORIGINAL_SCRIPT"), kind, order))
    if not names:
        document.refuse("the entry has no name", line=line, column="FIRST_NAME")
        return None
    for alias in element.findall(f"{element.tag}_ALIAS"):
        quality = text_of(alias, "QUALITY").lower()
        names += alias_names(text_of(alias, "ALIAS_NAME"), "weak" if quality == "low" else "alias", kind, order)
    births = [born for item in element.findall("INDIVIDUAL_DATE_OF_BIRTH") if (born := _birth_date(document, line, item))]
    sex: Sex | None = document.tried(people.sex, text_of(element, "GENDER"), line=line, column="GENDER")
    places = [
        ", ".join(filter(None, (text_of(place, part) for part in ("CITY", "STATE_PROVINCE", "COUNTRY"))))
        for place in element.findall("INDIVIDUAL_PLACE_OF_BIRTH")
    ]
    facts = {
        "type": kind,
        "reference": text_of(element, "REFERENCE_NUMBER"),
        "programs": text_of(element, "UN_LIST_TYPE"),
        "listed_on": text_of(element, "LISTED_ON"),
        "title": "; ".join(texts_of(element, "TITLE/VALUE")),
        "designation": "; ".join(texts_of(element, "DESIGNATION/VALUE")),
        "nationality": "; ".join(texts_of(element, "NATIONALITY/VALUE")),
        "place_of_birth": "; ".join(filter(None, places)),
        "remarks": text_of(element, "COMMENTS1"),
    }
    addresses = (_address(found) for found in element.findall(f"{element.tag}_ADDRESS"))
    return Entry(
        id=f"un-{data_id}",
        names=tuple(dict.fromkeys(names)),
        birth_dates=tuple(dict.fromkeys(births)),
        sex=sex,
        addresses=tuple(dict.fromkeys(filter(None, addresses))),
        id_hashes=document.id_hashes(texts_of(element, "INDIVIDUAL_DOCUMENT/NUMBER")),
        category="sanctions",
        fields={key: people.clean(value) for key, value in facts.items() if value},
    )


def alias_names(text: str, as_: NameKind, kind: str = INDIVIDUAL, order: people.Order = "given-first") -> Iterator[Name]:
    """The names in one alias cell: several parted by semicolons or `b)`, a spelling in another script in parentheses (or before
    them), and remarks in parentheses, which are dropped.

    >>> [(n.given, n.family) for n in alias_names("Jin Tiesan (金铁三); Encep Nurjaman (birth name)", "alias")]
    [('铁三', '金'), ('Jin', 'Tiesan'), ('Encep', 'Nurjaman')]
    """
    # Cleaned first: patterns that begin with white space take quadratic time over a long run of it.
    text = _BORN.sub("", _LABEL.sub("", people.clean(text[:MAX_ALIASES])))
    bare = _PARENTHESES.sub(" ", text)
    foreign = people.script_letters(bare)
    found = [inside for inside in _PARENTHESES.findall(text) if foreign or people.script_letters(inside)]
    for part in (name for cell in (*found, bare) for name in _SEVERAL.split(cell)):
        part = _LABEL.sub("", part.strip()).translate(_NO_QUOTES).strip(" .,()")
        yield from filter(None, [_whole(part, as_, kind, order)])


def _main_names(parts: list[str], script: str, kind: str, order: people.Order) -> Iterator[Name]:
    words = [people.clean(part) for part in parts if part.strip()]
    if kind == ENTITY or len(words) == 1:
        yield from filter(None, [_whole(" ".join(words), "primary", kind, order)])
    elif words and order == "family-first":
        yield from filter(None, [people.person(words[0], words[1], " ".join(words[2:]))])
    elif words:
        yield from filter(None, [people.person(words[-1], words[0], " ".join(words[1:-1]))])
    if script:
        yield from alias_names(script, "alias", kind, order)


def _whole(text: str, as_: NameKind, kind: str, order: people.Order) -> Name | None:
    if kind == ENTITY:
        text = people.clean(text)
        return Name(family=text, kind=as_) if text else None
    return people.split_name(text, as_, order)


def _birth_date(document: Document, line: int, item: Element) -> str | None:
    """The EDTF of one INDIVIDUAL_DATE_OF_BIRTH, or None for an empty one.

    TYPE_OF_DATE is EXACT (a DATE or a YEAR, its month sometimes in the NOTE: "Sep.", "Nov. 1973"), APPROXIMATELY, or BETWEEN.
    """
    how, day, year = text_of(item, "TYPE_OF_DATE").upper(), text_of(item, "DATE"), text_of(item, "YEAR")
    first, last, note = text_of(item, "FROM_YEAR"), text_of(item, "TO_YEAR"), text_of(item, "NOTE")
    try:
        if first or last:
            value = dates.between(dates.from_iso(first or last), dates.from_iso(last or first))
            return dates.about(value) if "approx" in note.lower() else value
        if not (day or year):
            return _from_note(note)
        value = dates.from_iso(day or year)
        if not day and (exact := _from_note(f"{note} {year}")):
            value = exact
        return dates.about(value) if how == "APPROXIMATELY" else value
    except ValueError as error:
        document.drop(f"a birth date is dropped: {error}", line=line, column="INDIVIDUAL_DATE_OF_BIRTH")
        return None


def _from_note(note: str) -> str | None:
    """A month and year written in a note; None when it says something else ("from false passport", "30-35 years old")."""
    found = _NOTE_MONTH.fullmatch(note)
    if found is None or found[2] is None:
        return None
    try:
        return dates.from_words(f"{found[1]} {found[2]}")
    except ValueError:
        return None


def _address(element: Element) -> Address | None:
    place = Address(
        street=people.clean(text_of(element, "STREET")),
        city=people.clean(text_of(element, "CITY")),
        region=people.clean(text_of(element, "STATE_PROVINCE")),
        postal_code=people.clean(text_of(element, "ZIP_CODE")),
        country=people.clean(text_of(element, "COUNTRY")),
    )
    return place if place != Address() else None

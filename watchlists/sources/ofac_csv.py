"""The OFAC Specially Designated Nationals list as CSV: `sdn.csv` with `alt.csv`, `add.csv` and `sdn_comments.csv`.

Layout after the Treasury's "SDN data specification" (dat_spec.txt). `cons_prim.csv` and its like, the consolidated
list of the other programs, are of the same layout. The files have no header, write null as `-0- ` and end in a
Ctrl-Z. Birth dates, gender, documents and *weak* aliases stand in the Remarks, which go on in `sdn_comments.csv` past 1,000 characters.

It is read from a zip or a folder of the four, or from `sdn.csv` alone (no strong aliases then, and the report says so). `sdn.csv`
streams; the other three are held by entry number while it does (4 MB for the whole list).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from watchlists.records import Address, Entry, Name, NameKind, Sex
from watchlists.sources import dates, people
from watchlists.sources.base import AIRCRAFT, ENTITY, INDIVIDUAL, VESSEL, Document, Format
from watchlists.sources.packed import tables_of
from watchlists.sources.tables import records

SDN: Final = "sdn.csv"
ALT: Final = "alt.csv"
ADD: Final = "add.csv"
COMMENTS: Final = "sdn_comments.csv"
OTHER_NAMES: Final = {SDN: "cons_prim.csv", ALT: "cons_alt.csv", ADD: "cons_add.csv", COMMENTS: "cons_comments.csv"}
WIDTHS: Final = {SDN: 12, ALT: 5, ADD: 6, COMMENTS: 2}
COLUMNS: Final = (
    "ent_num", "SDN_Name", "SDN_Type", "Program", "Title", "Call_Sign", "Vess_type", "Tonnage", "GRT", "Vess_flag", "Vess_owner",
    "Remarks",
)  # fmt: skip
REMARKS_LIMIT: Final = 1000
MAX_REMARKS: Final = 20_000
"""Characters of Remarks and their continuations that are looked at. The longest of 2019 have some 2,000."""
_MAX_SEGMENT: Final = 300
_TYPES: Final = {"": ENTITY, "entity": ENTITY, "individual": INDIVIDUAL, "vessel": VESSEL, "aircraft": AIRCRAFT}

_WEAK: Final = re.compile(r"(?:^|;\s*)[afn]\.k\.a\. '(.*?)'\s*(?=;|\.?\s*$)")
_DOB: Final = re.compile(r"(?:alt\. )?DOB (.+)")
# Matched at the beginning of a segment and no further: a pattern for what may follow (issue dates, countries) would have to backtrack.
_NUMBER: Final = re.compile(
    r"(?:alt\. )?[^\d]*?(?:No|Number|#|Passport|SSN|R\.?F\.?C|C\.U\.R\.P|D\.N\.I|N\.I\.E|I\.F\.E|C\.U\.I\.P|RTN|Code|Card|ID"
    r"|[Ee]lectoral|Nacional|Identidad|Booklet)[.:#\s]+((?:[A-Z]{1,4}[ -])?(?=[\w./-]*\d)[A-Z0-9][\w./-]*(?: (?=[\w./-]*\d)[\w./-]+)*)"
)
_NO_DOCUMENT: Final = re.compile(r"(?:alt\. )?(?:Linked|POB|Phone|Fax|Email|Website|Digital Currency|Secondary|Additional|Executive)")
_CITY: Final = re.compile(r"(?P<city>.+?),?\s+(?P<region>[A-Z]{2})(?:\s+(?P<zip>\d{5}(?:-\d{4})?))?")


class Remarks(NamedTuple):
    """What the Remarks say, taken apart; `rest` is the remainder for a person to read, without document numbers."""

    birth_dates: tuple[str, ...]
    weak: tuple[str, ...]
    sex: Sex | None
    numbers: tuple[str, ...]
    rest: str


def read(document: Document) -> Iterator[Entry]:
    """Yield the list's entries; see the module's head for what it is read from."""
    with tables_of(document, document.folder, (SDN, ALT, ADD, COMMENTS)) as found:

        def pick(name: str) -> Document | None:
            return found(name) or found(OTHER_NAMES[name])

        main = pick(SDN)
        if main is None:
            raise document.fault(f"there is no {SDN} in it")
        aliases: dict[str, list[tuple[int, str, str]]] = {}
        addresses: dict[str, list[tuple[int, Address]]] = {}
        comments: dict[str, str] = {}
        alt = pick(ALT)
        if alt is not None:
            for line, row in _rows(alt, ALT):
                aliases.setdefault(row[0], []).append((line, row[3], row[2]))
        else:
            document.report.note(f"{ALT} was not given: the list was read without its strong aliases")
        add = pick(ADD)
        if add is not None:
            for line, row in _rows(add, ADD):
                addresses.setdefault(row[0], []).append((line, _address(row)))
        more = pick(COMMENTS)
        if more is not None:
            for _, row in _rows(more, COMMENTS):
                comments[row[0]] = comments.get(row[0], "") + row[1]
        for line, row in _rows(main, SDN):
            yield from _entry(main, line, row, aliases.pop(row[0], []), addresses.pop(row[0], []), comments.pop(row[0], ""))
        # An alias of nobody means tables of different days, or a cut-off sdn.csv: somebody is missing from it.
        for table, left in ((alt, aliases), (add, addresses)):
            for number, rows in left.items():
                if table is not None:
                    table.refuse(f"entry {number} is not in {SDN}: the tables are of different days, or one was cut off", line=rows[0][0])
        if comments:
            document.report.note(f"{COMMENTS} continues remarks of entries that are not in {SDN}", len(comments))


FORMAT: Final = Format("ofac-csv", "OFAC SDN list (CSV; zip of sdn, alt, add and sdn_comments)", read)


def parse_remarks(text: str, document: Document, line: int) -> Remarks:
    """Take the Remarks apart. A birth date that cannot be read is dropped with a problem."""
    weak = [alias for found in _WEAK.finditer(text) if (alias := _unquote(found[1]))]
    births: list[str] = []
    numbers: list[str] = []
    rest: list[str] = []
    sex: Sex | None = None
    for part in _WEAK.sub("", text).split(";"):
        part = part.strip()
        bare = part.removesuffix(".")
        if found := _DOB.fullmatch(bare):
            try:
                births.append(dates.from_words(found[1]))
            except ValueError as error:
                document.drop(f"a birth date is dropped: {error}", line=line, column="Remarks")
        elif bare in ("Gender Male", "Gender Female"):
            sex = "M" if bare.endswith("Male") else "F"
        elif number := _document_number(bare):
            numbers.append(number)
        elif part:
            rest.append(bare)
    return Remarks(tuple(dict.fromkeys(births)), tuple(weak), sex, tuple(numbers), "; ".join(rest))


def _document_number(segment: str) -> str:
    """The number in a segment that names a document, or nothing."""
    if len(segment) > _MAX_SEGMENT or _NO_DOCUMENT.match(segment):
        return ""
    found = _NUMBER.match(segment)
    return found[1] if found and sum(map(str.isdigit, found[1])) >= 3 else ""


def _rows(document: Document, table: str) -> Iterator[tuple[int, list[str]]]:
    """Rows of one table with nulls emptied; refuses those without a number, and a file that is another table."""
    width = WIDTHS[table]
    first = True
    short: tuple[int, int] | None = None
    for line, cells in records(document):
        if short is not None:
            document.refuse(f"the row has {short[1]} cells where {table} has {width}", line=short[0])
            short = None
        if table == SDN:
            document.report.rows += 1
            document.report.line = line
        if len(cells) != width:
            if first:
                other = next((name for name, count in WIDTHS.items() if count == len(cells)), None)
                near = f": it looks like {other}" if other else ""
                raise document.fault(f"the first row has {len(cells)} columns where {table} has {width}{near}", line=line)
            short = (line, len(cells))  # judged with the next row: a file that ends here was cut off
            continue
        row = [_null(cell) for cell in cells]
        if not row[0].isdigit():
            words = "the entry number is no number"
            if first:
                raise document.fault(f"{words}: not an OFAC table", line=line, column=COLUMNS[0])
            document.refuse(words, line=line, column=COLUMNS[0])
            continue
        first = False
        yield line, row
    if short is not None:
        raise document.fault(f"the last row has {short[1]} cells where {table} has {width}: the file was cut off", line=short[0])
    if first:
        raise document.fault("there is no row in it")


def _entry(
    document: Document, line: int, row: list[str], aliases: list[tuple[int, str, str]],
    addresses: list[tuple[int, Address]], more: str,
) -> Iterator[Entry]:  # fmt: skip
    number, whole, type_, program, title, *ship, remarks_text = row
    kind = _TYPES.get(type_.lower())
    if kind is None:
        document.refuse("the type is none of individual, entity, vessel and aircraft", line=line, column="SDN_Type")
        return
    if not document.wants(kind):
        return
    if more and len(remarks_text) < REMARKS_LIMIT:
        document.report.note(f"{COMMENTS} continues remarks that were not cut: its tables are of different days")
    elif more:
        remarks_text += more
    if len(remarks_text) > MAX_REMARKS:
        document.drop(f"the remarks are dropped past {MAX_REMARKS:,} characters", line=line, column="Remarks")
    remarks = parse_remarks(people.clean(remarks_text[:MAX_REMARKS]), document, line)
    names: list[Name] = []
    for text, weak in [(whole, False), *((alias[1], False) for alias in aliases), *((text, True) for text in remarks.weak)]:
        name = _name(text, kind, "weak" if weak else "alias" if names else "primary")
        if name is not None:
            names.append(name)
        elif not names:
            break
        else:
            # Code names such as '31' are real and no name that anybody gives at a desk: nothing is lost, so no strict reading fails.
            document.report.note("an alias without letters was left out")
    if not names:
        document.refuse("the entry has no name", line=line, column="SDN_Name")
        return
    facts = {"type": kind, "programs": program.replace("] [", "; "), "title": title, "remarks": remarks.rest}
    if kind in (VESSEL, AIRCRAFT):
        facts |= dict(zip(("call_sign", "vessel_type", "tonnage", "gross_tonnage", "flag", "owner"), ship, strict=True))
    yield Entry(
        id=f"ofac-{number}",
        names=tuple(names),
        birth_dates=remarks.birth_dates,
        sex=remarks.sex,
        addresses=tuple(address for _, address in addresses if address != Address()),
        id_hashes=document.id_hashes(list(remarks.numbers)),
        category="sanctions",
        fields={key: value for key, value in facts.items() if value},
    )


def _name(text: str, kind: str, as_: NameKind) -> Name | None:
    if kind == INDIVIDUAL:
        return people.split_name(text, as_)
    text = people.clean(text)
    return Name(family=text, kind=as_) if text else None


def _address(row: list[str]) -> Address:
    street, city, country = map(people.clean, row[2:5])
    if country == "United States" and (found := _CITY.fullmatch(city)):
        return Address(street=street, city=found["city"], region=found["region"], postal_code=found["zip"] or "", country=country)
    return Address(street=street, city=city, country=country)


def _null(cell: str) -> str:
    """Empty for null. `-0` is the null of copies whose last line lost its end, as editors that trim a file leave it."""
    cell = cell.strip()
    return "" if cell in ("-0-", "-0") else cell


def _unquote(alias: str) -> str:
    """Drop a second pair of quotes (`''FOOPIE''`), not a leading ayn (`''ABDUL-GHANI'`)."""
    return alias[1:-1] if len(alias) > 2 and alias[0] == alias[-1] == "'" else alias

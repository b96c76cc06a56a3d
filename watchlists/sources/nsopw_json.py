"""Sex offender registries in the schema of the National Sex Offender Public Website (NSOPW).

`iirinc/nsopw-api-schema`, JSON v1.0 `response` and the SFTP file v3.0: one object with an array `offenders`. The names of the public
site's own answers (`givenName`, `surName`) are read too. An answer in which a jurisdiction failed is refused: it is no list, and
importing it would take everybody of that jurisdiction off the watch.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from watchlists.records import Address, Entry, NameKind
from watchlists.records import Name as EntryName
from watchlists.sources import dates, people
from watchlists.sources.base import Document, Format
from watchlists.sources.jsonrecords import Elements

_NO_STREET: Final = frozenset({"TRANSIENT", "HOMELESS", "INCARCERATED", "OUT OF STATE", "UNKNOWN", "ABSCONDED", "DEPORTED"})
"""What stands in `streetAddress` where there is none."""
_TYPES: Final = {"R": "home", "E": "work", "S": "school"}
_ANSWERED: Final = frozenset({200, 201})
"""Of the whole: 201 says that jurisdictions differ, and they are looked at one by one. Of a jurisdiction: 201 is a search by sound."""


class _Name(msgspec.Struct, rename="camel"):
    first_name: str | None = None
    middle_name: str | None = None
    last_name: str | None = None
    suffix: str | None = None
    given_name: str | None = None
    sur_name: str | None = None


class _Location(msgspec.Struct, rename="camel"):
    type: str | None = None
    name: str | None = None
    street_address: str | None = None
    city: str | None = None
    state: str | None = None
    zip_code: str | None = None


class _Offender(msgspec.Struct, rename="camel"):
    name: _Name
    id: str | None = None
    aliases: list[_Name] | None = None
    gender: str | None = None
    dob: str | None = None
    locations: list[_Location] | None = None
    offender_uri: str | None = None
    image_uri: str | None = None
    absconder: bool | None = None
    jurisdiction_id: str | None = None


def read(document: Document) -> Iterator[Entry]:
    """Yield an entry an offender. Its id is `jurisdiction:id`, or a digest of its page's address where the registry gives no id."""
    decoder = msgspec.json.Decoder(_Offender)
    elements = Elements(document, "offenders")
    for line, raw in elements:
        document.report.rows += 1
        document.report.line = line
        try:
            offender = decoder.decode(raw)
        except msgspec.ValidationError as error:
            words, _, path = str(error).partition(" - at `$")
            document.refuse(words, line=line, column=path.rstrip("`").lstrip(".") or "offenders")
            continue
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            document.refuse("the offender is no JSON object", line=line)
            continue
        if found := _entry(document, line, offender):
            yield found
    _check_status(document, elements.rest)


FORMAT: Final = Format("nsopw-json", "Sex offender registry, NSOPW schema (JSON)", read)


def _entry(document: Document, line: int, offender: _Offender) -> Entry | None:
    jurisdiction = (offender.jurisdiction_id or "").strip()
    own_id = (offender.id or "").strip()
    page = html.unescape(offender.offender_uri or "").strip()
    if not own_id and page:
        own_id = "uri-" + hashlib.blake2b(page.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
    if not own_id:
        document.refuse("the offender has neither id nor offenderUri", line=line, column="id")
        return None
    primary = _name(offender.name, "primary")
    if primary is None:
        document.refuse("the offender has no name", line=line, column="name")
        return None
    names = [primary]
    for alias in offender.aliases or ():
        if (made := _name(alias, "alias")) is None:
            document.report.note("an alias without letters was left out")
        elif msgspec.structs.replace(made, kind="primary") != primary:
            names.append(made)
    born = document.tried(dates.from_iso, offender.dob, line=line, column="dob") if offender.dob else None
    facts = {
        "jurisdiction": jurisdiction,
        "page": page,
        "absconder": "yes" if offender.absconder else "",
    }
    addresses: list[Address] = []
    for place in offender.locations or ():
        street = people.clean(place.street_address or "")
        if street.upper() in _NO_STREET:
            facts["whereabouts"] = street.lower()
            street = ""
        made_address = Address(
            street=street,
            city=people.clean(place.city or ""),
            region=people.clean(place.state or "").upper(),
            postal_code=people.clean(place.zip_code or ""),
            country="United States",
        )
        if any((made_address.street, made_address.city, made_address.region, made_address.postal_code)):
            addresses.append(made_address)
        kind = _TYPES.get((place.type or "")[:1].upper())
        if kind in ("work", "school") and place.name:
            facts[kind] = people.clean(place.name)
    return Entry(
        id=f"{jurisdiction}:{own_id}" if jurisdiction else own_id,
        names=tuple(dict.fromkeys(names)),
        birth_dates=(born,) if born else (),
        sex=document.tried(people.sex, offender.gender or "", line=line, column="gender"),
        addresses=tuple(dict.fromkeys(addresses)),
        photo=html.unescape(offender.image_uri or "").strip() or None,
        category="sex_offender",
        fields={key: value for key, value in facts.items() if value},
    )


def _name(name: _Name, as_: NameKind) -> EntryName | None:
    return people.person(name.last_name or name.sur_name or "", name.first_name or name.given_name or "", name.middle_name or "",
                         name.suffix or "", as_)  # fmt: skip


def _check_status(document: Document, rest: dict[str, Any]) -> None:
    overall = _code(rest.get("statusCode", 200))
    if overall not in _ANSWERED:
        raise document.fault(f"the answer's status is {overall}, not 200: it is no list", column="statusCode")
    statuses = rest.get("jurisdictionStatus")
    for status in statuses if isinstance(statuses, list) else ():
        if not isinstance(status, dict):
            continue
        code = _code(status.get("statusCode", 200))
        if code not in _ANSWERED:
            where = str(status.get("jurisdictionId", "?"))[:20]
            words = f"jurisdiction {where} answered {code}: the list is without its entries, and cannot stand for the whole"
            raise document.fault(words, column="jurisdictionStatus")


def _code(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0

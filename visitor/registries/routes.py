"""HTTP of the registries slice."""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import get, post, put
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery, JSONBody

from visitor.registries.models import EntryProblem, ListSettings, SharedRow, Table
from visitor.registries.service import Registries, require_district
from visitor.security import Principal
from watchlists import Address, Entry, Name


@dataclass
class ImportForm:
    """Multipart: the list's file and its format. `mapped-csv` is a zip of the table and the TOML that says which column is what, or
    the table alone and the name of a mapping that comes with the program."""

    file: UploadFile
    format: str
    allow_shrink: bool = False
    title: str = ""
    category: str = ""
    mapping: str = ""


class Alias(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    family_name: str
    given_name: str = ""


class PersonInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person for a list kept by hand. `birth_date` may be partial (EDTF: 1970, 1970-03, 1970-03-02)."""

    site_id: UUID
    family_name: str
    reason: str
    given_name: str = ""
    middle_names: str = ""
    suffix: str = ""
    aliases: tuple[Alias, ...] = ()
    birth_date: str = ""
    sex: Literal["M", "F", "X"] | None = None
    height_cm: int | None = None
    eye_color: str | None = None
    region: str = ""
    postal_code: str = ""
    valid_until: date | None = None

    def entry(self, category: str) -> Entry:
        """Raises EntryProblem for sizes no person has; whether it can be searched for is for the service to say."""
        names = (
            Name(self.family_name.strip(), self.given_name.strip(), self.middle_names.strip(), self.suffix.strip()),
            *(Name(a.family_name.strip(), a.given_name.strip(), kind="alias") for a in self.aliases),
        )
        if len(names) > 50 or any(len(part) > 200 for n in names for part in (n.family, n.given, n.middle, n.suffix)):
            raise EntryProblem("Give at most 50 names, each part of at most 200 characters.")
        if self.height_cm is not None and not 40 <= self.height_cm <= 260:
            raise EntryProblem("A height is 40 to 260 cm.", field="height_cm")
        place = Address(region=self.region.strip().upper()[:3], postal_code=self.postal_code.strip()[:12])
        return Entry(
            id="", names=names, birth_dates=(self.birth_date,) if self.birth_date else (), sex=self.sex,
            addresses=(place,) if place.region or place.postal_code else (), height_cm=self.height_cm, eye_color=self.eye_color,
            category=category,
        )


class LiftInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: str


def _shown(row: SharedRow) -> dict[str, Any]:
    first = row.entry.names[0]
    return {
        "id": row.id, "site_id": row.site_id, "family_name": first.family, "given_name": first.given,
        "birth_date": row.entry.birth_dates[0] if row.entry.birth_dates else None, "reason": row.reason,
        "valid_until": row.valid_until, "created_at": row.created_at,
    }


@get("/api/v1/watchlists", tags=["watchlists"])
async def watchlists(registries: NamedDependency[Registries]) -> dict[str, Any]:
    """Every list: revision in force, entries, age, and whether it is too old."""
    return {"watchlists": msgspec.to_builtins(registries.lists(), builtin_types=(UUID,))}


@put("/api/v1/watchlists/{name:str}", tags=["watchlists"])
async def set_list(
    name: FromPath[str], data: JSONBody[ListSettings], principal: NamedDependency[Principal], registries: NamedDependency[Registries]
) -> dict[str, Any]:
    """Make a list known before its first import, or change how it is kept: whether it is required, how old it may grow, from how
    many bits a match is shown. A retired list comes back."""
    await registries.set_list(principal, name, data)
    return {"watchlists": [msgspec.to_builtins(one) for one in registries.lists() if one.name == name]}


@post("/api/v1/watchlists/{name:str}/retire", status_code=200, tags=["watchlists"])
async def retire_list(
    name: FromPath[str], principal: NamedDependency[Principal], registries: NamedDependency[Registries]
) -> dict[str, Any]:
    """Search a list no longer."""
    await registries.retire_list(principal, name)
    return {"watchlist": {"name": name, "retired": True}}


@post("/api/v1/watchlists/{name:str}/imports", status_code=201, tags=["watchlists"])
async def import_list(
    name: FromPath[str],
    data: Annotated[ImportForm, Body(media_type=RequestEncodingType.MULTI_PART)],
    principal: NamedDependency[Principal],
    registries: NamedDependency[Registries],
) -> dict[str, Any]:
    """Import a file as the list's next revision, in force when the answer comes. A list of a new name is made."""
    require_district(principal)
    kept = await asyncio.to_thread(_keep, data.file.file, registries.new_file())
    try:
        result = await registries.import_list(
            principal.actor, name, data.format, kept, allow_shrink=data.allow_shrink, file_name=_file_name(data.file.filename),
            title=data.title, category=data.category, mapping=data.mapping,
        )
    finally:
        kept.unlink(missing_ok=True)
    return {"import": msgspec.to_builtins(result)}


@post("/api/v1/watchlists/{name:str}/imports/preview", status_code=200, tags=["watchlists"])
async def preview_import(
    name: FromPath[str],
    data: Annotated[ImportForm, Body(media_type=RequestEncodingType.MULTI_PART)],
    principal: NamedDependency[Principal],
    registries: NamedDependency[Registries],
) -> dict[str, Any]:
    """What importing this file would change; nothing is changed. `shrinks` says why it needs `allow_shrink`, or is ""."""
    require_district(principal)
    kept = await asyncio.to_thread(_keep, data.file.file, registries.new_file())
    try:
        result, shrinks = await registries.preview(
            name, data.format, kept, file_name=_file_name(data.file.filename), mapping=data.mapping
        )
    finally:
        kept.unlink(missing_ok=True)
    return {"preview": {**msgspec.to_builtins(result), "shrinks": shrinks}}


@get("/api/v1/barred-entries", tags=["watchlists"])
async def barred(
    principal: NamedDependency[Principal], registries: NamedDependency[Registries], site: FromQuery[UUID | None] = None
) -> dict[str, Any]:
    """Who is barred: entered at the caller's schools, or at one of them."""
    return {"barred_entries": await _rows(principal, registries, "barred_entries", site)}


@post("/api/v1/barred-entries", status_code=201, tags=["watchlists"])
async def bar(
    data: JSONBody[PersonInput], principal: NamedDependency[Principal], registries: NamedDependency[Registries]
) -> dict[str, Any]:
    """Bar a person from every school of the district, at once."""
    row = await registries.keep(principal, "barred_entries", data.site_id, data.entry("barred"), data.reason, data.valid_until)
    return {"barred_entry": _shown(row)}


@post("/api/v1/barred-entries/{entry_id:uuid}/lift", status_code=200, tags=["watchlists"])
async def lift_barred(
    entry_id: FromPath[UUID], data: JSONBody[LiftInput], principal: NamedDependency[Principal], registries: NamedDependency[Registries]
) -> dict[str, Any]:
    """Lift a barring, at once."""
    await registries.end(principal, "barred_entries", entry_id, data.reason)
    return {"barred_entry": {"id": entry_id, "lifted": True}}


@get("/api/v1/custody-orders", tags=["watchlists"])
async def orders(
    principal: NamedDependency[Principal], registries: NamedDependency[Registries], site: FromQuery[UUID | None] = None
) -> dict[str, Any]:
    """Custody orders in force."""
    return {"custody_orders": await _rows(principal, registries, "custody_orders", site)}


@post("/api/v1/custody-orders", status_code=201, tags=["watchlists"])
async def add_order(
    data: JSONBody[PersonInput], principal: NamedDependency[Principal], registries: NamedDependency[Registries]
) -> dict[str, Any]:
    """Keep the adult whom a custody order restricts; `reason` says what the desk must know."""
    row = await registries.keep(principal, "custody_orders", data.site_id, data.entry("custody"), data.reason, data.valid_until)
    return {"custody_order": _shown(row)}


@post("/api/v1/custody-orders/{entry_id:uuid}/lift", status_code=200, tags=["watchlists"])
async def lift_order(
    entry_id: FromPath[UUID], data: JSONBody[LiftInput], principal: NamedDependency[Principal], registries: NamedDependency[Registries]
) -> dict[str, Any]:
    """End a custody order, at once."""
    await registries.end(principal, "custody_orders", entry_id, data.reason)
    return {"custody_order": {"id": entry_id, "lifted": True}}


async def _rows(principal: Principal, registries: Registries, table: Table, site: UUID | None) -> list[dict[str, Any]]:
    if site is not None:
        principal.require(site, "desk", "admin")
    rows = await registries.shared_rows(table)
    return [_shown(r) for r in rows if principal.may(r.site_id, "desk", "admin") and site in (None, r.site_id)]


def _keep(source: Any, target: Path) -> Path:
    """Copy an upload to a private file, chunk by chunk; its size was bounded when it came in."""
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as out:
        source.seek(0)
        while chunk := source.read(1 << 20):
            out.write(chunk)
    return target


def _file_name(name: str) -> str:
    """What an error calls the file: the last part of the name it came under, without anything odd."""
    return re.sub(r"[^\w.() -]", "_", re.split(r"[\\/]", name)[-1])[-80:] or "the file"


HANDLERS: list[Any] = [
    watchlists, set_list, retire_list, import_list, preview_import, barred, bar, lift_barred, orders, add_order, lift_order,
]
"""For `app.create_litestar`."""

"""The demo district: two schools, their doors and staff, a police agency, lists. All invented; nobody here is real."""

from __future__ import annotations

import secrets
from typing import Any
from uuid import UUID

import msgspec

from visitor import db
from visitor.accounts.models import AccountRole, Agency, Officer, Staff, TokenRole
from visitor.app import Node
from visitor.ids import new_id
from visitor.policies.models import Purpose
from visitor.sites.models import Door, PrinterRow, Site, Station, Zone

PURPOSES: tuple[Purpose, ...] = (
    Purpose("meeting", "Meeting", "Reunión", 120, ("Office", "Main building"), host_required=True),
    Purpose("pickup", "Student pick-up", "Recoger a un estudiante", 30, ("Office",)),
    Purpose("volunteer", "Volunteer", "Voluntariado", 240, ("Office", "Main building", "Library"), "unless-known", host_required=True),
    Purpose("delivery", "Delivery", "Entrega", 30, ("Office",), document_required=False, auto_approve=False),
    Purpose("contractor", "Contractor", "Contratista", 480, ("Office", "Main building", "Plant room"), "always"),
)
_WORDS = (
    "amber apple birch bright candle cedar clear cloud copper coral delta ember fern field forest garden grain harbor hazel "
    "honey island ivory jasper juniper lake lantern leaf lemon linen maple marble meadow mint morning nutmeg oak ocean olive "
    "orchard pearl pebble pine plum prairie quartz quiet rain ridge river sage sand silver spring stone summer sunny thistle "
    "timber valley velvet violet walnut willow winter"
).split()

# Zone → where its name stands on the plan.
_ZONES = {"Office": (190, 350), "Main building": (660, 390), "Library": (440, 130), "Gym": (200, 130), "Plant room": (690, 130)}
# Door → (zone it leads to, where it stands on the plan).
_DOORS = {
    "Front office": ("Office", (230, 460)), "Main hall": ("Main building", (380, 340)), "East entrance": ("Main building", (820, 380)),
    "Library": ("Library", (440, 220)), "Gym": ("Gym", (200, 220)), "Plant room": ("Plant room", (690, 220)),
}
_PLAN = {
    "width": 900, "height": 520, "walls": ["M80 60h740v400H80z", "M80 220h740M380 60v400M560 60v160"],
    "notes": ["Gas shut-off: north wall, behind the gym", "Keys: box at the front office door", "Water: plant room"],
}
_SCHOOLS: tuple[dict[str, Any], ...] = (
    {
        "name": "Maple Grove Elementary", "address": "410 Orchard Road, Springvale",
        "staff": (
            ("Rosa Delgado", "Front office", "Office"), ("Ngozi Okafor", "Grade 3 teacher", "Room 12"),
            ("Jon Hart", "Facilities", "Plant room"),
            ("Erik Lindqvist", "Librarian", "Library"), ("Mei Tan", "Counselor", "Room 4"), ("Samuel Brooks", "Principal", "Office"),
            ("Layla Haddad", "Grade 1 teacher", "Room 2"), ("Tomasz Zielinski", "Physical education", "Gym"),
        ),
    },
    {
        "name": "Cedar Hill Middle School", "address": "77 Quarry Street, Springvale",
        "staff": (
            ("Denise Walker", "Front office", "Office"), ("Carlos Ibarra", "Science teacher", "Room 21"),
            ("Anh Pham", "Math teacher", "Room 23"),
            ("Grace Mwangi", "Principal", "Office"), ("Peter Novak", "Facilities", "Plant room"), ("Yuki Sato", "Librarian", "Library"),
        ),
    },
)


class SignIn(msgspec.Struct, frozen=True):
    """A demo account: printed on the screen and kept in the demo's private file."""

    login: str
    password: str
    name: str
    face: str


class Made(msgspec.Struct, frozen=True):
    """What the demo's private file holds besides what the database knows."""

    sign_ins: tuple[SignIn, ...]
    tokens: dict[str, str]
    station_tokens: dict[str, str]  # station id → device token


def passphrase() -> str:
    """Four common words: about 24 bits of luck on a loopback address, easy to type from a screen."""
    return "-".join(secrets.choice(_WORDS) for _ in range(4))


async def make(node: Node, printers: list[str]) -> Made:
    """Build the whole configuration in one transaction, two printers a school; lists and past visits follow."""
    async with node.db.transaction() as tx:
        sites = [await _school(node, tx, number, plan, printers[2 * number :]) for number, plan in enumerate(_SCHOOLS)]
        sign_ins = await _people(node, tx, sites)
        await node.policies.set(tx, PURPOSES, "system")
    return Made(sign_ins, *(await tokens(node)))


async def tokens(node: Node) -> tuple[dict[str, str], dict[str, str]]:
    """Fresh tokens for machines and stations; earlier ones of the demo end."""
    roles: tuple[TokenRole, ...] = ("desk", "hall", "admin", "respond", "doors")
    async with node.db.transaction() as tx:
        await node.accounts.revoke_tokens(tx, "demo")
        machine: dict[str, str] = {role: await node.accounts.machine_token(tx, "demo", role) for role in roles}
        # From the database, not from memory: right after they were made the node may not have read them yet.
        ids = [row["id"] for row in await tx.conn.fetch("select id from stations where retired_at is null")]
        stations = {str(station): await node.accounts.station_token(tx, station, "system") for station in ids}
    return machine, stations


async def _school(node: Node, tx: db.Tx, number: int, plan: dict[str, Any], addresses: list[str]) -> tuple[Site, list[Staff]]:
    site = Site(new_id(), "school", plan["name"], plan["address"], "America/Chicago", {"plan": _PLAN})
    await node.sites.add(tx, site)
    zones = {name: Zone(new_id(), site.id, name, {"x": x, "y": y}) for name, (x, y) in _ZONES.items()}
    for zone in zones.values():
        await node.sites.add(tx, zone)
    printers = []
    for name, address in zip(("Front desk printer", "Library printer"), addresses, strict=False):
        printer = PrinterRow(new_id(), site.id, name, address, "escpos-80", "80mm")
        await node.sites.add(tx, printer)
        printers.append(printer)
    for kind, name in (("kiosk", "Front kiosk"), ("desk", "Front desk"), ("exit", "Exit by the gym")):
        printer_id = None if kind == "exit" else printers[0].id
        second = None if kind == "exit" else printers[1].id
        await node.sites.add(tx, Station(new_id(), site.id, kind, name, printer_id, second))  # type: ignore[arg-type]
    for name, (zone_name, (x, y)) in _DOORS.items():
        door_id = new_id()
        # One door of the first school has a real OSDP peripheral behind its reader, on the bench.
        reader = "osdp+virtual://bench" if number == 0 and name == "Main hall" else ""
        await node.sites.add(tx, Door(door_id, site.id, zones[zone_name].id, name, reader, None, None, 5.0, {"x": x, "y": y}))
    staff = []
    for name, title, place in plan["staff"]:
        member = Staff(new_id(), site.id, None, name, title, place, may_host=True, may_escort=title != "Front office")
        staff.append(member)
    return site, staff


async def _people(node: Node, tx: db.Tx, sites: list[tuple[Site, list[Staff]]]) -> tuple[SignIn, ...]:
    made: list[SignIn] = []

    async def account(login: str, name: str, face: str, grants: list[tuple[AccountRole, UUID | None]]) -> UUID:
        sign_in = SignIn(login, passphrase(), name, face)
        made.append(sign_in)
        return await node.accounts.add_account(tx, login, name, sign_in.password, grants)

    by_staff: dict[UUID, UUID] = {}
    (maple, maple_staff), (cedar, cedar_staff) = sites
    by_staff[maple_staff[0].id] = await account("desk", maple_staff[0].name, "/desk", [("desk", maple.id)])
    by_staff[cedar_staff[0].id] = await account("desk2", cedar_staff[0].name, "/desk", [("desk", cedar.id)])
    by_staff[maple_staff[2].id] = await account("hall", maple_staff[2].name, "/hall", [("hall", maple.id)])
    by_staff[cedar_staff[4].id] = await account("hall2", cedar_staff[4].name, "/hall", [("hall", cedar.id)])
    await account("admin", "Dana Whitfield", "/admin", [("admin", None)])
    police = Agency(new_id(), "Springvale Police Department")
    await node.accounts.add(tx, police)
    respond = await account("officer", "Officer Alicia Ramos", "/respond", [("respond", None)])
    officers = [
        Officer(new_id(), police.id, respond, "Alicia Ramos", "SPD 114", police.name),
        Officer(new_id(), police.id, None, "Marcus Boyd", "SPD 127", police.name),
        Officer(new_id(), police.id, None, "Hannah Weiss", "SPD 203", police.name),
    ]
    for officer in officers:
        await node.accounts.add(tx, officer)
    for _site, members in sites:
        for member in members:
            await node.accounts.add(tx, msgspec.structs.replace(member, account_id=by_staff.get(member.id)))
    await node.credentials.add_standing(
        tx, site_id=maple.id, card_format="H10301", bits=OFFICER_CARD, actor="system", officer_id=officers[1].id
    )
    await node.credentials.add_standing(
        tx, site_id=maple.id, card_format="H10301", bits=ESCORT_CARD, actor="system", staff_id=maple_staff[2].id
    )
    return tuple(made)


async def new_passwords(node: Node) -> tuple[SignIn, ...]:
    """Fresh passwords for the demo's accounts, when the file that held the first ones is gone."""
    made = []
    faces = {"desk": "/desk", "desk2": "/desk", "hall": "/hall", "hall2": "/hall", "admin": "/admin", "officer": "/respond"}
    async with node.db.transaction() as tx:
        for login, face in faces.items():
            account = await node.accounts.account(login, tx.conn)
            if account is not None:
                made.append(SignIn(login, passphrase(), account.name, face))
                await node.accounts.set_password(tx, account.id, made[-1].password)
    return tuple(made)


def wiegand26(facility: int, number: int) -> str:
    """H10301: even parity over the first 12 bits, odd over the last 12."""
    body = f"{facility:08b}{number:016b}"
    even = body[:12].count("1") % 2
    odd = 1 - body[12:].count("1") % 2
    return f"{even}{body}{odd}"


OFFICER_CARD = wiegand26(47, 20127)
ESCORT_CARD = wiegand26(12, 4711)

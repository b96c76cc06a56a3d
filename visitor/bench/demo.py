"""`visitor run --demo`: the node with its virtual hardware, its made-up district, and what a newcomer must know."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from visitor.app import Node, running_node
from visitor.bench import district, history, lists
from visitor.bench.bench import Bench
from visitor.keys import KeyRing
from visitor.settings import Settings

if TYPE_CHECKING:
    from visitor.run import Progress

FILE = "demo.json"


class DemoFile(msgspec.Struct):
    """The demo's private file (0600), also what `visitor demo info --json` prints."""

    url: str
    sites: list[dict[str, Any]]
    stations: list[dict[str, Any]]
    tokens: dict[str, str]
    doors: list[dict[str, Any]]
    hosts: list[dict[str, Any]]
    officers: list[dict[str, Any]]
    sign_ins: list[district.SignIn]
    data: str


@asynccontextmanager
async def node(settings: Settings, app_url: str, keys: KeyRing, progress: Progress) -> AsyncIterator[tuple[Node, str]]:
    """The running demo and the text to print. The first start makes the district; later ones keep it."""
    async with contextlib.AsyncExitStack() as stack:
        progress.step("Switching on the virtual hardware")
        bench = await stack.enter_async_context(Bench.switched_on())
        await bench.plug(app_url)
        progress.step("Starting the node")
        made_node = await stack.enter_async_context(running_node(settings, app_url, keys, bench=bench))
        file = settings.data / FILE
        made = await _district(made_node, file, progress, bench.addresses)
        await bench.attach(made_node)
        info = await _info(made_node, settings, made)
        _write_private(file, msgspec.json.encode(info))
        yield made_node, banner_of(file.read_bytes())


async def _district(made_node: Node, file: Path, progress: Progress, printers: list[str]) -> district.Made:
    if not made_node.sites.schools():
        progress.step("Making up a district: two schools, staff, doors, police")
        made = await district.make(made_node, printers)
        await made_node.sites.load()
        # From here on a cut-short start goes on where it stopped: what is missing is made below.
        _write_private(file, msgspec.json.encode({"sign_ins": made.sign_ins, "tokens": made.tokens, "stations": [
            {"id": station, "token": token} for station, token in made.station_tokens.items()
        ]}))  # fmt: skip
    else:
        made = await _kept(made_node, file)
    in_force = {entry.name for entry in made_node.registries.lists() if entry.revision}
    if "offenders" not in in_force:
        progress.step(f"Importing a fictitious registry of {lists.REGISTRY_SIZE:,} entries")
        with tempfile.TemporaryDirectory() as folder:
            written = lists.write_registry(Path(folder) / "offenders.jsonl")
            await made_node.registries.import_list("system", "offenders", "entries-jsonl", written)
    await lists.shared_rows(made_node)
    async with made_node.db.connection() as conn:
        visits = await conn.fetchval("select count(*) from visits")
    if not visits:
        progress.step("Writing a month of past visits")
        await history.make(made_node)
    return made


async def _kept(made_node: Node, file: Path) -> district.Made:
    """Passwords and tokens of the first start; lost ones are made anew (the database has only their hashes)."""
    if (kept := _read(file)) is not None:
        return kept
    sign_ins = await district.new_passwords(made_node)
    return district.Made(sign_ins, *(await district.tokens(made_node)))


def _read(file: Path) -> district.Made | None:
    with contextlib.suppress(OSError, msgspec.DecodeError, msgspec.ValidationError, KeyError):
        kept = msgspec.json.decode(file.read_bytes())
        sign_ins = msgspec.convert(kept["sign_ins"], tuple[district.SignIn, ...])
        return district.Made(sign_ins, kept["tokens"], {s["id"]: s["token"] for s in kept["stations"]})
    return None


async def _info(made_node: Node, settings: Settings, made: district.Made) -> DemoFile:
    sites, zones = made_node.sites, {z.id: z.name for s in made_node.sites.schools() for z in made_node.sites.zones(s.id)}
    return DemoFile(
        url=settings.url,
        sites=[{"id": s.id, "name": s.name} for s in sites.schools()],
        stations=[
            {"id": s.id, "site_id": s.site_id, "token": made.station_tokens[str(s.id)], "kind": s.kind, "name": s.name}
            for s in sites.stations()
        ],
        tokens=made.tokens,
        doors=[{"id": d.id, "site_id": d.site_id, "name": d.name, "zone": zones[d.zone_id]} for d in sites.doors()],
        hosts=[{"id": s.id, "site_id": s.site_id, "name": s.name} for s in await made_node.accounts.staff() if s.may_host],
        officers=[{"id": o.id, "name": o.name} for o in await made_node.accounts.officers()],
        sign_ins=list(made.sign_ins),
        data=str(settings.data),
    )


def banner_of(text: bytes) -> str:
    """The addresses, the sign-ins and where the data lies, for a person who sees this for the first time."""
    info = msgspec.json.decode(text, type=DemoFile)
    faces = {
        "bench": "start here: sample licenses, cards, a printer, a door", "kiosk": "where visitors check in", "desk": "the front office",
        "hall": "staff phones in the hallway", "respond": "police in an incident", "admin": "the district's administrator",
    }
    lines = ["", "Visitor is running: a demo district, all of it invented.", ""]
    lines += [f"  {face:<8} {info.url}/{face:<8} {faces[face]}" for face in faces]
    width = max(len(s.login) for s in info.sign_ins)
    lines += ["", "Sign in as"]
    lines += [f"  {s.login:<{width}}  {s.password:<30} {s.name}, {s.face}" for s in info.sign_ins]
    lines += ["", f"Data: {info.data}  (this text again: visitor demo info)", "Stop with Ctrl-C."]
    return "\n".join(lines)


def _write_private(file: Path, data: bytes) -> None:
    fresh = file.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(data)
    fresh.replace(file)


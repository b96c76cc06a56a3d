"""The whole service killed at bad moments: what was acknowledged is there afterwards, once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from printers.testing import VirtualPrinter
from tests.clock import NOON
from tests.processes import Service
from tests.waiting import until
from visitor.accounts.models import Staff
from visitor.app import running_node
from visitor.ids import new_id
from visitor.keys import KeyRing
from visitor.policies.models import Purpose
from visitor.postgres import EmbeddedPostgres
from visitor.settings import Settings
from visitor.sites.models import PrinterRow, Site, Station, Zone
from watchlists import Entry, Name

pytestmark = pytest.mark.slow
# A loaded test machine is no reason to hold a visitor.
PATIENT = {"VISITOR_SCREENING__TIMEOUT_SECONDS": "60"}


@contextlib.asynccontextmanager
async def _beside(service: Service) -> AsyncIterator[Any]:
    """A node without hardware on the running service's own database, to set things up and to look."""
    url = EmbeddedPostgres(service.data).app_url()
    settings = Settings(data=service.data.with_name("beside"), database_url=url)
    async with running_node(settings, url, KeyRing.load(service.data / "keys.json"), hardware=False) as node:
        yield node


async def _set_up(service: Service, printer: VirtualPrinter, folder: Path) -> dict[str, Any]:
    site = Site(new_id(), "school", "Oak", "", NOON, {})
    row = PrinterRow(new_id(), site.id, "Front", f"tcp://127.0.0.1:{printer.port}", "escpos-80", "80mm")
    station = Station(new_id(), site.id, "kiosk", "Front", row.id, None)
    host = Staff(new_id(), site.id, None, "Ngozi Okafor", "Teacher", "Room 12", may_host=True, may_escort=True)
    file = folder / "offenders.jsonl"
    file.write_bytes(msgspec.json.encode(Entry("F-1", (Name("QUILLFEATHER", "OSWIN"),), ("1990-01-31",))) + b"\n")
    async with _beside(service) as node:
        async with node.db.transaction() as tx:
            for one in (site, Zone(new_id(), site.id, "Office", {}), row, station):
                await node.sites.add(tx, one)
            await node.accounts.add(tx, host)
            await node.policies.set(tx, (Purpose("meeting", "Meeting", "Reunión", 120, ("Office",)),), "system")
            token = await node.accounts.machine_token(tx, "test", "desk")
        await node.registries.import_list("system", "offenders", "entries-jsonl", file)

    await _in_force(service)  # the service makes its own index of what was imported beside it
    return {"station": str(station.id), "host": str(host.id), "token": token}


async def _in_force(service: Service) -> None:
    """Until the service can screen."""

    def asked() -> bool:
        return "watchlists" not in httpx.get(f"{service.url}/health", timeout=60).json()["degraded"]

    await until(lambda: asyncio.to_thread(asked), 180)


def _check_in(service: Service, made: dict[str, Any], number: str) -> httpx.Response:
    body = {
        "station_id": made["station"], "purpose": "meeting", "host_id": made["host"],
        "document": {"family_name": "Sample", "given_name": f"Jordan {number}", "birth_date": "1985-04-12", "number": number, "issuer": "TX"},
    }
    headers = {"authorization": f"Bearer {made['token']}", "idempotency-key": f"key {number}"}
    return httpx.post(f"{service.url}/api/v1/check-ins", json=body, headers=headers, timeout=180)


async def _jobs(service: Service) -> list[str]:
    async with _beside(service) as node, node.db.connection() as conn:
        return [row["state"] for row in await conn.fetch("select state from print_jobs")]


async def test_killed_between_check_in_and_the_first_byte_prints_once(data_folder: Path, tmp_path: Path) -> None:
    service = Service(data_folder, environment=PATIENT)
    async with VirtualPrinter() as printer:
        try:
            await asyncio.to_thread(service.start)
            made = await _set_up(service, printer, tmp_path)
            # The printer answers that it cannot print, so nothing has been sent when the process dies.
            printer.cover_open = True
            answer = await asyncio.to_thread(_check_in, service, made, "K1")
            assert answer.status_code == 201 and answer.json()["visit"]["status"] == "on_site", answer.text
            service.kill()
            assert service.postgres_pid() is not None
            printer.cover_open = False
            await asyncio.to_thread(service.start)
            await until(lambda: printer.count >= 1, 180)
            replayed = await asyncio.to_thread(_check_in, service, made, "K1")
            assert replayed.json()["visit"]["id"] == answer.json()["visit"]["id"]

            async def noted() -> bool:
                return await _jobs(service) == ["printed"]

            await until(noted, 180)
            await _in_force(service)
            # The line keeps its order: what was to come out of it again would have come before this one.
            later = await asyncio.to_thread(_check_in, service, made, "K2")
            assert later.status_code == 201 and later.json()["visit"]["status"] == "on_site", later.text
            await until(lambda: printer.count >= 2, 180)
            assert printer.count == 2
            async with _beside(service) as node, node.db.connection() as conn:
                assert await conn.fetchval("select count(*) from visits") == 2
        finally:
            await asyncio.to_thread(service.close)


async def test_killed_at_any_moment_every_badge_is_printed_once_or_doubted(data_folder: Path, tmp_path: Path) -> None:
    service = Service(data_folder, environment=PATIENT)
    async with VirtualPrinter() as printer:
        try:
            await asyncio.to_thread(service.start)
            made = await _set_up(service, printer, tmp_path)
            for number, delay in enumerate((0.0, 0.03, 0.3)):
                answer = await asyncio.to_thread(_check_in, service, made, f"R{number}")
                assert answer.status_code == 201, answer.text
                await asyncio.sleep(delay)
                service.kill()
                await asyncio.to_thread(service.start)
                await _in_force(service)

            async def settled() -> bool:
                states = await _jobs(service)
                return len(states) == 3 and all(s in ("printed", "doubtful") for s in states)

            await until(settled, 180)
            states = await _jobs(service)
            async with _beside(service) as node, node.db.connection() as conn:
                assert await conn.fetchval("select count(*) from visits") == 3
            # A doubted badge may have come out or not; no other came out twice or never.
            assert states.count("printed") <= printer.count <= 3, states
        finally:
            await asyncio.to_thread(service.close)


async def test_an_interrupt_stops_everything_and_a_second_start_keeps_the_data(data_folder: Path, tmp_path: Path) -> None:
    service = Service(data_folder)
    try:
        await asyncio.to_thread(service.start)
        link = service.wait_for_output(r"/set-up/").strip()
        assert httpx.get(link, timeout=60).status_code == 200
        postgres = service.postgres_pid()
        assert postgres is not None
        assert await asyncio.to_thread(service.interrupt) == 0
        assert service.postgres_pid() is None
        made_before = (data_folder / "keys.json").read_bytes()
        await asyncio.to_thread(service.start)
        assert (data_folder / "keys.json").read_bytes() == made_before
        other = Service(data_folder)
        with pytest.raises(AssertionError, match="Another visitor process"):
            await asyncio.to_thread(other.start)
    finally:
        await asyncio.to_thread(service.close)


async def test_a_port_in_use_is_said_before_anything_is_started(data_folder: Path) -> None:
    import socket

    service = Service(data_folder)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", service.port))
        taken.listen()
        with pytest.raises(AssertionError, match="Choose another with --port"):
            await asyncio.to_thread(service.start)
    assert not (data_folder / "pg").exists()

"""A contractor checks in with a PIV card: a virtual card in a real pcscd's reader, watched by the node itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

import readers
from readers.testing import TestIssuer, isolated_pcscd
from visitor import hardware
from visitor.settings import Hardware

pytestmark = [pytest.mark.hardware, pytest.mark.xdist_group("pcscd")]
pytest.importorskip("smartcard", reason="pyscard could not be built here, so there are no card readers to test")


@pytest.fixture
async def card_reader(oak_school: Any, tmp_path: Path) -> AsyncIterator[Any]:
    """A reader at the kiosk, watched by the node by its configuration; yields its slot and the card's issuer."""
    issuer = TestIssuer("Utilities")
    anchor = tmp_path / "root.pem"
    anchor.write_bytes(issuer.root.public_bytes(Encoding.PEM))
    try:
        context = isolated_pcscd()
        station = context.__enter__()
    except readers.ReaderUnavailableError as e:
        pytest.skip(f"no pcscd to be had here: {e.message}")
    try:
        found = hardware.reader_config(Hardware(cards={"": oak_school.kiosk}, piv_anchors=(anchor,)))
        assert found is not None
        await oak_school.node.readers.follow(*found)
        yield station.slots[0], issuer
        await oak_school.node.readers.stop()
    finally:
        context.__exit__(None, None, None)


async def test_a_piv_card_checks_a_contractor_in(oak_school: Any, card_reader: Any) -> None:
    slot, issuer = card_reader
    node = oak_school.node
    async with node.bus.subscribe() as queue:
        await asyncio.to_thread(slot.insert, issuer.piv("Marek Kowalski", credential="004711"))
        async with asyncio.timeout(120):
            while (event := await queue.get()).topic != "readings":
                pass
    await asyncio.to_thread(slot.remove)
    kind = await oak_school.station.get(f"/api/v1/stations/{oak_school.kiosk}/readings/{event.subject}")
    assert kind.json()["reading"]["kind"] == "document"
    body = {
        "station_id": str(oak_school.kiosk), "purpose": "contractor", "host_id": str(oak_school.host),
        "scan": {"source": "card", "reading_id": str(event.subject)},
    }
    answer = await oak_school.desk.post("/api/v1/check-ins", json=body)
    assert answer.status_code == 201, answer.text
    visit = answer.json()["visit"]
    assert visit["status"] == "awaiting_escort" and visit["document"]["kind"] == "piv" and visit["document"]["verification"] == "chip"
    assert visit["visitor"]["family_name"].upper() == "KOWALSKI"
    accepted = await oak_school.hall.post(f"/api/v1/visits/{visit['id']}/escort/accept", json={"staff_id": str(oak_school.host)})
    assert accepted.json()["visit"]["status"] == "on_site"


async def test_a_card_of_an_unknown_issuer_is_told_and_checks_nobody_in(oak_school: Any, card_reader: Any) -> None:
    slot, _ = card_reader
    async with oak_school.node.bus.subscribe() as queue:
        await asyncio.to_thread(slot.insert, TestIssuer("Somebody else").piv("Eve Mallory"))
        async with asyncio.timeout(120):
            while (event := await queue.get()).topic != "readings":
                pass
    await asyncio.to_thread(slot.remove)
    told = (await oak_school.station.get(f"/api/v1/stations/{oak_school.kiosk}/readings/{event.subject}")).json()["reading"]
    assert told["kind"] == "problem" and told["problem"]
    body = {**oak_school.check_in_body(), "scan": {"source": "card", "reading_id": str(event.subject)}}
    del body["document"]
    refused = await oak_school.desk.post("/api/v1/check-ins", json=body)
    assert refused.status_code == 400 and refused.json()["type"] == "unreadable-scan"

"""Card readers over a real pcscd: presenting, pulling, hot-plug, a restarted service, and OpenSC as the second opinion."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

import readers
from readers import CardPresented, CardReaders, CardRemoved, ReaderBack, ReaderEvent, ReadersConfig, ReaderStream, Unreadable
from readers.cards import piv_data
from readers.pcsc import card_present
from readers.testing import PcscStation, TestIssuer, VirtualPiv, VirtualPkoc, VirtualUid

pytestmark = pytest.mark.hardware

SECONDS = 120.0


async def next_of(stream: ReaderStream, *kinds: type) -> ReaderEvent:
    """The next event of one of ``kinds``; others are skipped."""
    async with asyncio.timeout(SECONDS):
        async for event in stream:
            if isinstance(event, kinds):
                return event
    raise AssertionError("the stream ended")


@pytest.fixture
def issuer() -> TestIssuer:
    return TestIssuer()


@pytest.fixture
async def stream(pcsc: PcscStation, issuer: TestIssuer) -> AsyncIterator[ReaderStream]:
    await asyncio.to_thread(wait_until_empty)
    async with readers.open_readers(ReadersConfig(cards=CardReaders(trust=issuer.trust(), timeout_s=SECONDS))) as opened:
        yield opened
        for slot in pcsc.slots:
            slot.remove()


async def test_each_kind_of_card_is_read_and_its_removal_seen(pcsc: PcscStation, issuer: TestIssuer, stream: ReaderStream) -> None:
    pkoc = VirtualPkoc()
    for card, kind, authenticated in (
        (issuer.piv("Jordan Lee"), "piv", True),
        (pkoc, "pkoc", True),
        (VirtualUid(bytes.fromhex("04A1B2C3")), "uid", False),
    ):
        pcsc.slots[0].insert(card)
        event = await next_of(stream, CardPresented, Unreadable)
        assert isinstance(event, CardPresented), event
        assert (event.card.format, event.card.authenticated) == (kind, authenticated)
        if kind == "piv":
            assert event.document is not None
            assert event.document.full_name == "Jordan Lee"
        if kind == "pkoc":
            assert event.card.identifier == pkoc.public_key.hex().upper()
        if kind == "uid":
            assert event.card.identifier == "04A1B2C3"
        pcsc.slots[0].remove()
        removed = await next_of(stream, CardRemoved)
        assert removed.reader == event.reader


async def test_two_readers_at_once(pcsc: PcscStation, issuer: TestIssuer, stream: ReaderStream) -> None:
    pcsc.slots[0].insert(issuer.piv("Robin Hall"))
    pcsc.slots[1].insert(VirtualPkoc())
    first, second = await next_of(stream, CardPresented), await next_of(stream, CardPresented)
    assert isinstance(first, CardPresented)
    assert isinstance(second, CardPresented)
    assert first.reader != second.reader
    assert {first.card.format, second.card.format} == {"piv", "pkoc"}


async def test_a_card_pulled_in_the_middle_is_unreadable_and_the_next_one_works(
    pcsc: PcscStation, issuer: TestIssuer, stream: ReaderStream
) -> None:
    for after in (0, 1, 3):
        pcsc.slots[0].insert(issuer.piv("Robin Hall", pull_after=after))
        event = await next_of(stream, CardPresented, Unreadable)
        assert isinstance(event, Unreadable)
        assert event.code in ("card_removed", "mute_card", "reader_lost")
        pcsc.slots[0].remove()
        await next_of(stream, CardRemoved)
    pcsc.slots[0].insert(issuer.piv("Robin Hall"))
    assert isinstance(await next_of(stream, CardPresented, Unreadable), CardPresented)


async def test_a_card_of_an_unknown_issuer_is_refused_with_a_reason(pcsc: PcscStation, stream: ReaderStream) -> None:
    pcsc.slots[0].insert(TestIssuer().piv("Robin Hall"))
    event = await next_of(stream, CardPresented, Unreadable)
    assert isinstance(event, Unreadable)
    assert event.code in ("untrusted", "signature_invalid")


class MuteCard(VirtualUid):
    """A card that takes a command and never answers it."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def respond(self, apdu: bytes) -> bytes:
        self.released.wait(SECONDS)
        return b"\x6f\x00"


async def test_a_card_that_never_answers_is_given_up_and_the_next_one_works(pcsc: PcscStation) -> None:
    await asyncio.to_thread(wait_until_empty)
    async with readers.open_readers(ReadersConfig(cards=CardReaders(timeout_s=4.0))) as stream:
        mute = MuteCard()
        pcsc.slots[0].insert(mute)
        event = await next_of(stream, CardPresented, Unreadable)
        assert isinstance(event, Unreadable)
        assert event.code == "mute_card"
        mute.released.set()
        pcsc.slots[0].remove()
        await next_of(stream, CardRemoved)
        pcsc.slots[0].insert(VirtualUid())
        assert isinstance(await next_of(stream, CardPresented, Unreadable), CardPresented)
        pcsc.slots[0].remove()


async def test_a_restarted_service_is_noticed_and_its_readers_come_back() -> None:
    """pcscd stops and another one starts at the same address: lost, back, and cards are read again."""
    from readers.testing import vpcd

    try:
        with vpcd.isolated_pcscd() as station:
            async with readers.open_readers(ReadersConfig(cards=CardReaders(timeout_s=SECONDS))) as stream:
                names = {(await next_of(stream, ReaderBack)).reader for _ in range(2)}  # a virtual reader has two slots
                await asyncio.to_thread(station.stop)
                assert {(await next_of(stream, readers.ReaderLost)).reader for _ in range(3)} == names | {"pcscd"}
                await asyncio.to_thread(station.start)
                assert {(await next_of(stream, ReaderBack)).reader for _ in range(3)} == names | {"pcscd"}
                station.slots[0].insert(VirtualUid())
                assert isinstance(await next_of(stream, CardPresented), CardPresented)
    except readers.ReaderUnavailableError as error:
        pytest.skip(error.message)


def test_the_reader_is_listed_by_name(pcsc: PcscStation) -> None:
    assert any("Virtual 0" in name for name in readers.list_card_readers())


@pytest.mark.skipif(shutil.which("opensc-tool") is None, reason="OpenSC is not installed: apt-get install opensc")
def test_opensc_accepts_the_virtual_card(pcsc: PcscStation, issuer: TestIssuer, tmp_path: Path) -> None:
    """An independent client finds the application, reads the same certificate, and has the card sign."""
    card = issuer.piv("Jordan Lee")
    pcsc.slots[0].insert(card)
    index = next(str(i) for i, name in enumerate(readers.list_card_readers()) if "Virtual 0" in name and name.endswith("00 00"))
    _wait_for_card(readers.list_card_readers()[int(index)])

    def run(*command: str) -> bytes:
        return subprocess.run(command, env=pcsc.environment, check=True, capture_output=True, timeout=SECONDS).stdout

    assert b"Personal Identity Verification Card" in run("opensc-tool", "-r", index, "--name")
    got = x509.load_pem_x509_certificate(run("pkcs15-tool", "--reader", index, "--read-certificate", "04"))
    assert got == piv_data.certificate(card.objects[piv_data.CARD_AUTH])
    _sign(run, card, index, tmp_path)
    pcsc.slots[0].remove()


def _sign(run: object, card: VirtualPiv, index: str, folder: Path) -> None:
    message, signature = folder / "message", folder / "signature"
    message.write_bytes(b"a message for the card to sign")
    assert callable(run)
    run(
        "pkcs11-tool", "--login", "--pin", "123456", "--sign", "--id", "01", "--mechanism", "ECDSA-SHA256",
        "--signature-format", "openssl", "--input-file", str(message), "--output-file", str(signature),
    )  # fmt: skip
    key = piv_data.certificate(card.objects[piv_data.PIV_AUTH]).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signature.read_bytes(), message.read_bytes(), ec.ECDSA(hashes.SHA256()))


def _wait_for_card(reader: str) -> None:
    _wait(lambda: card_present(reader))


def wait_until_empty() -> None:
    """Until pcscd has noticed that the last test's cards are gone."""
    _wait(lambda: not any(card_present(name) for name in readers.list_card_readers()))


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "pcscd did not notice"
        time.sleep(0.05)

"""Door readers over OSDP: both ends are libosdp, so what passes between them is also read by a third, written here."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from readers import (
    CardPresented,
    ConfigError,
    DescriptorLine,
    DoorBus,
    DoorEvent,
    DoorReader,
    KeysPressed,
    ReaderBack,
    ReaderLost,
    ReaderLostError,
    SerialLine,
    Tampered,
    encode_wiegand,
)
from readers.testing import VirtualDoorReader
from tests.waiting import until

SECONDS = 120.0
KEY = bytes(range(0x30, 0x40))


async def next_of(bus: DoorBus, *kinds: type) -> DoorEvent:
    async with asyncio.timeout(SECONDS):
        while True:
            event = await bus.next_event()
            if isinstance(event, kinds):
                return event


async def surely(command: Callable[[], Awaitable[None]]) -> None:
    """Give a command until it is taken, five times at most.

    A bus tries again for three seconds. Where this machine gives the virtual reader's thread no time for so long, the command
    fails, rightly, and the reader is back a moment later.
    """
    for left in reversed(range(5)):
        try:
            return await command()
        except ReaderLostError:
            if not left:
                raise
            await asyncio.sleep(2)
    raise AssertionError


@pytest.fixture
def door() -> Iterator[VirtualDoorReader]:
    with VirtualDoorReader("Front", key=KEY) as reader:
        yield reader


async def test_cards_keys_and_tampering_come_in(door: VirtualDoorReader) -> None:
    async with DoorBus([door.configuration]) as bus:
        await next_of(bus, ReaderBack)
        for bits, kind, identifier in (
            (encode_wiegand("H10301", 4567, 123), "H10301", "123-4567"),
            (encode_wiegand("C1k35s", 119803, 3260), "C1k35s", "3260-119803"),
            ("1010101", "raw", "7:aa"),
        ):
            door.tap(bits)
            event = await next_of(bus, CardPresented)
            assert isinstance(event, CardPresented)
            assert (event.reader, event.card.format, event.card.identifier, event.card.bits) == ("Front", kind, identifier, bits)
            assert not event.card.authenticated
        door.press("42#")
        assert await next_of(bus, KeysPressed) == KeysPressed("Front", "42#")
        for opened in (True, False):
            door.tamper(opened)
            assert await next_of(bus, Tampered) == Tampered("Front", opened)


async def test_lamp_buzzer_relay_and_display_go_out(door: VirtualDoorReader, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0  # the reader's own clock, for what ends by itself
    monkeypatch.setattr("readers.testing.door.time", SimpleNamespace(monotonic=lambda: now))
    async with DoorBus([door.configuration]) as bus:
        await next_of(bus, ReaderBack)
        await surely(lambda: bus.led("Front", "red"))
        await surely(lambda: bus.led("Front", "green", seconds=2))
        assert door.led == "green"
        await surely(lambda: bus.relay("Front", seconds=3))
        assert door.unlocked
        beeps = 0

        async def beep() -> None:
            nonlocal beeps
            beeps = door.beeps
            await bus.buzzer("Front", times=3)

        await surely(beep)
        await surely(lambda: bus.text("Front", "Welcome"))
        heard = door.beeps - beeps
        assert heard > 0
        assert heard % 3 == 0  # a reader whose answer comes late is asked again, and beeps again
        assert door.text == "Welcome"
        now += 1.9
        assert door.led == "green"
        now += 0.2
        assert (door.led, door.unlocked) == ("red", True)  # each ends by itself, in the reader
        now += 1
        assert not door.unlocked
        await surely(lambda: bus.relay("Front", on=True, output=1))
        assert door.output(1)
        await surely(lambda: bus.relay("Front", on=False, output=1))
        assert not door.output(1)


async def test_a_reader_that_falls_silent_is_lost_and_back_as_soon_as_it_answers(door: VirtualDoorReader) -> None:
    async with DoorBus([door.configuration]) as bus:
        await next_of(bus, ReaderBack)
        door.power_off()
        lost = await next_of(bus, ReaderLost)
        assert isinstance(lost, ReaderLost)
        assert "Check" in lost.reason
        with pytest.raises(ReaderLostError):
            await bus.relay("Front", seconds=1)
        await asyncio.sleep(2.5)
        door.power_on()
        # libosdp by itself would ask again after five minutes.
        assert await next_of(bus, ReaderBack, ReaderLost) == ReaderBack("Front")
        await surely(lambda: bus.led("Front", "green"))
        assert door.led == "green"


async def test_a_reader_with_another_key_never_comes_online() -> None:
    with VirtualDoorReader("Front", key=KEY) as door:
        wrong = msgspec.structs.replace(door.configuration, key=bytes(16))
        async with DoorBus([wrong]) as bus:
            event = await next_of(bus, ReaderBack, ReaderLost)
            assert isinstance(event, ReaderLost)
            door.tap(encode_wiegand("H10301", 1, 1))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.5):
                    await bus.next_event()
            assert not bus.online("Front")


async def all_back(bus: DoorBus, names: set[str]) -> None:
    """Until each reader has answered; one that was too late for libosdp once, and is back again, is no other reader."""
    back: set[str] = set()
    while back < names:
        back.add((await next_of(bus, ReaderBack)).reader)
    assert back == names


async def test_eight_readers_keep_their_taps_apart() -> None:
    doors = [VirtualDoorReader(f"Door {number}", key=bytes([number]) * 16) for number in range(8)]
    try:
        for door in doors:
            door.power_on()
        async with DoorBus([door.configuration for door in doors]) as bus:
            await all_back(bus, {f"Door {number}" for number in range(8)})
            for number, door in enumerate(doors):
                door.tap(encode_wiegand("H10301", 100 + number, number))
            events = [await next_of(bus, CardPresented) for _ in doors]
            assert {(event.reader, event.card.identifier) for event in events if isinstance(event, CardPresented)} == {
                (f"Door {number}", f"{number}-{100 + number}") for number in range(8)
            }
    finally:
        for door in doors:
            door.close()


async def test_two_readers_on_one_line_are_told_apart_by_address() -> None:
    """Multi-drop RS-485: what the panel says reaches both, and each answers only to its own address."""
    panel, panel_end = socket.socketpair()
    ends = [socket.socketpair() for _ in range(2)]

    def carry(source: socket.socket, targets: list[socket.socket]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                for target in targets:
                    target.sendall(data)

    threading.Thread(target=carry, args=(panel_end, [theirs for _, theirs in ends]), daemon=True).start()
    for _, theirs in ends:
        threading.Thread(target=carry, args=(theirs, [panel_end]), daemon=True).start()
    doors = [
        VirtualDoorReader(f"Door {number}", key=bytes([number]) * 16, address=number, line=DescriptorLine(ours.fileno()))
        for number, (ours, _) in enumerate(ends, 1)
    ]
    shared = DescriptorLine(panel.fileno())
    try:
        for door in doors:
            door.power_on()
        async with DoorBus([msgspec.structs.replace(door.configuration, line=shared) for door in doors]) as bus:
            await all_back(bus, {"Door 1", "Door 2"})
            doors[1].tap(encode_wiegand("H10301", 22, 2))
            event = await next_of(bus, CardPresented)
            assert isinstance(event, CardPresented)
            assert (event.reader, event.card.identifier) == ("Door 2", "2-22")
            await surely(lambda: bus.relay("Door 1", seconds=600))
            assert [door.unlocked for door in doors] == [True, False]
    finally:
        for door in doors:
            door.close()
        for end in (panel, panel_end, *(side for pair in ends for side in pair)):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


async def test_closing_fails_what_is_still_waiting_and_can_be_done_twice(door: VirtualDoorReader) -> None:
    bus = DoorBus([door.configuration])
    await bus.start()
    await next_of(bus, ReaderBack)
    following = asyncio.create_task(follow(bus))
    await asyncio.sleep(0.05)
    await bus.close()
    await bus.close()
    assert await asyncio.wait_for(following, SECONDS) == []
    with pytest.raises(ReaderLostError):
        await bus.led("Front", "green")
    with pytest.raises(ReaderLostError):
        await bus.next_event()


async def follow(bus: DoorBus) -> list[DoorEvent]:
    return [event async for event in bus]


def reader(**changes: Any) -> DoorReader:
    return msgspec.structs.replace(DoorReader(name="A", address=1, key=KEY, line=SerialLine("/dev/none")), **changes)


@pytest.mark.parametrize(
    "readers",
    [
        [], [reader(), reader()], [reader(), reader(name="B")], [reader(key=b"short")], [reader(address=127)],
        [reader(name=str(n)) for n in range(33)],
    ],
)  # fmt: skip
def test_a_bus_that_cannot_work_is_refused_in_words(readers: list[DoorReader]) -> None:
    with pytest.raises(ConfigError) as refused:
        DoorBus(readers)
    assert refused.value.message.endswith((".", ")."))


async def test_a_line_that_is_not_there_is_a_lost_reader() -> None:
    async with DoorBus([reader()]) as bus:
        assert isinstance(await next_of(bus, ReaderLost), ReaderLost)


# The third reader of the wire: SIA OSDP 2.2 annex D (Secure Channel) and the frame format of clause 5.9


class Frame(NamedTuple):
    address: int
    reply: bool
    sequence: int
    block: bytes
    body: bytes
    mac: bytes
    covered: bytes


def crc16(data: bytes) -> int:
    """CRC-16 with polynomial 0x1021, started with 0x1D0F (annex C)."""
    crc = 0x1D0F
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def read_frame(data: bytes) -> tuple[Frame, int]:
    """The first frame of ``data`` and its length. AssertionError when it is not in order."""
    assert data[0] == 0x53
    length = int.from_bytes(data[2:4], "little")
    packet, control = data[:length], data[4]
    assert len(packet) == length
    if control & 0x04:
        assert crc16(packet[:-2]) == int.from_bytes(packet[-2:], "little")
        inside = packet[5:-2]
    else:
        assert sum(packet) & 0xFF == 0
        inside = packet[5:-1]
    block = b""
    if control & 0x08:
        block, inside = inside[: inside[0]], inside[inside[0] :]
    mac = b""
    covered = packet[:-2] if control & 0x04 else packet[:-1]
    if block[1:2] and block[1] in range(0x15, 0x19):
        inside, mac, covered = inside[:-4], inside[-4:], covered[:-4]
    return Frame(data[1] & 0x7F, bool(data[1] & 0x80), control & 3, block, inside, mac, covered), length


def aes(key: bytes, block: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # single blocks, as the standard says
    return encryptor.update(block)


class SecureChannel:
    """Session keys from the base key and both random numbers; MAC chain and decryption."""

    def __init__(self, key: bytes, panel_random: bytes, device_random: bytes) -> None:
        self.enc, self.mac_1, self.mac_2 = (aes(key, bytes([1, kind]) + panel_random[:6] + bytes(8)) for kind in (0x82, 0x01, 0x02))
        self.device_cryptogram = aes(self.enc, panel_random + device_random)
        self.panel_cryptogram = aes(self.enc, device_random + panel_random)
        self.chain = aes(self.mac_2, aes(self.mac_1, self.panel_cryptogram))

    def take(self, frame: Frame) -> bytes:
        """Verify a frame's MAC and give its plain body (code and data)."""
        before = self.chain
        padded = frame.covered + (b"\x80" + bytes(-(len(frame.covered) + 1) % 16) if len(frame.covered) % 16 else b"")
        for at in range(0, len(padded), 16):
            key = self.mac_2 if at + 16 == len(padded) else self.mac_1
            self.chain = aes(key, bytes(a ^ b for a, b in zip(padded[at : at + 16], self.chain, strict=True)))
        assert self.chain[:4] == frame.mac
        if frame.block[1] in (0x17, 0x18) and len(frame.body) > 1:
            vector = bytes(255 - byte for byte in before)
            decryptor = Cipher(algorithms.AES(self.enc), modes.CBC(vector)).decryptor()
            plain = decryptor.update(frame.body[1:])
            return frame.body[:1] + plain.rstrip(b"\x00")[:-1]
        return frame.body


def test_the_third_reader_reads_what_is_published(rows: Callable[[str], list[dict[str, Any]]]) -> None:
    seen = 0
    for row in rows("osdp/osdp_vectors.jsonl"):
        if row.get("kind") == "crc16":
            assert crc16(bytes.fromhex(row["msg"])).to_bytes(2, "little").hex().upper() == row["crc_le"]
            seen += 1
        elif row.get("kind") == "secure_channel":
            channel = SecureChannel(*(bytes.fromhex(row[name]) for name in ("scbk_d", "cp_random", "pd_random")))
            got = {
                "s_enc": channel.enc, "s_mac1": channel.mac_1, "s_mac2": channel.mac_2, "rmac_i": channel.chain,
                "cp_cryptogram": channel.panel_cryptogram, "pd_cryptogram": channel.device_cryptogram,
            }  # fmt: skip
            assert {name: value.hex().upper() for name, value in got.items()} == {name: row[name] for name in got}
            seen += 1
        elif row.get("is_packet") and not row.get("has_ifdef") and (row.get("crc_ok") or row.get("checksum_ok")):
            data = bytes.fromhex(row["hex"])
            frame, length = read_frame(data[1:] if data[0] == 0xFF else data)
            assert length == row["declared_len"]
            assert "address" not in row or frame.address == row["address"]
            seen += 1
    assert seen > 35


class Tap:
    """A wire between bus and reader that remembers what passed, in order."""

    def __init__(self) -> None:
        self.bus, self._bus_end = socket.socketpair()
        self.reader, self._reader_end = socket.socketpair()
        self.passed: list[tuple[bool, bytes]] = []
        for source, target, reply in ((self._bus_end, self._reader_end, False), (self._reader_end, self._bus_end, True)):
            threading.Thread(target=self._carry, args=(source, target, reply), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, reply: bool) -> None:
        try:
            while data := source.recv(4096):
                if self.takes(reply, data):
                    self.passed.append((reply, data))
                    target.sendall(data)
        except OSError:
            return

    def takes(self, reply: bool, data: bytes) -> bool:
        """Whether it is carried on; called in the thread of its direction."""
        return True

    def close(self) -> None:
        for end in (self.bus, self._bus_end, self.reader, self._reader_end):
            end.close()

    def frames(self) -> list[Frame]:
        """Everything that passed, as frames; the driver byte before a frame is no part of it."""
        frames = []
        rest = {False: b"", True: b""}
        for reply, data in list(self.passed):
            rest[reply] += data
            while (start := rest[reply].find(b"\x53")) >= 0 and len(rest[reply]) >= start + 4:
                packet = rest[reply][start:]
                length = int.from_bytes(packet[2:4], "little")
                if len(packet) < length:
                    break
                frame, size = read_frame(packet)
                assert frame.reply == reply
                frames.append(frame)
                rest[reply] = packet[size:]
        return frames


def said_twice(frames: list[Frame]) -> bool:
    """Whether the panel, from the Secure Channel's challenge on, repeated itself or began anew: an answer came after its 200 ms."""
    commands = itertools.dropwhile(lambda frame: frame.body[0] != 0x76, (frame for frame in frames if not frame.reply))
    sequences = [frame.sequence for frame in commands]
    return 0 in sequences or any(one == other for one, other in itertools.pairwise(sequences))


async def record(bits: str) -> list[Frame]:
    """What passes on the wire while a reader is found, takes four commands, reads a card and is typed on."""
    tap = Tap()
    with VirtualDoorReader("Front", key=KEY, address=5, line=DescriptorLine(tap.reader.fileno())) as door:
        configuration = msgspec.structs.replace(door.configuration, line=DescriptorLine(tap.bus.fileno()))
        async with DoorBus([configuration]) as bus:
            await next_of(bus, ReaderBack)
            await bus.led("Front", "green", seconds=2)
            await bus.buzzer("Front", times=2, on_s=0.1, off_s=0.2)
            await bus.relay("Front", seconds=5)
            await bus.text("Front", "Hi")
            door.tap(bits)
            await next_of(bus, CardPresented)
            door.press("42#")
            await next_of(bus, KeysPressed)
    frames = tap.frames()
    tap.close()
    return frames


async def test_what_passes_on_the_wire_is_osdp_to_a_third_reader() -> None:
    """The handshake's cryptograms, every MAC, and the commands' plain contents, as annexes A and D say them."""
    bits = encode_wiegand("H10301", 4567, 123)
    for _ in range(10):  # a recording in which a busy machine made the panel repeat itself is none to check a chain of MACs with
        with contextlib.suppress(ReaderLostError):
            frames = await record(bits)
            if not said_twice(frames):
                break
    else:
        raise AssertionError("there was no undisturbed recording")
    assert {frame.address for frame in frames} == {5}
    challenge = next(frame for frame in frames if frame.body[0] == 0x76 and not frame.reply)
    answer = next(frame for frame in frames if frame.body[0] == 0x76 and frame.reply)
    proof = next(frame for frame in frames if frame.body[0] == 0x77)
    confirmed = next(frame for frame in frames if frame.body[0] == 0x78)
    channel = SecureChannel(KEY, challenge.body[1:9], answer.body[9:17])
    assert answer.body[17:33] == channel.device_cryptogram
    assert proof.body[1:17] == channel.panel_cryptogram
    assert confirmed.body[1:17] == channel.chain
    said = {}
    for frame in frames[frames.index(confirmed) + 1 :]:
        assert frame.block, "nothing passes in the clear once the channel stands"
        plain = channel.take(frame)
        said.setdefault((frame.reply, plain[0]), plain[1:])
    assert said[False, 0x69] == bytes([0, 0, 2, 2, 0, 2, 2, 20, 0, 0, 0, 0, 0, 0])  # LED: temporary green for 20 x 100 ms
    assert said[False, 0x6A] == bytes([0, 2, 1, 2, 2])  # BUZ: default tone, 1 on, 2 off, twice
    assert said[False, 0x68] == bytes([0, 5, 50, 0])  # OUT: output 0, on for 50 x 100 ms
    assert said[False, 0x6B] == bytes([0, 1, 0, 1, 1, 2]) + b"Hi"  # TEXT: permanent, row 1, column 1
    assert said[True, 0x50] == bytes([0, 1, 26, 0]) + int(bits.ljust(32, "0"), 2).to_bytes(4, "big")  # RAW: Wiegand, 26 bits
    assert said[True, 0x53] == bytes([0, 3]) + b"42#"  # KEYPAD


async def test_a_number_that_cannot_be_is_refused_and_does_not_end_the_bus(door: VirtualDoorReader) -> None:
    async with DoorBus([door.configuration]) as bus:
        await next_of(bus, ReaderBack)
        for command in (bus.text("Front", "Welcome", row=-1), bus.led("Front", "red", led=256), bus.buzzer("Front", on_s=30)):
            with pytest.raises(ValueError, match="from 0 to 255"):
                await command
        await surely(lambda: bus.led("Front", "green"))
        assert (door.led, door.text) == ("green", "")


# Readers that answer late, or not at all


class Wire(Tap):
    """A wire that can be cut, cuts itself where a command passes, or brings the answer to it later than libosdp waits."""

    def __init__(self, *, late: int = 0, cut_at: int = 0) -> None:
        self.cut = False
        self._late, self._cut_at, self._hold = late, cut_at, False
        super().__init__()

    def takes(self, reply: bool, data: bytes) -> bool:
        if self.cut:
            return False
        if reply:
            if self._hold:
                self._hold = False
                time.sleep(0.6)
            return True
        code = read_frame(data[data.index(b"\x53") :])[0].body[0]
        if code == self._late:
            self._late, self._hold = 0, True
        elif code == self._cut_at:
            self._cut_at, self.cut = 0, True
            return False
        return True

    def said(self, code: int) -> int:
        """How often the panel's command went over it."""
        return sum(not frame.reply and frame.body[0] == code for frame in self.frames())


@contextlib.asynccontextmanager
async def over(wire: Wire, kind: type[VirtualDoorReader] = VirtualDoorReader) -> AsyncIterator[tuple[DoorBus, VirtualDoorReader]]:
    with kind("Front", key=KEY, line=DescriptorLine(wire.reader.fileno())) as door:
        async with DoorBus([msgspec.structs.replace(door.configuration, line=DescriptorLine(wire.bus.fileno()))]) as bus:
            await next_of(bus, ReaderBack)
            yield bus, door
    wire.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers that wait long, for a machine that is slow."""
    monkeypatch.setattr("readers.osdp._COMMAND_TIMEOUT_S", SECONDS)


@pytest.mark.usefixtures("patient")
async def test_a_reader_whose_answer_comes_late_is_asked_again() -> None:
    wire = Wire(late=0x68)
    async with over(wire) as (bus, door):
        await bus.relay("Front", seconds=600)
        assert door.unlocked
        assert wire.said(0x68) > 1


@pytest.mark.usefixtures("patient")
async def test_what_was_given_later_is_done_later_though_the_first_was_tried_again() -> None:
    async with over(Wire(late=0x69)) as (bus, door):
        await asyncio.gather(bus.led("Front", "red"), bus.led("Front", "amber"), bus.led("Front", "green"))
        assert door.led == "green"


@pytest.mark.usefixtures("patient")
async def test_a_reader_that_begins_anew_in_between_takes_the_command(door: VirtualDoorReader) -> None:
    async with DoorBus([door.configuration]) as bus:
        await next_of(bus, ReaderBack)
        door.power_off()
        door.power_on()  # it has forgotten its Secure Channel, and refuses what comes over it
        await bus.relay("Front", seconds=600)
        assert door.unlocked


@pytest.mark.parametrize("how", ["told", "cancelled"])
@pytest.mark.parametrize("lost", ["the command", "the poll before it"])
async def test_a_door_never_opens_once_its_caller_has_given_up(lost: str, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """libosdp keeps a command in its queue, and says it again for nine seconds."""
    wire = Wire(cut_at=0x68 if lost == "the command" else 0x60)
    async with over(wire) as (bus, door):
        await until(lambda: wire.cut or lost == "the command")
        with monkeypatch.context() as hasty:
            hasty.setattr("readers.osdp._COMMAND_TIMEOUT_S", 0.6 if how == "told" else SECONDS)
            opening = asyncio.create_task(bus.relay("Front", seconds=600))
            if how == "told":
                with pytest.raises(ReaderLostError):
                    await opening
            else:
                await asyncio.sleep(0.4)
                opening.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await opening
        wire.cut = False
        await surely(lambda: bus.led("Front", "green"))  # the reader hears again, and what was said before would have come first
        assert door.led == "green"
        assert not door.unlocked
        assert wire.said(0x68) == 0


class Refusing(VirtualDoorReader):
    """It has no relay."""

    def _on_command(self, command: dict[str, Any]) -> tuple[int, None]:
        super()._on_command(command)
        return -1, None


async def test_a_command_that_is_refused_is_not_given_again() -> None:
    for _ in range(10):  # a refusal that this machine brings too late is taken for lateness, and rightly
        wire = Wire()
        async with over(wire, Refusing) as (bus, _):
            with pytest.raises(ReaderLostError) as refused:
                await bus.relay("Front", seconds=1)
            await next_of(bus, ReaderBack)
            given = wire.said(0x68)
        if given == 1:
            break
    assert "refused" in refused.value.message
    assert given == 1

"""Scanners as bytes, keys and events, and all of them in one stream: pty and TCP are real, only the scanner is not."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import readers
from readers import (
    BadgeToken,
    CardNumber,
    DocumentError,
    DocumentScanned,
    IdDocument,
    InputScanner,
    InvitationToken,
    KeyDown,
    LineScanner,
    ListeningScanner,
    ReaderBack,
    ReaderEvent,
    ReaderLost,
    ReadersConfig,
    ReaderStream,
    ReaderUnavailableError,
    SerialLine,
    TcpLine,
    Unreadable,
    Wedge,
    decode_keys,
    open_readers,
    parse,
)
from readers.evdev import _KEYS as KEYS
from readers.evdev import EVENT_SIZE, KeyDecoder
from readers.framing import Framer, HeldFilter
from readers.line import Line, LineConfig, open_line
from readers.testing import VirtualScanner, license_payload
from readers.wedge import LOST
from tests.waiting import until

SECONDS = 120.0
TOKEN = "VB1:" + "6BFOXN*TS0BI$ZD-PHQ7I9AD66V5B22CH9M9ESI9XBHXK-%69LQOGI" * 2


async def next_of(stream: ReaderStream, *kinds: type) -> ReaderEvent:
    async with asyncio.timeout(SECONDS):
        async for event in stream:
            if isinstance(event, kinds):
                return event
    raise AssertionError("the stream ended")


def families(events: list[ReaderEvent]) -> dict[str, str | None]:
    scans = [event for event in events if isinstance(event, DocumentScanned)]
    return {scan.reader: scan.reading.family_name for scan in scans if isinstance(scan.reading, IdDocument)}


# What a scan is


@pytest.mark.parametrize(
    ("scan", "kind"),
    [
        (license_payload(), IdDocument),
        (TOKEN.encode(), BadgeToken),
        (TOKEN.encode() + b"\r\n", BadgeToken),
        (TOKEN.replace("VB1", "VI1").encode(), InvitationToken),
        (b"0012345678", CardNumber),
        (b"123-4567\r", CardNumber),
    ],
)
def test_a_scan_is_recognized_by_its_content(scan: bytes, kind: type) -> None:
    reading = parse(scan)
    assert isinstance(reading, kind)
    if isinstance(reading, (BadgeToken, InvitationToken)):
        assert reading.token == scan.decode().strip()


def test_a_token_that_ends_in_a_blank_keeps_it() -> None:
    reading = parse((TOKEN + " \r").encode())
    assert isinstance(reading, BadgeToken)
    assert reading.token == TOKEN + " "


@pytest.mark.parametrize(
    ("scan", "code"),
    [
        (b"", "empty"), (b" \r\n", "empty"), (b"VB1:ABC", "token_damaged"), (b"hello", "unknown"),
        (b"\xff\xfe1234", "not_text"), (b"https://example.org", "unknown"),
    ],
)  # fmt: skip
def test_what_is_none_of_them_is_refused_with_the_reason(scan: bytes, code: str) -> None:
    with pytest.raises(DocumentError) as refused:
        parse(scan)
    assert refused.value.code == code


# Framing


def test_a_scan_ends_when_its_bytes_stop() -> None:
    framer = Framer(idle_s=0.05)
    framer.feed(b"@\n\x1e\rANSI", 0.0)
    framer.feed(b" 636", 0.04)
    assert framer.poll(0.08) is None
    assert framer.due_in(0.08) == pytest.approx(0.01)
    assert framer.poll(0.1) == b"@\n\x1e\rANSI 636"
    assert framer.poll(9.0) is None


def test_bytes_begin_another_scan_only_after_the_line_was_seen_at_rest() -> None:
    framer = Framer(idle_s=0.05)
    framer.feed(b"one", 0.0)
    assert framer.poll(0.06) == b"one"
    framer.feed(b"two, which was ", 0.2)
    framer.feed(b"read late", 0.9)
    assert framer.poll(1.0) == b"two, which was read late"


@given(st.lists(st.binary(min_size=1, max_size=900), min_size=1, max_size=40))
def test_a_scan_without_end_stays_within_its_bound(pieces: list[bytes]) -> None:
    framer = Framer(idle_s=1.0, limit=500)
    for index, piece in enumerate(pieces):
        framer.feed(piece, index / 1000)
    scan = framer.poll(1e9)
    assert scan is not None
    assert len(scan) == min(501, sum(map(len, pieces)))


def test_the_same_scan_held_for_five_seconds_counts_once() -> None:
    held = HeldFilter(release_s=2.0)
    assert [held.is_new(b"a", at / 2) for at in range(11)] == [True] + [False] * 10
    assert held.is_new(b"b", 5.1)
    assert held.is_new(b"a", 5.2)
    assert held.is_new(b"a", 8.0)


# Wedges


def typed(data: bytes) -> list[KeyDown]:
    """What a browser reports when a wedge types ``data``: control characters as Ctrl with a letter."""
    keys: list[KeyDown] = []
    for at, byte in enumerate(data):
        if byte < 0x20:
            keys += [KeyDown("Control", ctrl=True, time_ms=at * 5.0), KeyDown(chr(byte + 0x40).lower(), ctrl=True, time_ms=at * 5.0)]
        else:
            keys.append(KeyDown(chr(byte), time_ms=at * 5.0))
    return keys


@given(st.binary(max_size=200).filter(lambda data: all(byte < 0x7F for byte in data)))
def test_every_character_a_wedge_types_arrives(data: bytes) -> None:
    assert decode_keys(typed(data)) == data


def test_a_license_typed_by_a_wedge_is_the_license() -> None:
    wedge = Wedge()
    for key in typed(license_payload(family_name="HALL")):
        assert wedge.press(key) is None
    scan = wedge.flush(1e9)
    assert scan is not None
    document = parse(scan)
    assert isinstance(document, IdDocument)
    assert document.family_name == "HALL"
    assert document.warnings == ()


def test_control_characters_typed_on_the_numeric_pad() -> None:
    keys = [KeyDown("@"), *(KeyDown(digit, alt=True) for digit in "0010"), KeyDown("Alt"), KeyDown("A")]
    assert decode_keys(keys) == b"@\nA"


def test_a_person_typing_is_no_scan() -> None:
    wedge = Wedge(gap_ms=400)
    for at, letter in enumerate("jordan lee"):
        wedge.press(KeyDown(letter, time_ms=at * 180.0))
    assert wedge.flush(1e9) is None


# evdev, from recorded events: struct input_event as the kernel writes it


def recorded(*keys: tuple[int, int]) -> bytes:
    out = b""
    for at, (code, value) in enumerate(keys):
        out += struct.pack("@llHHi", 10 + at // 100, at % 100 * 10_000, 4, 4, 0x70000 + code)  # MSC_SCAN comes first
        out += struct.pack("@llHHi", 10 + at // 100, at % 100 * 10_000, 1, code, value)
        out += struct.pack("@llHHi", 10 + at // 100, at % 100 * 10_000, 0, 0, 0)  # SYN_REPORT
    return out


def press(code: int, *held: int) -> list[tuple[int, int]]:
    return [*((key, 1) for key in held), (code, 1), (code, 0), *((key, 0) for key in held)]


def test_recorded_events_are_the_keys_that_were_typed() -> None:
    shift, ctrl = 42, 29
    events = [*press(3, shift), *press(36, ctrl), *press(7, ctrl, shift), *press(30, shift), *press(30), *press(2), *press(28)]
    keys = KeyDecoder().feed(recorded(*events))
    assert decode_keys(keys) == b"@\n\x1eAa1\r"


def test_a_held_key_repeats_nothing_and_caps_lock_is_followed() -> None:
    keys = KeyDecoder().feed(recorded((30, 1), (30, 2), (30, 2), (30, 0), *press(58), *press(30), *press(30, 54), *press(2)))
    assert decode_keys(keys) == b"aAa1"


@given(st.lists(st.integers(1, EVENT_SIZE * 6), max_size=12))
def test_events_cut_anywhere_are_put_together_again(cuts: list[int]) -> None:
    data = recorded(*press(30), *press(48), *press(46))
    decoder, keys, at = KeyDecoder(), [], 0
    for cut in cuts:
        keys += decoder.feed(data[at : at + cut])
        at += cut
    keys += decoder.feed(data[at:])
    assert decode_keys(keys) == b"abc"


@given(st.binary(max_size=300))
def test_any_event_bytes_decode_without_harm(data: bytes) -> None:
    decode_keys(KeyDecoder().feed(data))


@pytest.mark.parametrize(("path", "reason"), [("/dev/input/by-id/none", "cannot be opened"), ("/dev/null", "no input device")])
def test_an_input_device_that_is_none_is_lost_with_a_reason(path: str, reason: str) -> None:
    from readers.evdev import open_grabbed

    with pytest.raises(readers.ReaderLostError, match=reason) as lost:
        open_grabbed(path, "kiosk")
    assert lost.value.reader == "kiosk"


DROPPED = struct.pack("@llHHi", 10, 0, 0, 3, 0)  # SYN_DROPPED
REPORT = struct.pack("@llHHi", 10, 0, 0, 0, 0)


def test_keys_that_the_kernel_dropped_leave_a_mark_and_nothing_held() -> None:
    shift_a = recorded((42, 1), (30, 1))
    half = recorded((48, 1))[: -EVENT_SIZE]  # the rest of a report whose beginning is lost
    keys = KeyDecoder().feed(shift_a + DROPPED + half + REPORT + recorded((46, 1)))
    assert [key.key for key in keys] == ["A", LOST, "c"]


def test_a_scan_that_lacks_keys_is_none() -> None:
    wedge = Wedge()
    for key in [*typed(b"0012345678"), KeyDown(LOST, time_ms=50.0)]:
        assert wedge.press(key) is None
    assert wedge.press(KeyDown("1", time_ms=1000.0)) == b""
    for at, digit in enumerate("234567"):
        wedge.press(KeyDown(digit, time_ms=1005.0 + 5 * at))
    assert wedge.flush(2000.0) == b"1234567"


# An input device as the stream sees it: a pipe stands for it, and what the kernel would write is written

CODES = {name: (code, shift) for code, pair in KEYS.items() for shift, name in enumerate(pair)} | {"Enter": (28, 0)}


def pressed(keys: list[KeyDown], begin: float) -> bytes:
    """What the kernel writes when a wedge types ``keys``, 5 ms apart from ``begin`` (seconds, monotonic) on."""
    out = b""
    for at, key in enumerate(keys):
        code, shift = CODES[key.key]
        held = [42] * shift + [29] * key.ctrl
        seconds, micros = divmod(int((begin + at * 0.005) * 1e6), 1_000_000)
        for kind, number, value in [*((1, each, 1) for each in held), (1, code, 1), (1, code, 0), *((1, each, 0) for each in held), (0, 0, 0)]:
            out += struct.pack("@llHHi", seconds, micros, kind, number, value)
    return out


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[InputScanner, Callable[[bytes], int]]]:
    """An input device, and how to have the kernel write events."""
    ours, kernels = os.pipe2(os.O_NONBLOCK)

    def open_once(path: str, name: str) -> int:
        return ours

    monkeypatch.setattr("readers.stream.open_grabbed", open_once)
    yield InputScanner(name="desk", path="/dev/input/by-id/scanner"), lambda data: os.write(kernels, data)
    os.close(kernels)


async def test_what_is_typed_at_an_input_device_keeps_the_kernels_times(
    device: tuple[InputScanner, Callable[[bytes], int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program stands still in the middle of a scan, for longer than the longest gap between two keys."""
    config, write = device
    keys = [key for key in typed(license_payload(family_name="HALL")) if key.key != "Control"]
    begin = time.monotonic()
    rest = [pressed(keys[60:], begin + 60 * 0.005)]

    class Standing(Wedge):
        def press(self, key: KeyDown) -> bytes | None:
            if rest and len(self._keys) == 50:
                time.sleep(0.5)
                write(rest.pop())
            return super().press(key)

    monkeypatch.setattr("readers.stream.Wedge", Standing)
    async with open_readers(ReadersConfig(scanners=(config,))) as stream:
        write(pressed(keys[:60], begin))
        event = await next_of(stream, DocumentScanned, Unreadable)
        assert families([event]) == {"desk": "HALL"}


async def test_a_scan_of_which_the_kernel_dropped_keys_is_said_to_be_none(device: tuple[InputScanner, Callable[[bytes], int]]) -> None:
    config, write = device
    begin = time.monotonic()
    async with open_readers(ReadersConfig(scanners=(config,))) as stream:
        stamp = struct.pack("@ll", *divmod(int(begin * 1e6), 1_000_000))
        write(stamp + DROPPED[16:] + REPORT + pressed([KeyDown(digit) for digit in "0012345678"], begin))
        unread = await next_of(stream, DocumentScanned, Unreadable)
        assert isinstance(unread, Unreadable)
        assert unread.code == "cut_off"


# The stream


def serial(scanner: VirtualScanner, name: str = "desk", idle_ms: float = 300.0) -> LineScanner:
    return LineScanner(name=name, line=SerialLine(scanner.path), idle_ms=idle_ms)


async def test_a_serial_scanner_reads_documents_and_says_what_is_none() -> None:
    with VirtualScanner() as scanner:
        async with open_readers(ReadersConfig(scanners=(serial(scanner),))) as stream:
            await next_of(stream, ReaderBack)
            scanner.scan(license_payload(family_name="HALL"), chunk=64)
            event = await next_of(stream, DocumentScanned)
            assert isinstance(event, DocumentScanned)
            assert isinstance(event.reading, IdDocument)
            assert event.reading.family_name == "HALL"
            scanner.scan(b"hello")
            unread = await next_of(stream, Unreadable, DocumentScanned)
            assert isinstance(unread, Unreadable)
            assert unread.code == "unknown"


async def test_a_license_held_before_a_presentation_scanner_is_one_event(monkeypatch: pytest.MonkeyPatch) -> None:
    scans: list[bytes] = []

    class Counting(HeldFilter):
        def is_new(self, scan: bytes, now: float) -> bool:
            scans.append(scan)
            return super().is_new(scan, now)

    monkeypatch.setattr("readers.stream.HeldFilter", Counting)
    with VirtualScanner() as scanner:
        async with open_readers(ReadersConfig(scanners=(serial(scanner),), release_s=SECONDS)) as stream:
            await next_of(stream, ReaderBack)
            for count in range(1, 9):
                scanner.scan(license_payload(family_name="HALL"))
                await until(lambda count=count: len(scans) == count)
            scanner.scan(b"4711")
            first, second = await next_of(stream, DocumentScanned), await next_of(stream, DocumentScanned)
            assert isinstance(first, DocumentScanned)
            assert isinstance(second, DocumentScanned)
            assert isinstance(first.reading, IdDocument)
            assert isinstance(second.reading, CardNumber)


async def test_a_scanner_pulled_in_the_middle_is_lost_and_back_when_plugged_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(readers.TRAFFIC, "readers")
    scanner = VirtualScanner(str(tmp_path / "scanner"))
    async with open_readers(ReadersConfig(scanners=(serial(scanner),))) as stream:
        await next_of(stream, ReaderBack)
        scanner.scan(license_payload()[:80], terminator=b"")
        await until(lambda: "desk < 80 bytes" in caplog.text)  # what a port has not handed over is lost with it
        scanner.unplug()
        cut = await next_of(stream, Unreadable, DocumentScanned)
        assert isinstance(cut, Unreadable)
        assert cut.code in ("cut_off", "no_fields", "birth_date_missing")
        assert isinstance(await next_of(stream, ReaderLost), ReaderLost)
        scanner.plug()
        await next_of(stream, ReaderBack)
        scanner.scan(license_payload())
        assert isinstance(await next_of(stream, DocumentScanned), DocumentScanned)
        scanner.unplug()


async def test_two_scanners_at_once_keep_their_scans_apart() -> None:
    with VirtualScanner() as one, VirtualScanner() as two:
        # On a busy machine a good while may pass between two of the pieces that a scan comes in here.
        config = ReadersConfig(scanners=(serial(one, "one", idle_ms=1500), serial(two, "two", idle_ms=1500)))
        async with open_readers(config) as stream:
            await next_of(stream, ReaderBack)
            await next_of(stream, ReaderBack)
            first, second = license_payload(family_name="HALL"), license_payload(family_name="LANE")
            for at in range(0, max(len(first), len(second)), 40):  # bytes of both arrive in turns
                for scanner, payload in ((one, first), (two, second)):
                    if payload[at : at + 40]:
                        scanner.scan(payload[at : at + 40], terminator=b"")
                await asyncio.sleep(0.001)
            events = [await next_of(stream, DocumentScanned, Unreadable) for _ in range(2)]
            assert families(events) == {"one": "HALL", "two": "LANE"}


@pytest.mark.parametrize("way", ["serial", "network"])
async def test_a_program_that_stands_still_in_the_middle_of_a_scan_cuts_nothing(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = license_payload(family_name="HALL")
    rest = [payload[100:]]

    class Standing(Framer):
        def feed(self, data: bytes, now: float) -> None:
            super().feed(data, now)
            if rest:  # all of the program stands, in the middle of what it does, for longer than any gap of a scanner
                send(rest.pop())
                time.sleep(0.3)

    monkeypatch.setattr("readers.stream.Framer", Standing)
    with VirtualScanner() as scanner, socket.socket() as connection:

        def send(data: bytes) -> None:
            if way == "serial":
                scanner.scan(data, terminator=b"")
            else:
                connection.sendall(data)

        config = serial(scanner, idle_ms=60) if way == "serial" else ListeningScanner(name="desk", idle_ms=60)
        async with open_readers(ReadersConfig(scanners=(config,))) as stream:
            await next_of(stream, ReaderBack)
            if way == "network":
                connection.connect(("127.0.0.1", stream.ports["desk"]))
            send(payload[:100])
            event = await next_of(stream, DocumentScanned, Unreadable)
            assert families([event]) == {"desk": "HALL"}


async def test_network_scanners_that_connect_and_that_wait() -> None:
    async def waiting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(license_payload(family_name="LANE") + b"\r")
        await writer.drain()
        await over.wait()
        writer.close()

    over = asyncio.Event()
    server = await asyncio.start_server(waiting, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    config = ReadersConfig(scanners=(LineScanner(name="waits", line=TcpLine("127.0.0.1", port)), ListeningScanner(name="connects")))
    async with open_readers(config) as stream, server:
        await next_of(stream, ReaderBack)
        await next_of(stream, ReaderBack)
        _, writer = await asyncio.open_connection("127.0.0.1", stream.ports["connects"])
        writer.write(license_payload(family_name="HALL"))
        writer.close()
        events = [await next_of(stream, DocumentScanned) for _ in range(2)]
        assert families(events) == {"connects": "HALL", "waits": "LANE"}
        over.set()


async def test_a_scanner_that_is_not_there_is_lost_once_and_waited_for() -> None:
    config = ReadersConfig(scanners=(LineScanner(name="desk", line=SerialLine("/dev/none")),))
    async with open_readers(config) as stream:
        assert await next_of(stream, ReaderLost) == ReaderLost("desk", "There is no such device. Check that it is plugged in, and its path.")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await stream.__anext__()


async def test_a_port_that_is_taken_is_said_and_the_other_devices_are_given_back() -> None:
    with VirtualScanner() as scanner, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        here = LineScanner(name="desk", line=SerialLine(scanner.path))
        config = ReadersConfig(scanners=(here, ListeningScanner(name="kiosk", port=other.getsockname()[1])))
        stream = open_readers(config)
        with pytest.raises(ReaderUnavailableError, match="another program does"):
            await stream.start()
        assert {type(event) for event in [event async for event in stream]} <= {ReaderBack}  # and it ends
        assert all(task.done() for task in asyncio.all_tasks() - {asyncio.current_task()})


async def test_closing_ends_the_iteration() -> None:
    stream = open_readers(ReadersConfig())
    await stream.aclose()
    assert [event async for event in stream] == []


@pytest.mark.parametrize("when", ["after the closing", "just before it"])
async def test_a_device_that_opens_while_its_stream_is_closed_is_given_back(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network device takes as long to open as the network likes; a serial port stands for it here."""
    begun, go, lines = threading.Event(), threading.Event(), list[Line]()

    def slowly(config: LineConfig, name: str) -> Line:
        begun.set()
        assert go.wait(SECONDS)
        lines.append(open_line(config, name))
        return lines[0]

    monkeypatch.setattr("readers.stream.open_line", slowly)
    with VirtualScanner() as scanner:
        stream = open_readers(ReadersConfig(scanners=(serial(scanner),)))
        await stream.start()
        await until(begun.is_set)
        if when == "just before it":
            go.set()
            while not lines:  # the loop stands meanwhile: it has not heard of the open line when the stream is closed
                time.sleep(0.005)
        await stream.aclose()
        go.set()
        await until(lambda: lines and lines[0].fileno() == -1)


async def test_scanners_that_are_connected_are_let_go_when_the_stream_is_closed() -> None:
    async with open_readers(ReadersConfig(scanners=(ListeningScanner(name="kiosk"),))) as stream:
        reader, writer = await asyncio.open_connection("127.0.0.1", stream.ports["kiosk"])
        writer.write(license_payload(family_name="HALL"))
        await next_of(stream, DocumentScanned)
    assert await asyncio.wait_for(reader.read(), SECONDS) == b""
    writer.close()


def test_two_devices_of_one_name_are_refused() -> None:
    twice = LineScanner(name="desk", line=SerialLine("/dev/none"))
    with pytest.raises(readers.ConfigError):
        open_readers(ReadersConfig(scanners=(twice, twice)))


async def test_traffic_is_logged_without_its_contents(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(readers.TRAFFIC, "readers")
    with VirtualScanner() as scanner:
        async with open_readers(ReadersConfig(scanners=(serial(scanner),))) as stream:
            await next_of(stream, ReaderBack)
            scanner.scan(license_payload(family_name="SECRETNAME", number="S3CR3T"))
            await next_of(stream, DocumentScanned)
    assert "bytes" in caplog.text
    for secret in ("SECRETNAME", "S3CR3T", b"SECRETNAME".hex(" ")):
        assert secret not in caplog.text


# The installer's tool


async def run(*arguments: str, data: bytes = b"") -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "readers", *arguments, stdin=-1, stdout=-1, stderr=-1)
    out, err = await asyncio.wait_for(process.communicate(data), SECONDS)
    return process.returncode or 0, out.decode(), err.decode()


async def test_decode_shows_personal_data_only_when_asked(tmp_path: Path) -> None:
    from readers.testing import license_image

    picture = tmp_path / "card.png"
    picture.write_bytes(license_image(license_payload(family_name="HALL", expiry_date=date(2020, 1, 1))))
    code, out, _ = await run("decode", str(picture))
    assert (code, "HALL" in out, "has expired" in out) == (0, False, True)
    code, out, _ = await run("decode", str(picture), "--show")
    assert (code, "HALL" in out) == (0, True)
    code, out, _ = await run("decode", "-", data=license_payload())
    assert (code, "driver_license" in out) == (0, True)


@pytest.mark.parametrize(("data", "code"), [(b"hello", "unknown"), (b"\x89PNG damaged", "not_an_image")])
async def test_decode_refuses_in_words_and_with_a_status(data: bytes, code: str) -> None:
    status, _, err = await run("decode", "-", data=data)
    assert status == 1
    assert code in err
    assert "Traceback" not in err


async def test_list_and_watch_run_without_any_device() -> None:
    status, out, _ = await run("list")
    assert status == 0
    assert "card reader" in out
    with VirtualScanner() as scanner:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "readers", "watch", "--serial", scanner.path, "--seconds", "600", stdout=-1
        )
        assert process.stdout is not None
        assert b"ReaderBack" in await asyncio.wait_for(process.stdout.readline(), SECONDS)
        scanner.scan(license_payload())
        assert b"DocumentScanned" in await asyncio.wait_for(process.stdout.readline(), SECONDS)
        process.terminate()
        await process.communicate()  # to the end of what it said: a pipe that is still open outlives the test's loop


def test_parsers_and_codecs_work_without_pyscard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smartcard", None)
    with pytest.raises(readers.ReaderUnavailableError) as missing:
        readers.list_card_readers()
    assert "pyscard" in missing.value.message
    assert isinstance(parse(license_payload()), IdDocument)


def test_every_error_survives_pickling() -> None:
    import pickle

    from readers.errors import ApduError, CardRemovedError, ReaderLostError

    for error in (DocumentError("unknown", "No."), ApduError(0x6982, "sign"), CardRemovedError(), ReaderLostError("desk")):
        again: Any = pickle.loads(pickle.dumps(error))
        assert (type(again), again.code, again.message) == (type(error), error.code, error.message)


def test_the_clock_of_a_wedge_is_the_pages(rows: Callable[[str], list[dict[str, Any]]]) -> None:
    """Real payloads as a wedge types them: what comes out is what went in."""
    for row in rows("aamva/payloads.jsonl")[::10]:
        payload = row["payload"].encode("ascii", "ignore")
        assert decode_keys(typed(payload)) == payload

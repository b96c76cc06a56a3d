"""What printers say of themselves, by the bytes their makers publish."""

import asyncio
import contextlib
import os
import pty
import time
import tty
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from jobkit import PATIENT
from msgspec.structs import replace

from printers import (
    DeviceTransport,
    FileTransport,
    Interrupted,
    NetworkTransport,
    NotReady,
    Paper,
    PrinterStatus,
    Unreachable,
    brother,
    escpos,
    zpl,
)
from printers.testing import VirtualPrinter


@pytest.mark.parametrize(
    ("answers", "words", "ready"),
    [
        ("12121212", "ready", True),
        ("1212121e", "ready, paper low", True),
        ("1a32127e", "paper out", False),
        ("1a161212", "cover open", False),
        ("1a521a12", "cutter jammed", False),
        ("1a523212", "needs service", False),
        ("1a525212", "too hot, cooling", False),
        ("1a521212", "error light is on", False),
        ("1a121212", "offline", False),
        # Both: what opens first is what helps.
        ("1a36127e", "cover open", False),
    ],
)
def test_escpos_real_time_status_in_words(answers: str, words: str, ready: bool) -> None:
    status = escpos.parse_status(bytes.fromhex(answers))
    assert (status.words(), status.ready) == (words, ready)


@pytest.mark.parametrize("answers", ["", "121212", "00121212", "ff121212", "1212129e"])
def test_bytes_that_are_no_answer_are_not_taken_for_one(answers: str) -> None:
    with pytest.raises(ValueError, match="not an answer"):
        escpos.parse_status(bytes.fromhex(answers))


def zebra(*, paper_out=0, paused=0, formats=0, partial=0, hot=0, head_up=0, ribbon=0, left=0) -> bytes:
    """~HS as the ZPL II Programming Guide prints it."""
    first = f"030,{paper_out},{paused},1245,{formats:03},0,0,{partial},000,0,0,{hot}"
    second = f"000,0,{head_up},{ribbon},0,2,4,0,{left:08},1,000"
    return b"".join(b"\x02" + line.encode() + b"\x03\r\n" for line in (first, second, "1234,0"))


@pytest.mark.parametrize(
    ("answer", "words", "idle"),
    [
        (zebra(), "ready", True),
        (zebra(paper_out=1), "paper out", True),
        (zebra(head_up=1), "cover open", True),
        (zebra(paused=1), "offline", True),
        (zebra(ribbon=1), "ribbon out", True),
        (zebra(hot=1), "too hot, cooling", True),
        (zebra(formats=1), "ready", False),
        (zebra(left=1), "ready", False),
        (zebra(partial=1), "ready", False),
    ],
)
def test_zebra_host_status_in_words(answer: bytes, words: str, idle: bool) -> None:
    assert zpl.parse_status(answer).words() == words and zpl.idle(answer) is idle


@pytest.mark.parametrize("answer", [b"", zebra()[:40], b"\x02a,b\x03\x02c\x03\x02d\x03", b"HTTP/1.1 400 Bad Request\r\n"])
def test_a_zebra_answer_that_is_not_whole_is_not_taken_for_one(answer: bytes) -> None:
    with pytest.raises(ValueError, match="not an answer"):
        zpl.parse_status(answer)


def packet(error1: int = 0, error2: int = 0, width: int = 62, kind: int = 0) -> bytes:
    """The 32 bytes of Brother's reference, "Status": 80 20 42 34 38 30 …"""
    body = bytearray(32)
    body[:6] = b"\x80\x20B480"
    body[8], body[9], body[10], body[11], body[18] = error1, error2, width, 0x0A, kind
    return bytes(body)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (packet(), "ready"),
        (packet(error1=0x01, width=0), "paper out"),
        (packet(error1=0x02), "paper out"),
        (packet(error1=0x04), "cutter jammed"),
        (packet(error2=0x10), "cover open"),
        (packet(error2=0x01, width=29), "wrong roll"),
        (packet(width=29), "a 29 mm roll is in it, not 62 mm"),
        (packet(error2=0x40), "paper cannot be fed"),
    ],
)
def test_brother_status_packet_in_words(said: bytes, words: str) -> None:
    assert brother.parse_status(said).words() == words


def test_what_is_no_brother_packet_is_not_taken_for_one() -> None:
    for wrong in (b"", packet()[:31], bytes(32)):
        with pytest.raises(ValueError, match="not a Brother"):
            brother.parse_status(wrong)


# --- conversations


@contextlib.asynccontextmanager
async def listener(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_a_zebra_confirms_when_nothing_waits_in_it() -> None:
    answers = [zebra(), zebra(formats=1), zebra(left=1), zebra(paper_out=1, left=1), zebra()]
    got = bytearray()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            got.extend(data)
            if data.endswith(b"~HS"):
                answer = answers.pop(0)
                # In two pieces, as networks do.
                writer.write(answer[:30])
                await writer.drain()
                writer.write(answer[30:])

    waiting: list[str] = []
    async with listener(talk) as port:
        transport = NetworkTransport("127.0.0.1", port, profile="zebra", timeouts=PATIENT)
        receipt = await transport.send(b"^XA^XZ", waiting=lambda status: waiting.append(status.words()))
    assert receipt.confirmed and answers == [] and waiting == ["ready", "ready", "paper out"]
    assert bytes(got).replace(b"~HS", b"") == zpl.CLEAR + b"^XA^XZ"


async def test_a_brother_confirms_by_itself() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(brother.ASK)
        writer.write(packet())
        await reader.readuntil(b"\x1a")
        writer.write(packet(kind=6) + packet(error1=0x01, width=0, kind=2))
        writer.write(packet(kind=6) + packet(kind=brother.COMPLETED))
        await writer.drain()
        await reader.read()

    waiting: list[str] = []
    async with listener(talk) as port:
        transport = NetworkTransport("127.0.0.1", port, profile="brother-ql", timeouts=PATIENT)
        receipt = await transport.send(b"g\x00\x5a\x1a", waiting=lambda status: waiting.append(status.words()))
    assert receipt.confirmed and waiting == ["paper out"]


async def test_something_else_on_the_port_is_said_and_gets_no_badge() -> None:
    got = bytearray()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.extend(await reader.read(4096))
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" * 20)
        await reader.read()

    async with listener(talk) as port:
        transport = NetworkTransport("127.0.0.1", port, profile="epson-tm", timeouts=PATIENT)
        with pytest.raises(Unreachable):
            await transport.send(b"secret badge")
    assert b"secret" not in got


async def test_a_printer_that_hangs_up_after_taking_it_all_leaves_doubt() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\x10\x04\x04")
        writer.write(b"\x12\x12\x12\x12")
        await reader.readuntil(b"END")

    async with listener(talk) as port:
        transport = NetworkTransport("127.0.0.1", port, profile="epson-tm", timeouts=PATIENT)
        with pytest.raises(Interrupted) as broken:
            await transport.send(b"x" * 5000 + b"END")
    assert broken.value.sent == broken.value.total == 5003


async def test_a_printer_that_does_not_know_gs_r_is_believed_by_its_state_once_it_has_everything() -> None:
    got = bytearray()
    waiting: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            got.extend(data)
            for _ in range(data.count(b"\x10\x04\x04")):
                out = "ready" in waiting and waiting.count("paper out") < 3
                writer.write(bytes.fromhex("1a32127e" if out else "12121212"))

    async with listener(talk) as port:
        transport = NetworkTransport("127.0.0.1", port, profile="epson-tm", timeouts=replace(PATIENT, finish=0.8, quiet=0.6))
        for _ in range(2):
            receipt = await transport.send(b"badge", waiting=lambda status: waiting.append(status.words()))
            assert not receipt.confirmed
    # Out of paper, it was not believed; ready for a while, it was.
    assert waiting[0] == "ready" and "paper out" in waiting and waiting[-1] == "ready" and got.count(b"badge") == 2


async def test_a_machine_that_had_no_time_for_us_is_no_silent_printer() -> None:
    """Asleep for longer than the printer may be silent: its answer lies there when the machine wakes up, and is taken."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\x10\x04\x04")
        writer.write(b"\x12\x12\x12\x12")
        await reader.readuntil(escpos.CONFIRM)
        await reader.readuntil(b"\x10\x04\x04")
        time.sleep(0.6)  # nothing in this process runs, the sender neither
        writer.write(b"\x12\x12\x12\x12\x00")
        await reader.read()

    async with listener(talk) as port:
        transport = NetworkTransport("127.0.0.1", port, profile="epson-tm", timeouts=replace(PATIENT, finish=0.4))
        assert (await transport.send(b"badge")).confirmed


@pytest.mark.parametrize("profile", ["escpos-80", "escpos-blind"])
async def test_a_printer_that_cannot_confirm_still_gets_the_whole_badge(profile: str) -> None:
    """It reads slowly and says things nobody asked: closing on that would be a reset, and the badge's end would be lost."""
    got = bytearray()
    data = bytes(range(32, 127)) * 1000
    ended = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if profile == "escpos-80":
            await reader.readuntil(b"\x10\x04\x04")
            writer.write(b"\x12\x12\x12\x12\x37\x25\x00")
        try:
            while fresh := await reader.read(20_000):
                got.extend(fresh)
                writer.write(b"\x13")
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    async with listener(talk) as port:
        transport = NetworkTransport("127.0.0.1", port, profile=profile, timeouts=PATIENT)
        assert not (await transport.send(data)).confirmed
        async with asyncio.timeout(60):
            await ended.wait()
    # What fills up a picture that an earlier life may have left half sent goes before it.
    assert bytes(got).lstrip(b"\0") == data


async def test_an_unconfirmed_badge_that_is_not_taken_is_doubt() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Takes the connection and never reads: the network's own buffers fill and stay full.
        writer.transport.pause_reading()
        await asyncio.Event().wait()

    async with listener(talk) as port:
        transport = NetworkTransport("127.0.0.1", port, profile="escpos-blind", timeouts=replace(PATIENT, stall=0.5))
        with pytest.raises(Interrupted, match="stopped taking data"):
            await transport.send(bytes(8_000_000))


async def test_nothing_is_sent_when_the_first_byte_could_not_be_noted() -> None:
    async with VirtualPrinter() as printer:
        transport = NetworkTransport("127.0.0.1", printer.port, profile="epson-tm", timeouts=PATIENT)

        async def refuse() -> None:
            raise ConnectionError("the store is away")

        with pytest.raises(ConnectionError):
            await transport.send(b"\x1bd\x06\x1dV\x00", begun=refuse)
        assert printer.count == 0 and not printer.receiver.unfinished
        # And the transport is fit for the next.
        assert (await transport.send(b"\x1bd\x06\x1dV\x00")).confirmed
        assert printer.count == 1


async def test_a_name_that_no_network_knows_is_said_so() -> None:
    transport = NetworkTransport("printer.invalid", profile="epson-tm", timeouts=replace(PATIENT, connect=5.0))
    status = await transport.status()
    assert not status.ready and status.words() in ("its name is not known on the network", "does not answer", "cannot be reached")


async def test_a_status_asked_in_the_middle_of_a_job_does_not_wait_for_it() -> None:
    async with VirtualPrinter() as printer:
        transport = NetworkTransport("127.0.0.1", printer.port, profile="epson-tm", timeouts=replace(PATIENT, finish=2.0))
        printer.paper_rows = 10
        job = asyncio.create_task(transport.send(b"\x1bd\x06\x1bd\x06\x1dV\x00"))
        async with asyncio.timeout(60):
            while (await transport.status()).paper is not Paper.OUT:
                await asyncio.sleep(0.01)
            printer.refill()
            assert (await job).confirmed


# --- a serial line and a USB device are device files; a pty is one


@contextlib.asynccontextmanager
async def serial_printer(printer: VirtualPrinter) -> AsyncIterator[str]:
    """A pty whose other end goes to a virtual printer."""
    near, far = pty.openpty()
    tty.setraw(far)
    os.set_blocking(near, False)
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", printer.port)

    def forward() -> None:
        with contextlib.suppress(OSError):
            writer.write(os.read(near, 4096))

    async def backward() -> None:
        while data := await reader.read(100):
            os.write(near, data)

    loop.add_reader(near, forward)
    task = asyncio.create_task(backward())
    try:
        yield os.ttyname(far)
    finally:
        loop.remove_reader(near)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        writer.close()
        os.close(near)
        os.close(far)


async def test_a_serial_printer_prints_and_confirms() -> None:
    async with VirtualPrinter() as printer, serial_printer(printer) as path:
        transport = DeviceTransport(path, profile="epson-tm", baud=115200, timeouts=PATIENT)
        assert (await transport.status()).words() == "ready"
        # Bytes that a terminal would act upon must pass unchanged.
        rows = bytes(range(256)).replace(b"\x10", b"\x11") * 9
        receipt = await transport.send(b"\x1b@\x1dv0\x00" + bytes((72, 0, 32, 0)) + rows + b"\x1dV\x00")
        assert receipt.confirmed and printer.count == 1 and rows in printer.printed[0].data
        printer.cover_open = True
        with pytest.raises(NotReady, match="cover open"):
            await transport.send(b"\x1dV\x00")


async def test_device_trouble_is_said_in_words(tmp_path) -> None:
    missing = DeviceTransport(tmp_path / "lp0", profile="epson-tm")
    assert (await missing.status()).words() == "is not plugged in"
    plain = tmp_path / "file"
    plain.write_bytes(b"")
    assert "no serial line" in (await DeviceTransport(plain, profile="epson-tm", baud=9600).status()).words()
    with pytest.raises(ValueError, match="no speed"):
        DeviceTransport("/dev/ttyS0", profile="epson-tm", baud=12345)


async def test_a_folder_gets_whole_files_in_order_for_their_owner_alone(tmp_path) -> None:
    transport = FileTransport(tmp_path, suffix=".pdf")
    for data in (b"one", b"two"):
        assert not (await transport.send(data)).confirmed
    files = sorted(tmp_path.iterdir())
    assert [file.read_bytes() for file in files] == [b"one", b"two"]
    assert all(file.suffix == ".pdf" and file.stat().st_mode & 0o777 == 0o600 for file in files)
    gone = FileTransport(tmp_path / "gone")
    assert (await gone.status()).words() == "its folder is missing"
    with pytest.raises(Unreachable):
        await gone.send(b"x")


def test_a_status_without_a_way_back_is_no_reason_to_wait() -> None:
    from printers.status import UNKNOWN

    assert UNKNOWN.ready and UNKNOWN.words() == "no status"
    assert not PrinterStatus(paper=Paper.OUT).ready

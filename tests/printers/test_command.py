"""python -m printers."""

import pickle
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from printers import Interrupted, MediaTooSmall, NotReady, Paper, PrinterStatus
from printers.__main__ import main, transport_at
from printers.testing import VirtualPrinter


def test_list_names_every_paper_and_printer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert "80mm" in said and "epson-tm" in said and "Brother QL-800" in said


def test_a_sample_is_drawn_to_a_file(tmp_path: Path) -> None:
    assert main(["sample", "--kind", "arabic", "--media", "58mm", str(tmp_path / "a.png")]) == 0
    with Image.open(tmp_path / "a.png") as image:
        assert image.width == 384 and zxingcpp.read_barcodes(image.convert("L"))
    assert main(["sample", str(tmp_path / "a.pdf")]) == 0
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["sample", "--media", "81mm", "x.png"], "did you mean '80mm'"),
        (["sample", "--kind", "martian", "x.png"], "no sample 'martian'"),
        (["status", "tcp://h", "--profile", "epson"], "did you mean 'epson-tm'"),
        (["status", "10.0.0.9", "--profile", "epson-tm"], "no printer's address"),
        (["test", "serial:///dev/null?baud=fast", "--profile", "epson-tm"], "no speed"),
        (["test", "file:///nowhere/at/all", "--profile", "pdf", "--media", "80mm"], "its folder is missing"),
    ],
)
def test_a_mistake_is_answered_with_what_would_be_right(command: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command) == 1
    assert told in capsys.readouterr().err


async def test_status_and_a_test_badge_over_the_wire(capsys: pytest.CaptureFixture[str]) -> None:
    import asyncio

    async with VirtualPrinter() as printer:
        address = f"tcp://127.0.0.1:{printer.port}"
        assert await asyncio.to_thread(main, ["test", address, "--profile", "epson-tm"]) == 0
        assert "as the printer itself says" in capsys.readouterr().out
        assert [found.text for found in zxingcpp.read_barcodes(printer.printed[0].image.convert("L"))] == ["VB1:TEST"]
        printer.paper = Paper.OUT
        assert await asyncio.to_thread(main, ["status", address, "--profile", "epson-tm"]) == 1
        assert capsys.readouterr().out == "paper out\n"
        assert await asyncio.to_thread(main, ["test", address, "--profile", "epson-tm"]) == 1
        assert printer.count == 1


def test_a_test_badge_as_pdf_into_a_folder(tmp_path: Path) -> None:
    assert main(["test", tmp_path.as_uri(), "--profile", "pdf", "--media", "80mm"]) == 0
    (file,) = tmp_path.glob("*.pdf")
    assert file.read_bytes().startswith(b"%PDF")


def test_addresses_become_transports() -> None:
    for address, shown in (
        ("tcp://10.0.0.9", "<NetworkTransport 10.0.0.9:9100>"),
        ("tcp://printer.school:9101", "<NetworkTransport printer.school:9101>"),
        ("usb:///dev/usb/lp0", "<DeviceTransport /dev/usb/lp0>"),
        ("serial:///dev/ttyS0?baud=19200", "<DeviceTransport /dev/ttyS0>"),
        ("cups://frontdesk", "<CupsTransport frontdesk>"),
        ("cups://10.0.0.2:631/frontdesk", "<CupsTransport frontdesk>"),
    ):
        assert repr(transport_at(address, "epson-tm")) == shown


def test_errors_cross_from_a_process_pool_whole() -> None:
    for error in (MediaTooSmall("9 mm"), Interrupted("the connection broke", 3, 9), NotReady(PrinterStatus(cover_open=True))):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error) and str(again) == str(error)
    assert pickle.loads(pickle.dumps(Interrupted("w", 3, 9))).sent == 3

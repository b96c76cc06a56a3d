"""The installer's tool as a stranger meets it: every answer is a sentence, never a traceback, and says nothing of a person unasked."""

from __future__ import annotations

import io
import signal
import socket
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path

import pytest
from PIL import Image

from readers.__main__ import main
from readers.testing import VirtualScanner, camera_frame, license_image, license_payload, passport_mrz


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    try:
        code = main(list(arguments))
    except SystemExit as stopped:  # wrong usage, as argparse reports it
        code = int(str(stopped.code))
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return code, out, err


def picture(format: str, size: tuple[int, int] = (300, 200)) -> bytes:
    out = io.BytesIO()
    Image.new("L", size, 255).save(out, format)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (license_payload(), "driver_license"),
        (license_image(), "driver_license"),
        (camera_frame(license_image(), tilt=5, blur=0.6, noise=6), "driver_license"),
        (passport_mrz().encode(), "passport"),
        (b"1234567\r\n", "CardNumber"),
    ],
)
def test_decode_says_what_a_file_holds_and_nothing_of_the_person(
    content: bytes, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "scan"
    file.write_bytes(content)
    code, out, err = run(capsys, "decode", str(file))
    assert (code, err) == (0, "")
    assert says in out
    assert "--show" in out
    for secret in ("SAMPLE", "JORDAN", "1234567", "X12345678", "1985"):
        assert secret not in out


def test_decode_shows_the_document_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "scan"
    file.write_bytes(license_payload(family_name="SAMPLE", birth_date=date(1985, 4, 12)))
    _, out, _ = run(capsys, "decode", str(file), "--show")
    assert "family_name    SAMPLE\n" in out
    assert "birth_date     1985-04-12\n" in out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "Nothing was scanned"),
        (b"hello world", "neither an identity document nor a badge"),
        (bytes(range(256)), "characters that no identity document"),
        (b"A" * 10_000_000, "longer than any identity document"),
        (picture("PNG"), "No barcode was found"),
        (picture("PNG", (9000, 9000)), "too many pixels"),
        (picture("TIFF"), "no picture this program can open"),
        (b"%PDF-1.7\n", "no picture this program can open"),
        (b"\x00\x00\x00\x18ftypheic", "no picture this program can open"),
        (camera_frame(license_image())[:3000], "damaged"),
    ],
    ids=["empty", "words", "binary", "ten megabytes", "blank", "huge", "tiff", "pdf", "heic", "cut off"],
)
def test_decode_refuses_in_a_sentence(content: bytes, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "scan"
    file.write_bytes(content)
    code, out, err = run(capsys, "decode", str(file))
    assert (code, out) == (1, "")
    assert says in err


def test_decode_names_the_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "decode", str(tmp_path / "none.png"))[::2] == (1, f"{tmp_path}/none.png: No such file or directory\n")
    assert run(capsys, "decode", str(tmp_path))[::2] == (1, f"{tmp_path}: Is a directory\n")


def test_decode_of_a_file_without_end_ends(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "decode", "/dev/zero")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--serial", "/dev/ttyX@fast"), 2, "PATH@BAUD"),
        (("--serial", "/dev/ttyX@12345"), 1, "must be one of 1200"),
        (("--tcp", "scanner"), 2, "HOST:PORT"),
        (("--tcp", "scanner:web"), 2, "HOST:PORT"),
        (("--tcp", "scanner:99999"), 1, "from 1 to 65535"),
        (("--listen", "99999"), 1, "to 65535"),
        (("--serial", "/dev/ttyX", "--serial", "/dev/ttyX"), 1, "same name"),
    ],
)
def test_watch_refuses_what_cannot_be_a_device(
    arguments: tuple[str, ...], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    got, _, err = run(capsys, "watch", *arguments, "--seconds", "60")
    assert got == code
    assert says in err


def test_watch_says_which_port_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = other.getsockname()[1]
        code, _, err = run(capsys, "watch", "--listen", str(port), "--seconds", "60")
    assert code == 1
    assert f"cannot listen on port {port}: another program does" in err


def watch_until(*arguments: str, says: tuple[str, ...]) -> str:
    """What the tool says until it has said all of ``says``; it goes on until it is interrupted, and then ends well."""
    command = [sys.executable, "-m", "readers", "watch", *arguments]
    # A shell's job in the background, these tests perhaps, is deaf to Ctrl-C, and so would be what it starts.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    too_long = threading.Timer(120, process.kill)
    too_long.start()
    out = ""
    try:
        assert process.stdout is not None
        while not all(words in out for words in says) and (line := process.stdout.readline()):
            out += line
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0, out
    finally:
        too_long.cancel()
        process.kill()
        process.communicate()
    return out


@pytest.mark.parametrize(
    ("path", "says"), [("/dev/not-there", "no such device"), ("/etc/hostname", "no serial port"), ("/tmp", "no serial port")]
)  # fmt: skip
def test_watch_says_why_a_serial_port_does_not_open_and_goes_on_waiting_for_it(path: str, says: str) -> None:
    assert says in watch_until("--serial", path, says=(says,))


def test_watch_reports_the_free_port_it_took_and_the_scanner_that_answers() -> None:
    with VirtualScanner() as scanner:
        back = f"ReaderBack(reader='{scanner.path}')"
        out = watch_until("--serial", scanner.path, "--listen", "0", says=("port 0 listens on port ", back))
    assert "port 0 listens on port " in out
    assert back in out


def test_watch_ends_by_itself_after_the_seconds_it_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "watch", "--serial", "/dev/not-there", "--seconds", "0.1")
    assert (code, err) == (0, "")

"""The bytes of each family as read by interpreters that are not ours."""

import base64
import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image, ImageChops

from printers import MEDIA, produce, render
from printers.testing import sample_badges

HERE = Path(__file__).parent
TOOLS = Path(os.environ.get("VISITOR_OUTSIDE_TOOLS", HERE.parent.parent / "var" / "outside"))
BADGES = sample_badges()
KINDS = ("plain", "escort", "arabic", "chinese", "commands", "everything-long")


def differing(one: Image.Image, other: Image.Image) -> int:
    assert one.size == other.size
    return sum(ImageChops.logical_xor(one.convert("1"), other.convert("1")).histogram()[1:])


@contextlib.contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """For what several test workers would otherwise install into one folder at once, or use half installed."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    with (TOOLS / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def codes(image: Image.Image) -> list[str]:
    return [symbol.text for symbol in zxingcpp.read_barcodes(image.convert("L"))]


# --- ESC/POS by npos


@pytest.fixture(scope="session")
def npos() -> Callable[[bytes], dict]:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed, so npos cannot read the ESC/POS back")
    with one_at_a_time("npos"):
        # npm writes this file last.
        if not (HERE / "node_modules" / ".package-lock.json").is_file():
            try:
                subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=HERE, check=True, capture_output=True, timeout=300)
            except (subprocess.SubprocessError, OSError):
                pytest.skip("npos could not be installed (npm ci in tests/printers), so nothing reads the ESC/POS back")

    def read(data: bytes) -> dict:
        done = subprocess.run(["node", HERE / "npos.js"], input=data, capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    return read


@pytest.mark.parametrize(("media", "profile"), [("80mm", "epson-tm"), ("58mm", "escpos-58"), ("80mm-180dpi", "epson-tm-t88v")])
@pytest.mark.parametrize("kind", KINDS)
def test_npos_reads_the_badge_out_of_the_escpos(kind: str, media: str, profile: str, npos: Callable[[bytes], dict]) -> None:
    read = npos(produce(BADGES[kind], media, profile))
    assert read["error"] is None
    # Nothing but a reset, rasters, feeds and a cut: no text, whatever the name holds.
    assert set(read["commands"]) <= {"ESC @", "GS v0", "ESC d", "GS V"}
    assert (read["commands"][-1] == "GS V") == (profile != "escpos-58")
    drawn = render(BADGES[kind], MEDIA[media])
    paper = Image.new("L", drawn.size, 255)
    y = 0
    for raster in read["rasters"]:
        part = Image.frombytes("L", (raster["width"], raster["height"]), base64.b64decode(raster["dots"]))
        paper.paste(part, (0, y))
        y += part.height
    assert y == drawn.height
    # The encoder turns single dots to break up what would be a real-time command.
    assert differing(paper, drawn) < 0.0003 * drawn.width * drawn.height
    assert codes(paper) == [BADGES[kind].token]


# --- ZPL, by a reader written here from Zebra's guide and by zebrafy's own


def zpl_graphic(data: bytes) -> Image.Image:
    """^GFA,b,c,d,:Z64:…:crc (ZPL II Programming Guide, ^GF and "ZB64 Encoding and Compression"): a set bit is black."""
    field = re.search(rb"\^GFA,(\d+),(\d+),(\d+),:Z64:([A-Za-z0-9+/=]+):([0-9A-Fa-f]{4})", data)
    assert field is not None
    across = int(field[3])
    raw = zlib.decompress(base64.b64decode(field[4]))
    assert len(raw) == int(field[2])
    crc = 0
    for byte in field[4]:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    assert int(field[5], 16) == crc
    return Image.frombytes("1", (across * 8, len(raw) // across), bytes(value ^ 0xFF for value in raw))


@pytest.mark.parametrize("media", ["102mm", "102x76mm", "102x152mm"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_zpl_holds_the_badge_and_no_command_of_a_name(kind: str, media: str) -> None:
    data = produce(BADGES[kind], media, "zebra")
    drawn = render(BADGES[kind], MEDIA[media])
    assert differing(zpl_graphic(data).crop((0, 0, *drawn.size)), drawn) == 0
    assert re.findall(rb"[\^~][A-Z]{2}", data) == [b"^XA", b"^MN", b"^PO", b"^LH", b"^PW", b"^LL", b"^FO", b"^GF", b"^FS", b"^PQ", b"^XZ"]
    assert f"^PW{drawn.width}^LL{drawn.height}".encode() in data
    assert (b"^MNN" in data) == (media == "102mm")


def test_zebrafy_reads_the_zpl_back() -> None:
    from zebrafy import ZebrafyZPL

    data = produce(BADGES["plain"], "102x76mm", "zebra")
    (read,) = ZebrafyZPL(data.decode("ascii")).to_images()
    assert codes(read) == [BADGES["plain"].token]


# --- Brother QL by brother_ql_analyse: GPL, so only as a program of its own, in an environment of its own


@pytest.fixture(scope="session")
def brother_ql_analyse() -> Path:
    program = TOOLS / "brother_ql" / "bin" / "brother_ql_analyse"
    with one_at_a_time("brother_ql"):
        if (TOOLS / "brother_ql" / "installed").exists():
            return program
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", TOOLS / "brother_ql"], check=True, capture_output=True, timeout=300)
            pip = [TOOLS / "brother_ql" / "bin" / "pip", "install", "-q", "brother_ql-inventree==1.3"]
            subprocess.run(pip, check=True, capture_output=True, timeout=300)
            (TOOLS / "brother_ql" / "installed").touch()
        except (subprocess.SubprocessError, OSError):
            shutil.rmtree(TOOLS / "brother_ql", ignore_errors=True)
            pytest.skip("brother_ql_analyse could not be installed, so nothing outside reads the Brother raster back")
    return program


@pytest.mark.parametrize("kind", ["plain", "arabic", "commands"])
def test_brother_ql_analyse_reads_the_badge_out_of_the_raster(kind: str, brother_ql_analyse: Path, tmp_path: Path) -> None:
    (tmp_path / "badge.bin").write_bytes(produce(BADGES[kind], "62mm", "brother-ql"))
    said = subprocess.run(
        [brother_ql_analyse, "--loglevel", "INFO", "badge.bin"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True
    ).stdout
    drawn = render(BADGES[kind], MEDIA["62mm"])
    assert f"media width: 62 mm, media length: 0 mm, raster no: {drawn.height} rows" in said
    assert f"Len of black rows: {drawn.height}" in said
    with Image.open(tmp_path / "label0001.png") as page:
        assert differing(page.crop((12, 0, 12 + drawn.width, drawn.height)), drawn) == 0
        assert codes(page) == [BADGES[kind].token]


# --- PDF and PNG


def test_a_pdf_page_is_the_badge_at_true_size() -> None:
    pypdfium2 = pytest.importorskip("pypdfium2", reason="pypdfium2 is not installed, so nothing outside reads the PDF back")
    drawn = render(BADGES["spanish"], MEDIA["80mm"])
    document = pypdfium2.PdfDocument(produce(BADGES["spanish"], "80mm", "pdf"))
    assert len(document) == 1
    width, height = document[0].get_size()
    assert width == pytest.approx(drawn.width / 203 * 72, abs=0.5) and height == pytest.approx(drawn.height / 203 * 72, abs=0.5)
    page = document[0].render(scale=203 / 72, grayscale=True).to_pil().resize(drawn.size)
    assert codes(page) == [BADGES["spanish"].token]
    document.close()


def test_a_pdf_is_the_same_bytes_each_time_and_names_nobody() -> None:
    first, second = (produce(BADGES["spanish"], "80mm", "pdf") for _ in range(2))
    assert first == second
    assert b"Date" not in first and b"Guti" not in first


def test_a_png_is_the_very_dots_and_knows_its_resolution() -> None:
    import io

    with Image.open(io.BytesIO(produce(BADGES["plain"], "80mm", "png"))) as read:
        assert differing(read, render(BADGES["plain"], MEDIA["80mm"])) == 0
        assert round(read.info["dpi"][0]) == 203

"""Pictures to symbols: tilt, blur and noise within what a desk camera gives; bombs and damage refused."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from readers import IdDocument, ImageError, decode_image, parse
from readers.barcode.zxing import MAX_PIXELS
from readers.testing import camera_frame, license_image, license_payload

PAYLOAD = license_payload(family_name="HALL", middle_names=("LEE",))


def test_a_license_picture_gives_its_exact_bytes() -> None:
    """Control characters and all: the default text of a reader would write <LF> for them."""
    symbols = decode_image(license_image(PAYLOAD))
    assert [(symbol.format, symbol.data) for symbol in symbols] == [("PDF417", PAYLOAD)]
    document = parse(symbols[0].data)
    assert isinstance(document, IdDocument)
    assert document.warnings == ()


@pytest.mark.parametrize("tilt", [0, 2, -4, 6, -8])
def test_a_tilted_blurred_and_noisy_frame_is_read(tilt: float) -> None:
    frame = camera_frame(license_image(PAYLOAD), tilt=tilt, blur=0.7, noise=6, seed=int(tilt))
    assert [symbol.data for symbol in decode_image(frame, budget_ms=120_000)] == [PAYLOAD]


@pytest.mark.parametrize("tilt", [15, -30, 44, 90, 180])
def test_a_frame_turned_further_is_swept_for(tilt: float) -> None:
    frame = camera_frame(license_image(PAYLOAD, scale=2), tilt=tilt)
    assert [symbol.data for symbol in decode_image(frame, budget_ms=120_000)] == [PAYLOAD]


@pytest.mark.parametrize(("tilt", "seed"), [(-5.627, 35), (-4.308, 51), (-5.253, 64), (-4.731, 94), (0.677, 107), (-0.724, 150)])
def test_garbage_with_perfect_checksums_is_not_believed(tilt: float, seed: int) -> None:
    """In these frames zxing-cpp 3.1 at first spends all error correction on filling gaps and takes what comes out for valid."""
    frame = camera_frame(license_image(PAYLOAD), tilt=tilt, blur=0.7, noise=6, seed=seed)
    assert {symbol.data for symbol in decode_image(frame, budget_ms=120_000)} <= {PAYLOAD}


def beside(*symbols: tuple[str, bytes], tilt: float = 0.0) -> bytes:
    """A picture of several symbols, one under the other."""
    import zxingcpp

    page, top = Image.new("L", (1280, 900), 255), 60
    for kind, data in symbols:
        drawn = zxingcpp.create_barcode(data.decode("latin-1"), getattr(zxingcpp.BarcodeFormat, kind)).to_image(scale=3)
        height, width = drawn.shape
        page.paste(Image.frombytes("L", (width, height), bytes(memoryview(drawn))), (200, top))
        top += height + 80
    out = io.BytesIO()
    page.rotate(tilt, resample=Image.Resampling.BICUBIC, fillcolor=255).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("tilt", [0, 3, -5, 7])
def test_a_license_is_read_beside_its_inventory_number_however_it_lies(tilt: float) -> None:
    """The one-dimensional code bears tilt better than the PDF417, and says nothing of who stands there."""
    symbols = decode_image(beside(("Code128", b"INV0012345678"), ("PDF417", PAYLOAD), tilt=tilt), budget_ms=120_000)
    assert symbols[0].data == PAYLOAD


def test_a_badge_comes_before_a_plain_number() -> None:
    symbols = decode_image(beside(("Code128", b"INV0012345678"), ("QRCode", b"VB1:TEST-4711")))
    assert [(symbol.format, symbol.data) for symbol in symbols] == [("QRCode", b"VB1:TEST-4711"), ("Code128", b"INV0012345678")]


def test_a_pdf417_that_is_no_license_does_not_hide_the_badge_beside_it() -> None:
    symbols = decode_image(beside(("QRCode", b"VB1:TEST-4711"), ("PDF417", b"M1SAMPLE/JORDAN EABC123")))
    assert [symbol.data for symbol in symbols] == [b"M1SAMPLE/JORDAN EABC123", b"VB1:TEST-4711"]


def test_the_sweep_stops_with_its_budget() -> None:
    """One pass over an empty frame happens, and no second one: what is tilted stays unread."""
    frame = camera_frame(license_image(PAYLOAD), tilt=20)
    assert decode_image(frame, budget_ms=0) == []


@pytest.mark.parametrize("kind", ["QRCode", "Aztec", "DataMatrix", "Code128", "Code39"])
def test_other_symbols_are_read_too(kind: str) -> None:
    import zxingcpp

    drawn = zxingcpp.create_barcode("TEST-4711", getattr(zxingcpp.BarcodeFormat, kind)).to_image(scale=4)
    height, width = drawn.shape
    out = io.BytesIO()
    Image.frombytes("L", (width, height), bytes(memoryview(drawn))).convert("RGB").save(out, "PPM")
    assert [(symbol.format, symbol.data) for symbol in decode_image(out.getvalue())] == [(kind, b"TEST-4711")]


def test_a_picture_without_a_symbol_is_an_empty_list() -> None:
    out = io.BytesIO()
    Image.new("L", (320, 200), 200).save(out, "PNG")
    assert decode_image(out.getvalue(), budget_ms=0) == []


def test_a_decompression_bomb_is_refused_unread() -> None:
    """A PNG of a few hundred bytes that says it is 100,000 pixels wide and high."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
    with pytest.raises(ImageError) as refused:
        decode_image(bomb)
    assert refused.value.code == "too_large"
    assert MAX_PIXELS < 100_000 * 100_000


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"P5 99999999 99999999 255\n", b"P6\n-1 4\n255\n"])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError):
        decode_image(data)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_damaged_picture_is_read_or_refused(data: st.DataObject) -> None:
    picture = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 8))):
        picture[data.draw(st.integers(0, len(picture) - 1))] = data.draw(st.integers(0, 255))
    try:
        symbols = decode_image(bytes(picture[: data.draw(st.integers(1, len(picture)))]), budget_ms=0)
    except ImageError:
        return
    assert all(symbol.data == PAYLOAD for symbol in symbols)


SMALL = camera_frame(license_image(PAYLOAD, scale=1), size=(400, 200))

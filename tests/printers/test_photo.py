"""Photos as they come: good, odd and hostile."""

import io
import struct
import zlib

import pytest
from msgspec.structs import replace
from PIL import Image, ImageChops, ImageStat

from printers import MEDIA, PhotoError, photo_problem, render
from printers.photo import MAX_PIXELS, open_photo
from printers.testing import sample_badges, sample_photo

PLAIN = sample_badges()["plain"]


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def png_bomb(side: int) -> bytes:
    """A small file that claims to unfold to side x side pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")


def alike(one: Image.Image, other: Image.Image) -> bool:
    difference = ImageChops.difference(one.resize((96, 120)), other.resize((96, 120)))
    return ImageStat.Stat(difference).mean[0] < 12


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "GIF"])
def test_the_usual_formats_are_read(form: str, photo: Image.Image) -> None:
    assert alike(open_photo(sample_photo(form=form), about=400), photo.convert("L"))


def test_cmyk_palette_16_bit_and_transparent_pictures_are_read_right(photo: Image.Image) -> None:
    gray = photo.convert("L")
    assert alike(open_photo(saved(photo.convert("CMYK"), "JPEG"), about=400), gray)
    assert alike(open_photo(saved(photo.quantize(64), "PNG"), about=400), gray)
    sixteen = Image.frombytes("I;16", gray.size, b"".join(struct.pack("<H", value * 257) for value in gray.tobytes()))
    assert alike(open_photo(saved(sixteen, "PNG"), about=400), gray)
    # Clear becomes white, as the paper is.
    clear = Image.new("RGBA", (100, 120), (0, 0, 0, 0))
    assert open_photo(saved(clear, "PNG"), about=100).getextrema() == (255, 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_held_askew_still_gives_an_upright_head(orientation: int, photo: Image.Image) -> None:
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = photo.transpose(turns[orientation]) if orientation in turns else photo
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert alike(open_photo(saved(stored, "JPEG", exif=exif), about=400), photo.convert("L"))


def test_of_an_animation_the_first_picture_is_taken(photo: Image.Image) -> None:
    frames = [photo.convert("RGB"), Image.new("RGB", photo.size, "black")]
    moving = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert alike(open_photo(moving, about=400), photo.convert("L"))


HOSTILE = {
    "nothing": b"",
    "no picture": b"%PDF-1.7 not a picture",
    "truncated": sample_photo()[:4000],
    "truncated header": sample_photo()[:30],
    "100 megapixels": png_bomb(10_000),
    "4 gigapixels": png_bomb(65_000),
    "too many bytes": b"\xff\xd8" + bytes(30_000_001),
    "a program in PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    "one pixel": saved(Image.new("L", (1, 1)), "PNG"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_photo_is_refused_in_words_and_the_badge_still_prints(kind: str) -> None:
    with pytest.raises(PhotoError):
        open_photo(HOSTILE[kind], about=400)
    badge = replace(PLAIN, photo=HOSTILE[kind])
    assert photo_problem(badge)
    without = render(replace(PLAIN, photo=None), MEDIA["80mm"])
    assert render(badge, MEDIA["80mm"]).tobytes() == without.tobytes()


def test_a_large_but_honest_photo_is_read(photo: Image.Image) -> None:
    side = int(MAX_PIXELS**0.5) - 1
    assert open_photo(saved(Image.new("L", (side, side), 128), "JPEG"), about=400).width < side
    assert photo_problem(PLAIN) is None

"""What a badge looks like: held against golden images, scanned, measured."""

import datetime as dt
import hashlib
import itertools
import subprocess
import sys
from types import ModuleType

import pytest
import zxingcpp
from msgspec.structs import replace
from PIL import Image, ImageChops, ImageFilter, ImageStat

from printers import MEDIA, Badge, BadgeError, Category, Media, MediaTooSmall, render, unprintable
from printers.testing import sample_badges, sample_token
from printers.text import Font, fit, missing, reach, visual, width

BADGES = sample_badges()


def unlike(drawn: Image.Image, kept: Image.Image) -> str | None:
    """Why two badges look different, or None: compared as gray from a step away, so that dithering may differ."""
    if drawn.size != kept.size:
        return f"size {drawn.size}, golden {kept.size}"
    difference = ImageChops.difference(drawn.convert("L").reduce(6), kept.convert("L").reduce(6))
    mean, most = ImageStat.Stat(difference).mean[0], difference.getextrema()[1]
    return None if mean < 1.5 and most < 120 else f"mean difference {mean:.2f}, greatest {most}"


def golden_cases() -> list[tuple[str, str]]:
    from importlib import util
    from pathlib import Path

    spec = util.spec_from_file_location("golden_cases", Path(__file__).parent / "golden.py")
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return list(module.CASES)


@pytest.mark.parametrize(("media", "kind"), golden_cases())
def test_a_sample_looks_as_its_golden_image_and_its_code_scans(media: str, kind: str, golden: ModuleType) -> None:
    drawn = render(BADGES[kind], MEDIA[media])
    with Image.open(golden.path(media, kind)) as kept:
        assert unlike(drawn, kept) is None
    found = [symbol.text for symbol in zxingcpp.read_barcodes(drawn.convert("L"))]
    assert found == ([BADGES[kind].token] if BADGES[kind].token else [])


def test_the_comparison_sees_another_name_another_day_and_a_missing_escort_mark(golden: ModuleType) -> None:
    plain = BADGES["plain"]
    with Image.open(golden.path("80mm", "plain")) as kept:
        for change in ({"name": "Maria Lopes"}, {"date": dt.date(2026, 11, 21)}, {"escort": True}, {"photo": None}):
            assert unlike(render(replace(plain, **change), MEDIA["80mm"]), kept) is not None, change


def test_another_process_draws_the_same_dots() -> None:
    code = (
        "import hashlib; from printers import MEDIA, render; from printers.testing import sample_badges;"
        "print(hashlib.sha256(render(sample_badges()['arabic'], MEDIA['80mm']).tobytes()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other == hashlib.sha256(render(BADGES["arabic"], MEDIA["80mm"]).tobytes()).hexdigest()


@pytest.mark.parametrize("media", ["58mm", "62mm", "80mm", "102mm", "102x76mm", "102x152mm"])
def test_the_code_scans_from_a_phone_at_40_cm(media: str) -> None:
    """A 1080-line preview sees 1,920 points over some 55 cm at 40 cm: 3.5 a millimeter, through a lens, at an angle."""
    drawn = render(BADGES["escort"], MEDIA[media]).convert("L")
    # Dot gain: a thermal dot is wider than its cell, so black grows by a fraction of a dot.
    printed = Image.blend(drawn, drawn.filter(ImageFilter.MinFilter(3)), 0.35)
    per_mm = 3.5
    size = tuple(round(side / MEDIA[media].dpi * 25.4 * per_mm) for side in printed.size)
    seen = printed.resize(size, Image.Resampling.BOX).rotate(6, expand=True, fillcolor=200, resample=Image.Resampling.BICUBIC)
    seen = seen.filter(ImageFilter.GaussianBlur(0.45))
    seen = Image.blend(seen, Image.effect_noise(seen.size, 40), 0.12)
    assert [symbol.text for symbol in zxingcpp.read_barcodes(seen)] == [BADGES["escort"].token]


@pytest.mark.parametrize(
    ("name", "media", "least_mm"),
    [("Maria Lopez", "80mm", 8.0), ("Maria Lopez", "58mm", 6.5), ("Daniel Whitfield", "80mm", 7.0),
     ("María de los Ángeles Gutiérrez Peña", "80mm", 5.5), ("Wolfeschlegelsteinhausenbergerdorff", "58mm", 3.3)],
)  # fmt: skip
def test_a_name_reads_from_three_meters(name: str, media: str, least_mm: float) -> None:
    """Capitals of 4.4 mm are the limit of good eyes at 3 m (5 minutes of arc); common names stand well above it."""
    paper = MEDIA[media]
    lines, largest, height = (3, 17, 44) if paper.wide else (4, 13, 46)
    block = fit(name, width_limit=paper.width - 2 * paper.dots(1), lines=lines, largest=paper.dots(largest),
                smallest=paper.dots(5.2), height_limit=paper.dots(height))  # fmt: skip
    assert block.font.cap / paper.dpi * 25.4 >= least_mm
    assert "".join(block.lines).replace(" ", "") == name.replace(" ", "")


def test_every_line_stays_within_the_paper() -> None:
    for text in ("Wolfeschlegelsteinhausenbergerdorff", "Maximiliana Bartholomea " * 12, "欧阳晓明" * 20, "عبد الرحمن " * 20):
        for lines in (1, 2, 3):
            block = fit(text, width_limit=360, lines=lines, largest=100, smallest=30)
            assert len(block.lines) <= lines
            assert all(width(line, block.font, block.rtl) <= 360 for line in block.lines)


def test_yesterdays_badge_differs_in_tone_and_tab() -> None:
    days = [dt.date(2026, 10, 26) + dt.timedelta(days=n) for n in range(8)]
    paper = MEDIA["80mm"]
    band = (0, paper.dots(11), paper.width, paper.dots(22))
    tones = [ImageStat.Stat(render(replace(BADGES["plain"], date=day), paper).crop(band).convert("L")).mean[0] for day in days]
    # Over a month's end too, where both days' numbers are odd.
    for yesterday, today in itertools.pairwise(tones):
        assert abs(today - yesterday) > 60


def test_every_category_has_a_look_of_its_own() -> None:
    looks = {category: render(replace(BADGES["plain"], category=category, category_label="SAME"), MEDIA["80mm"]) for category in Category}
    pairs = [(a, b) for a in Category for b in Category if a < b]
    for a, b in pairs:
        assert unlike(looks[a], looks[b]) is not None, (a, b)


def test_scripts_are_joined_turned_and_covered() -> None:
    # Arabic in its presentation forms, from right to left; Hebrew turned; Latin inside it not.
    assert visual("محمد", True) == "ﺪﻤﺤﻣ"
    assert visual("שלום") == "םולש"
    assert visual("Ana (שלום)", False).startswith("Ana (")
    assert missing("María Nguyễn Thảo 欧阳晓明 김민서 Олександра אברהם Παύλος عبد الرحمن") == ""
    assert missing("Հայկ ნინო ተስፋዬ ᏣᎳᎩ ʻIolani Ąžuolas Łukasz Ñandú") == ""
    assert missing("A𓀀B𓀀") == "𓀀"
    assert unprintable(replace(BADGES["plain"], host="𓀀", zones=("Library", "𓀁"))) == "𓀀𓀁"
    assert unprintable(BADGES["arabic"]) == ""
    # A decomposed name is the composed one.
    assert visual("Nguyê\u0303n") == visual("Nguyễn")


def test_a_character_without_a_font_leaves_a_box_and_never_an_empty_badge() -> None:
    with_box, without = (render(replace(BADGES["no-photo"], name=name), MEDIA["80mm"]) for name in ("Q 𓀀", "Q"))
    assert unlike(with_box, without) is not None


def test_deep_and_high_letters_do_not_touch_their_neighbors() -> None:
    below = reach("الحسيني", Font(100), True)[1]
    assert below > 20
    assert reach("Ễ", Font(100))[0] > reach("E", Font(100))[0]


@pytest.mark.parametrize(
    ("media", "told"),
    [
        (Media(name="narrow", paper_mm=25, width=160, dpi=203), "QR code needs"),
        (Media(name="short", paper_mm=102, width=812, dpi=203, length=300), "QR code needs|needs .* mm more"),
    ],
)
def test_paper_that_is_too_small_is_refused_with_the_reason(media: Media, told: str) -> None:
    with pytest.raises(MediaTooSmall, match=told):
        render(BADGES["plain"], media)


def test_a_label_takes_every_sample_but_never_grows() -> None:
    for kind in ("plain", "everything-long", "arabic"):
        for name in ("102x76mm", "102x76mm-300dpi", "102x152mm"):
            assert render(BADGES[kind], MEDIA[name]).size == (MEDIA[name].width, MEDIA[name].length)


def test_a_badge_says_nothing_of_its_visitor_in_its_repr_or_errors() -> None:
    badge = BADGES["plain"]
    assert repr(badge) == "<Badge visitor, photo, until 15:30>"
    for change in ({"name": " \x00 "}, {"token": "vb1:secret"}, {"valid_until": dt.datetime(2026, 1, 1)}, {"token": "A" * 500}):
        with pytest.raises(BadgeError) as refused:
            replace(badge, **change)
        assert "secret" not in str(refused.value) and "Lopez" not in str(refused.value)


def test_the_longest_token_still_scans() -> None:
    badge = replace(BADGES["plain"], token=(sample_token(1) + sample_token(2)[4:])[:340])
    drawn = render(badge, MEDIA["58mm"])
    assert [symbol.text for symbol in zxingcpp.read_barcodes(drawn.convert("L"))] == [badge.token]


def test_words_follow_the_language_and_own_labels_win() -> None:
    plain = BADGES["plain"]
    english = render(plain, MEDIA["80mm"])
    assert unlike(render(replace(plain, language="es-MX"), MEDIA["80mm"]), english) is not None
    assert unlike(render(replace(plain, language="xx"), MEDIA["80mm"]), english) is None
    assert unlike(render(replace(plain, category_label="Press"), MEDIA["80mm"]), english) is not None


def test_names_of_hostile_shape_still_make_a_badge() -> None:
    for name in ("a" * 300, "\u202eevil\u202c", "\ud800x", "☃" * 50, "i̇" * 100, "-" * 200, "A\n\n\nB", "\u200bX", "é" * 299):
        badge = Badge(name=name, school="S", date=dt.date(2026, 1, 5), valid_until=dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC))
        assert render(badge, MEDIA["58mm"]).width == 384

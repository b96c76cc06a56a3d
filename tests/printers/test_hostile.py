"""Whatever a name or a photo holds, a printer prints and never obeys."""

import datetime as dt
import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from PIL import Image

from printers import MEDIA, PROFILES, Badge, BadgeError, encode, produce, render
from printers.escpos import _REAL_TIME
from printers.testing import sample_badges
from printers.testing.receiver import Receiver

PLAIN = sample_badges()["no-photo"]


class Obedience:
    """A receiver and what it was made to do."""

    def __init__(self) -> None:
        self.answers = bytearray()
        self.cuts: list[Image.Image] = []
        self.receiver = Receiver(
            576, answer=self.answers.extend, real_time=lambda n: 0x12, sensors=lambda: 0, cut=lambda image, data: self.cuts.append(image)
        )

    def feed(self, data: bytes) -> None:
        self.receiver.arrive(data)
        while self.receiver.step():
            pass


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.text(min_size=1, max_size=300), purpose=st.binary(max_size=40))
def test_no_text_makes_a_printer_do_anything_but_print_one_badge(name: str, purpose: bytes) -> None:
    try:
        badge = replace(PLAIN, name=name, purpose=purpose.decode("latin-1"))
    except BadgeError:
        # Nothing of the name is printable.
        assert not "".join(name.split()) or not any(char.isprintable() for char in name)
        return
    seen = Obedience()
    seen.feed(produce(badge, "80mm", "epson-tm"))
    assert len(seen.cuts) == 1 and not seen.receiver.unfinished
    assert not seen.receiver.text and not seen.receiver.unknown and seen.receiver.pulses == 0 and not seen.answers


def test_dots_that_spell_a_real_time_command_do_not_act() -> None:
    """A photo can hold any bytes: here the drawer's pulse, the status question and the buffer's end, over row ends too."""
    commands = b"\x10\x14\x01\x00\x01" + b"\x10\x04\x01" + b"\x10\x05\x02" + b"\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08"
    noise = random.Random(1)
    dots = b"".join(bytes(noise.randrange(30)) + commands for _ in range(300))
    dots += bytes(-len(dots) % 72)
    image = Image.frombytes("1", (576, len(dots) // 72), bytes(255 - value for value in dots))
    # The receiver does obey them where an encoder lets them pass.
    naive = Obedience()
    naive.feed(b"\x1b@\x1dv0\x00" + (72).to_bytes(2, "little") + image.height.to_bytes(2, "little") + dots + b"\x1dV\x00")
    assert naive.receiver.pulses or naive.answers
    seen = Obedience()
    data = encode(image, "epson-tm")
    seen.feed(data)
    assert len(seen.cuts) == 1 and seen.receiver.pulses == 0 and not seen.answers and not _REAL_TIME.search(data)


def test_every_profile_takes_every_paper_it_names() -> None:
    badge = sample_badges()["escort"]
    for profile in PROFILES.values():
        for media in profile.media:
            assert len(produce(badge, media, profile)) > 1000, (profile.name, media)


def test_an_image_that_does_not_suit_the_printer_is_refused_with_the_reason() -> None:
    import pytest

    from printers import EncodingError

    wide = render(PLAIN, MEDIA["102mm"])
    with pytest.raises(EncodingError, match="812 dots wide, the head of epson-tm has 576"):
        encode(wide, "epson-tm")
    with pytest.raises(EncodingError, match="696 dots across, not 812"):
        encode(wide, "brother-ql")
    with pytest.raises(EncodingError, match="mode 1"):
        encode(wide.convert("L"), "epson-tm")


def test_a_badge_of_the_least_words_is_a_badge() -> None:
    least = Badge(name="A", school="", date=dt.date(2026, 1, 5), valid_until=dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC))
    for media in MEDIA.values():
        assert render(least, media).width == media.width

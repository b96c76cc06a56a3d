"""One badge for every hard case, of people who do not exist."""

from __future__ import annotations

import datetime as dt
import io

from PIL import Image, ImageDraw, ImageFilter

from printers.badge import TOKEN_ALPHABET, Badge, Category

_ALPHABET = "".join(sorted(TOKEN_ALPHABET - {" "}))
_ZONE = dt.timezone(dt.timedelta(hours=-6), "CST")
_DAY = dt.date(2026, 11, 20)


def sample_token(number: int = 1) -> str:
    """A token of the length a signed credential has (112 bytes in base45), other for each number."""
    state = number * 2654435761 % 2**32 or 1
    letters = []
    for _ in range(168):
        # A xorshift: any well-mixed sequence does, and this one is the same on every machine.
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        letters.append(_ALPHABET[state % len(_ALPHABET)])
    return "VB1:" + "".join(letters)


def sample_photo(size: tuple[int, int] = (960, 1200), *, form: str = "JPEG", tone: int = 0) -> bytes:
    """A drawn head and shoulders with the tones of a photo: light from the left, soft shadow, a patterned shirt."""
    width, height = 480, 600
    backdrop = Image.linear_gradient("L").resize((width, height)).point(lambda value: 150 + value // 4)
    picture = Image.merge("RGB", (backdrop.point(lambda v: v - 14), backdrop.point(lambda v: v - 4), backdrop))
    pen = ImageDraw.Draw(picture)
    skin = [(226, 180, 150), (141, 95, 66), (196, 148, 112), (92, 60, 44)][tone % 4]
    hair = [(58, 38, 26), (24, 20, 18), (178, 140, 84), (20, 18, 18)][tone % 4]
    shade = tuple(int(value * 0.74) for value in skin)
    pen.ellipse((120, 70, 360, 390), fill=hair)
    pen.rounded_rectangle((60, 450, 420, 760), 110, fill=(52, 78, 118))
    for stripe in range(60, 420, 30):
        pen.line((stripe, 460, stripe, 600), fill=(206, 214, 226), width=5)
    pen.rectangle((200, 380, 280, 480), fill=shade)
    pen.ellipse((145, 110, 335, 410), fill=skin)
    pen.pieslice((145, 110, 335, 410), 285, 75, fill=shade)
    pen.chord((140, 80, 340, 260), 180, 360, fill=hair)
    for x in (200, 280):
        pen.ellipse((x - 22, 236, x + 22, 262), fill=(245, 245, 240))
        pen.ellipse((x - 10, 238, x + 10, 260), fill=(40, 34, 30))
        pen.arc((x - 30, 212, x + 30, 250), 200, 340, fill=hair, width=8)
    pen.polygon([(240, 250), (226, 316), (252, 318)], fill=shade)
    pen.chord((200, 330, 280, 372), 10, 170, fill=(150, 60, 60))
    picture = picture.filter(ImageFilter.GaussianBlur(2.2)).resize(size, Image.Resampling.BICUBIC)
    out = io.BytesIO()
    picture.save(out, form)
    return out.getvalue()


def sample_badges() -> dict[str, Badge]:
    """Badges by the hardness each stands for."""
    photos = [sample_photo(tone=tone) for tone in range(4)]

    def badge(number: int, name: str, **more: object) -> Badge:
        facts: dict[str, object] = {
            "name": name,
            "school": "Lincoln Elementary School",
            "date": _DAY,
            "valid_until": dt.datetime(2026, 11, 20, 15, 30, tzinfo=_ZONE),
            "host": "Ms. Olivia Brandt",
            "zones": ("Main office", "Library"),
            "purpose": "Meeting",
            "number": f"LES-{number:04}",
            "token": sample_token(number),
            "photo": photos[number % 4],
        }
        return Badge(**(facts | more))  # type: ignore[arg-type]

    return {
        "plain": badge(1, "Maria Lopez"),
        "short": badge(2, "Bo Li", category=Category.VOLUNTEER),
        "escort": badge(3, "Daniel Whitfield", escort=True, category=Category.CONTRACTOR, purpose="Boiler repair",
                        zones=("Basement", "Gym", "Kitchen")),
        "spanish": badge(4, "María de los Ángeles Gutiérrez Peña", language="es", category=Category.GUARDIAN,
                         purpose="Recoger a un alumno"),
        "vietnamese": badge(5, "Nguyễn Thị Phương Thảo", language="vi", category=Category.GUARDIAN),
        "arabic": badge(6, "عبد الرحمن بن خالد الحسيني", language="ar", escort=True, host="أ. ليلى منصور",
                        purpose="اجتماع"),
        "chinese": badge(7, "欧阳晓明", language="zh", category=Category.SUBSTITUTE, host="陈老师"),
        "korean": badge(8, "김민서", host="Mr. Park"),
        "cyrillic": badge(9, "Олександра Шевченко-Коваленко", category=Category.DELIVERY),
        "hyphenated": badge(10, "Anne-Sophie Featherstonehaugh-Cholmondeley", category=Category.OFFICIAL),
        "two-scripts": badge(11, "Amira (أميرة) Haddad"),
        "one-word": badge(12, "Wolfeschlegelsteinhausenbergerdorff"),
        "no-photo": badge(13, "Priya Raman", photo=None, category=Category.DELIVERY, purpose="Parcels"),
        "no-code": badge(14, "Thomas O’Connor", token=""),
        "overnight": badge(15, "Grace Okafor", valid_until=dt.datetime(2026, 11, 21, 2, 0, tzinfo=_ZONE)),
        "commands": badge(16, "^XA^FDRobert^FS \x1b@\x1dV\x00 \x10\x14\x01 Tables~JA", purpose="\x1b\x70\x00"),
        "everything-long": badge(
            17, "Maximiliana Bartholomea " * 12, host="Dr. Konstantinos Papadopoulos-Villanueva", escort=True,
            zones=("Main office", "Library", "Cafeteria", "Gymnasium", "Science wing", "Playground", "Auditorium"),
            school="Franklin Delano Roosevelt Memorial Unified Elementary and Middle School", purpose="Yearly audit of fire safety",
        ),
    }  # fmt: skip

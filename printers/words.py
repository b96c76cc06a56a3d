"""The few words a badge adds to what it is told, in five languages."""

from __future__ import annotations

import datetime as dt

import msgspec

from .badge import Category


class Words(msgspec.Struct, frozen=True):
    """One language's words."""

    categories: dict[Category, str]
    escort: str
    valid_until: str
    host: str
    zones: str
    weekdays: tuple[str, ...]
    months: tuple[str, ...]
    letters: tuple[str, ...]
    day_form: str = "{weekday} {day} {month}"


_C = Category


def _categories(*labels: str) -> dict[Category, str]:
    return dict(zip(_C, labels, strict=True))


_WORDS = {
    "en": Words(
        _categories("Visitor", "Parent / Guardian", "Volunteer", "Contractor", "Delivery", "Substitute", "Official"),
        "Escort required", "Valid until", "Host", "Zones",
        ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
        ("M", "T", "W", "T", "F", "S", "S"),
        "{weekday} {month} {day}",
    ),
    "es": Words(
        _categories("Visitante", "Padre / Tutor", "Voluntario", "Contratista", "Entrega", "Suplente", "Oficial"),
        "Con acompañante", "Válido hasta", "Anfitrión", "Zonas",
        ("lun", "mar", "mié", "jue", "vie", "sáb", "dom"),
        ("ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"),
        ("L", "M", "X", "J", "V", "S", "D"),
    ),
    "vi": Words(
        _categories("Khách", "Phụ huynh", "Tình nguyện", "Nhà thầu", "Giao hàng", "Dạy thay", "Công vụ"),
        "Cần người đi cùng", "Có giá trị đến", "Người tiếp", "Khu vực",
        ("T2", "T3", "T4", "T5", "T6", "T7", "CN"), tuple(str(month) for month in range(1, 13)),
        ("T2", "T3", "T4", "T5", "T6", "T7", "CN"), "{weekday} {day}/{month}",
    ),
    "ar": Words(
        _categories("زائر", "ولي أمر", "متطوع", "مقاول", "توصيل", "معلم بديل", "رسمي"),
        "يلزم مرافق", "صالح حتى", "المضيف", "المناطق",
        ("الإثنين", "الثلاثاء", "الأربعاء", "الخميس", "الجمعة", "السبت", "الأحد"),
        ("يناير", "فبراير", "مارس", "أبريل", "مايو", "يونيو", "يوليو", "أغسطس", "سبتمبر", "أكتوبر", "نوفمبر", "ديسمبر"),
        ("ن", "ث", "ر", "خ", "ج", "س", "ح"),
    ),
    "zh": Words(
        _categories("访客", "家长", "志愿者", "承包商", "送货", "代课", "公务"),
        "须陪同", "有效至", "接待人", "区域",
        ("周一", "周二", "周三", "周四", "周五", "周六", "周日"), tuple(str(month) for month in range(1, 13)),
        ("一", "二", "三", "四", "五", "六", "日"), "{month}月{day}日 {weekday}",
    ),
}  # fmt: skip

LANGUAGES = tuple(_WORDS)
"""Languages whose words the badge knows; any other prints English."""


def words(language: str) -> Words:
    """The words of a language ("es", "es-MX"), or English."""
    return _WORDS.get(language.split("-")[0].split("_")[0].lower(), _WORDS["en"])


def clock(time: dt.datetime, language: str) -> str:
    """A time as a badge says it where it is worn: "3:30 PM" in the languages of a United States school, else "15:30"."""
    if words(language) in (words("en"), words("es")):
        return f"{time.hour % 12 or 12}:{time:%M} {'AM' if time.hour < 12 else 'PM'}"
    return f"{time:%H:%M}"


def day(date: dt.date, language: str) -> str:
    """A date as a badge says it: "Sat Nov 21"."""
    known = words(language)
    return known.day_form.format(weekday=known.weekdays[date.weekday()], day=date.day, month=known.months[date.month - 1])

"""Badge + Media → one image, the same dots every time."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from .badge import Badge
from .errors import MediaTooSmall, PhotoError
from .marks import Code
from .media import Media
from .photo import open_photo
from .sheet import Sheet
from .text import missing

_SCALES = (1.25, 1.12, 1.0, 0.92, 0.84, 0.76, 0.7, 0.64, 0.58, 0.52, 0.46, 0.4)


def render(badge: Badge, media: Media) -> Image.Image:
    """Draw a badge for a paper: black and white ("1"), as wide as the print head, with the media's resolution.

    With the same Pillow the same badge on the same media has the same dots on every machine. A photo that cannot be
    read leaves its place to a drawn head and shoulders (see `photo_problem`), since a broken picture must not keep a
    visitor at the desk.
    On a roll the badge is as long as it needs; on a label it is drawn as large as the label lets.
    Raises `MediaTooSmall` when the paper cannot carry it: the badge is never cut short.
    """
    photo = None
    if badge.photo is not None:
        try:
            # What the layouts below give a photo at most, as a part of the paper's width.
            photo = open_photo(badge.photo, about=round(media.width * (0.53 if media.wide else 0.63)))
        except PhotoError:
            photo = None
    code = Code(badge.token, media.dpi) if badge.token else None
    arrange = _arrangement(media)
    if media.length is None:
        return _drawn(arrange, Sheet(badge, media, photo, code, 1.0))
    # The largest scale that fits, by halving, tried without the photo, whose place is the same with and without it.
    fitting: float | None = None
    problem = MediaTooSmall(f"{media.name} is too small")
    low, high = 0, len(_SCALES) - 1
    while low <= high:
        middle = (low + high) // 2
        try:
            _drawn(arrange, Sheet(badge, media, None, code, _SCALES[middle]))
            fitting, high = _SCALES[middle], middle - 1
        except MediaTooSmall as error:
            problem, low = error, middle + 1
    if fitting is None:
        raise problem
    return _drawn(arrange, Sheet(badge, media, photo, code, fitting))


def photo_problem(badge: Badge) -> str | None:
    """Why the badge's photo would not print, in words for the desk, or None."""
    if badge.photo is None:
        return None
    try:
        open_photo(badge.photo, about=64)
    except PhotoError as error:
        return str(error)
    return None


def unprintable(badge: Badge) -> str:
    """The characters of the badge that no font of this library has, each once; they print as empty boxes."""
    said = (badge.name, badge.school, badge.host, badge.purpose, badge.number, badge.category_label, badge.escort_label, *badge.zones)
    return missing(" ".join(said))


def _drawn(arrange: Callable[[Sheet], None], sheet: Sheet) -> Image.Image:
    arrange(sheet)
    return sheet.finished()


def _arrangement(media: Media) -> Callable[[Sheet], None]:
    if media.length is not None and media.width > media.length:
        return _lying
    return _wide if media.wide else _narrow


def _narrow(sheet: Sheet) -> None:
    """58 and 62 mm: photo and time side by side, the code below in full width."""
    sheet.school()
    sheet.date()
    sheet.category()
    sheet.name(lines=4, largest_mm=13, height_mm=46)
    sheet.escort()
    photo_width = round((sheet.right - sheet.left) * 0.5)
    top, bottom = sheet.y, sheet.y + round(photo_width * 1.25)
    sheet.photo((sheet.left, top, sheet.left + photo_width, bottom))
    sheet.until_tall(sheet.left + photo_width + sheet.gap, top, sheet.right, bottom)
    sheet.y = bottom + sheet.gap
    sheet.facts()
    sheet.y = sheet.code(sheet.left, sheet.y, sheet.right)
    sheet.number()


def _wide(sheet: Sheet) -> None:
    """80 and 102 mm, and upright labels: photo and code side by side."""
    sheet.school()
    sheet.date()
    sheet.category()
    sheet.name(lines=3, largest_mm=17, height_mm=44)
    sheet.escort()
    top = sheet.y
    photo_right = sheet.left + sheet.mm(34)
    code_bottom = top
    if sheet.badge.token:
        # The code goes first, the photo takes what is left: at least 24 mm.
        wanted = min(sheet.code_room, sheet.right - sheet.left - sheet.mm(24) - sheet.gap)
        code_bottom = sheet.code(sheet.right - wanted, top, sheet.right)
        photo_right = min(sheet.code_left - sheet.gap // 2, sheet.left + round((code_bottom - top) / 1.25))
    photo_bottom = top + round((photo_right - sheet.left) * 1.25)
    lower = max(0, (code_bottom - photo_bottom) // 2)
    sheet.photo((sheet.left, top + lower, photo_right, photo_bottom + lower))
    sheet.y = max(code_bottom, photo_bottom) + sheet.gap // 2
    sheet.until_line()
    sheet.facts()
    sheet.number()


def _lying(sheet: Sheet) -> None:
    """A die-cut label on its side: photo and code in a column on the left, words on the right."""
    assert sheet.media.length is not None
    top, bottom = sheet.y, sheet.media.length - sheet.mm(sheet.media.margin_mm)
    left = sheet.left
    half = (bottom - top) // 2
    code_top = bottom - half if sheet.badge.token else bottom
    column = left + half
    if sheet.badge.token:
        sheet.code(left, code_top, column)
    photo_height = min(code_top - top - sheet.gap // 2, round(half * 1.25))
    photo_width = min(half, round(photo_height / 1.25) if not sheet.badge.token else half)
    sheet.photo((left, top, left + photo_width, top + photo_height))
    sheet.left = column + sheet.gap
    sheet.school()
    sheet.date()
    sheet.category()
    sheet.name(lines=3, largest_mm=12, height_mm=26)
    sheet.escort()
    sheet.until_line()
    sheet.facts()
    sheet.number()

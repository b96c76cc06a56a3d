"""Golden images of the sample badges: what they are, how to renew them, how to look at them.

    python tests/printers/golden.py --renew          # draw them anew into tests/printers/golden/
    python tests/printers/golden.py --view FOLDER    # one contact sheet a paper, to look at
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from printers import MEDIA, render
from printers.testing import sample_badges

FOLDER = Path(__file__).parent / "golden"

# Every hard case on the commonest paper, and on each other paper those that its layout makes different.
_ELSEWHERE = ("plain", "escort", "vietnamese", "arabic", "chinese", "overnight", "everything-long")
CASES = [("80mm", kind) for kind in sample_badges()] + [
    (media, kind) for media in ("58mm", "62mm", "102mm", "102x76mm", "102x152mm") for kind in _ELSEWHERE
]


def path(media: str, kind: str) -> Path:
    return FOLDER / f"{media}-{kind}.png"


def renew() -> None:
    badges = sample_badges()
    for old in FOLDER.glob("*.png"):
        old.unlink()
    for media, kind in CASES:
        render(badges[kind], MEDIA[media]).save(path(media, kind), optimize=True)


def view(folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    sheets = []
    for media in dict.fromkeys(media for media, _ in CASES):
        images = [Image.open(path(media, kind)).convert("L") for at, kind in CASES if at == media]
        for page, start in enumerate(range(0, len(images), 6), 1):
            row = [image.reduce(2) for image in images[start : start + 6]]
            sheet = Image.new("L", (sum(i.width + 12 for i in row) + 12, max(i.height for i in row) + 24), 170)
            x = 12
            for image in row:
                sheet.paste(image, (x, 12))
                x += image.width + 12
            sheets.append(folder / f"{media}-{page}.png")
            sheet.save(sheets[-1])
    return sheets


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renew", action="store_true")
    parser.add_argument("--view", type=Path)
    chosen = parser.parse_args()
    if chosen.renew:
        renew()
    if chosen.view:
        for sheet in view(chosen.view):
            print(sheet)

"""Make the fonts of this folder anew from Noto's own, keeping the characters that names and schools need.

    python printers/fonts/make.py PYFTSUBSET NOTO CJK

PYFTSUBSET is fonttools' program, in an environment of its own; NOTO the folder of the Noto .ttf files (Debian: fonts-noto-core),
CJK the file NotoSansCJK-Bold.ttc (Debian: fonts-noto-cjk). Layout tables go, since `printers.text` lays out by itself.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent

_LATIN = (
    "U+0020-007E,U+00A0-024F,U+0259,U+02B0-02FF,U+0300-036F,U+0370-03FF,U+0400-052F,U+1E00-1EFF,U+1F00-1FFF,"
    "U+2010-2027,U+2030-203A,U+2044,U+20A0-20BF,U+2122,U+2190-2193,U+2212,U+25A1,U+25CC,U+FFFD"
)
# Scripts whose letters neither join nor change order: with them, drawing letter after letter is right.
SINGLE = {
    "NotoSans-Regular.ttf": _LATIN,
    "NotoSans-Bold.ttf": _LATIN,
    "NotoSansArabic-Bold.ttf": "U+0020-002F,U+0600-06FF,U+0750-077F,U+FB50-FDFF,U+FE70-FEFC,U+200C-200F",
    "NotoSansHebrew-Bold.ttf": "U+0020-002F,U+0590-05FF,U+FB1D-FB4F",
    "NotoSansArmenian-Bold.ttf": "U+0531-058F",
    "NotoSansGeorgian-Bold.ttf": "U+10A0-10FF,U+1C90-1CBF",
    "NotoSansEthiopic-Bold.ttf": "U+1200-137F",
    "NotoSansCherokee-Regular.ttf": "U+13A0-13FF,U+AB70-ABBF",
}


def _two_bytes(codec: str, lead: range, trail: list[int]) -> set[int]:
    """The characters of a national standard's table."""
    found: set[int] = set()
    for first in lead:
        for second in trail:
            try:
                text = bytes((first, second)).decode(codec)
            except UnicodeDecodeError:
                continue
            found |= {ord(text)} if len(text) == 1 else set()
    return found


def cjk() -> str:
    """What China's GB 2312, Big5's first level, JIS X 0208's first level and Korea's KS X 1001 hold: 12,000 characters."""
    high = list(range(0xA1, 0xFF))
    han = _two_bytes("gb2312", range(0xA1, 0xF8), high)
    han |= _two_bytes("big5", range(0xA4, 0xC7), [*range(0x40, 0x7F), *high])
    han |= _two_bytes("euc_jp", range(0xB0, 0xD0), high)
    kept = {char for char in han if char >= 0x2E80} | _two_bytes("euc_kr", range(0xB0, 0xC9), high)
    kept |= {*range(0x20, 0x7F), *range(0x3000, 0x3020), *range(0x3040, 0x3100), *range(0x31F0, 0x3200), *range(0xFF01, 0xFF5F)}
    return ",".join(f"U+{char:04X}" for char in sorted(kept))


def subset(pyftsubset: str, source: Path, target: Path, characters: str, *more: str) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write(characters)
        listed.flush()
        subprocess.run(
            [pyftsubset, str(source), f"--unicodes-file={listed.name}", f"--output-file={target}", "--layout-features=",
             "--legacy-kern", "--notdef-outline", "--name-IDs=0,1,2,3,4,5,6,13,14",
             "--drop-tables+=GSUB,GPOS,GDEF,vhea,vmtx,VORG,BASE", *more],
            check=True,
        )  # fmt: skip


def main() -> None:
    pyftsubset, noto, pan_cjk = sys.argv[1:]
    for name, characters in SINGLE.items():
        subset(pyftsubset, Path(noto) / name, HERE / name, characters)
    # The third face of the collection is the one for simplified Chinese.
    subset(pyftsubset, Path(pan_cjk), HERE / "NotoSansCJK-Bold.otf", cjk(), "--font-number=2")


if __name__ == "__main__":
    main()

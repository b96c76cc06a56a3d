"""Coverage-guided fuzzing of everything in ``readers`` that takes bytes from outside: atheris, run by ``make fuzz``.

    python tests/readers/fuzz.py -max_total_time=600

Clean means: every input ends, within thirty seconds (a loaded machine is slow) and one gigabyte, in a value or in an error of this library's own tree.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

try:
    import atheris
except ImportError:
    raise SystemExit("Fuzzing needs atheris: pip install 'visitor[fuzz]'") from None

with atheris.instrument_imports(include=["readers"]):
    import readers
    from readers import tlv
    from readers.aamva import parse_aamva
    from readers.apdu import exchange
    from readers.cards import piv_data
    from readers.cards.cms import read_signed
    from readers.cards.fascn import FascN
    from readers.cards.pkoc import verify_response
    from readers.evdev import KeyDecoder
    from readers.testing import ScriptedConnection, TestIssuer, license_payload, passport_mrz

TODAY = date(2026, 11, 21)


def scripted(data: bytes) -> ScriptedConnection:
    """A card whose answers are cut out of ``data``: a length byte, that many bytes, two bytes of status."""
    answers: list[tuple[bytes, int] | Exception] = []
    at = 0
    while at < len(data) and len(answers) < 64:
        size = data[at]
        body = data[at + 1 : at + 1 + size]
        status = data[at + 1 + size : at + 3 + size]
        answers.append((body, int.from_bytes(status, "big") if len(status) == 2 else 0x9000))
        at += 3 + size
    return ScriptedConnection(answers)


def wiegand(data: bytes) -> None:
    readers.decode_wiegand("".join(f"{byte:08b}" for byte in data))


TARGETS = (
    lambda data: readers.parse(data, today=TODAY),
    lambda data: parse_aamva(data.decode("latin-1"), today=TODAY),
    lambda data: readers.parse_mrz(data.decode("latin-1"), today=TODAY),
    tlv.parse,
    piv_data.Chuid.parse,
    piv_data.Cbeff.parse,
    piv_data.certificate,
    read_signed,
    FascN.decode,
    lambda data: verify_response(data, bytes(16)),
    lambda data: exchange(scripted(data), 0x00, 0xCB, 0x3F, 0xFF, b"\x5c\x01\x7e"),
    lambda data: readers.read_card(scripted(data)),
    wiegand,
    lambda data: readers.decode_keys(KeyDecoder().feed(data)),
)


def one_input(data: bytes) -> None:
    if data:
        with contextlib.suppress(readers.ReaderError):
            TARGETS[data[0] % len(TARGETS)](data[1:])


def seeds(folder: Path) -> None:
    """Good input for each target to start from."""
    card = TestIssuer().piv("Jordan Lee")
    good: dict[int, list[bytes]] = {
        0: [license_payload(issuer=issuer, version=version) for issuer in ("TX", "ON") for version in (4, 10)],
        1: [license_payload().replace(b"\n", b""), b"%TXAUSTIN^DOE$JOHN^1 A ST^?;63601512345678=280119850212?"],
        2: [passport_mrz().encode(), passport_mrz().replace("\n", "").encode()],
        3: [card.objects[piv_data.SECURITY]],
        4: [card.objects[piv_data.CHUID]],
        6: [card.objects[piv_data.CARD_AUTH]],
        7: [piv_data.Chuid.parse(card.objects[piv_data.CHUID]).signature],
    }
    for target, examples in good.items():
        for index, example in enumerate(examples):
            (folder / f"{target}-{index}").write_bytes(bytes([target]) + example)


def main() -> None:
    # The fuzzer leaves the process without a word, so nothing after it tidies up: the folder is emptied before.
    folder = Path(tempfile.gettempdir()) / f"fuzz-readers-{os.getuid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    seeds(folder)
    arguments = [sys.argv[0], "-timeout=30", "-rss_limit_mb=1024", "-max_len=4096", *sys.argv[1:], str(folder)]
    atheris.Setup(arguments, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

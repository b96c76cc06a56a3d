"""The installer's tool: what is plugged in, what it says, and what is in a file.

    python -m readers list
    python -m readers watch [--serial PATH[@BAUD]] [--tcp HOST:PORT] [--listen PORT] [--input PATH] [--cards]
    python -m readers decode FILE|- [--show]

Personal data is shown only with ``--show``: the output of a tool ends up in tickets and mails.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from pathlib import Path

import msgspec

from . import (
    CardPresented,
    CardReaders,
    DocumentScanned,
    IdDocument,
    InputScanner,
    LineScanner,
    ListeningScanner,
    ReaderError,
    ReadersConfig,
    Reading,
    SerialLine,
    TcpLine,
    decode_image,
    list_card_readers,
    open_readers,
    parse,
)

__all__ = ["main"]

_PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"P5", b"P6", b"BM", b"RIFF", b"GIF8")
# What cameras and phones make as well, and is refused in words instead of being taken for a scan.
_OTHER_PICTURES = (b"II*\x00", b"MM\x00*", b"%PDF-")
# Larger than any picture that is opened; "decode /dev/zero" ends, too.
_MAX_BYTES = 40_000_001


def main(arguments: list[str] | None = None) -> int:
    """Run the tool; 0 when it did what was asked, 1 when not, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m readers", description="Find, watch and try out readers.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list card readers, serial ports and input devices")
    watch = commands.add_parser("watch", help="show what readers report until interrupted")
    watch.add_argument("--serial", action="append", default=[], type=_serial, metavar="PATH[@BAUD]", help="a serial scanner")
    watch.add_argument("--tcp", action="append", default=[], type=_tcp, metavar="HOST:PORT", help="a network scanner that waits for us")
    watch.add_argument("--listen", action="append", default=[], type=int, metavar="PORT", help="a network scanner that connects to us")
    watch.add_argument("--input", action="append", default=[], metavar="PATH", help="a keyboard wedge's input device, grabbed")
    watch.add_argument("--cards", action="store_true", help="all PC/SC card readers")
    watch.add_argument("--seconds", type=float, default=None, help="stop after so long")
    decode = commands.add_parser("decode", help="read a picture, or the bytes of a scan")
    decode.add_argument("file", help="a file, or - for standard input")
    for command in (watch, decode):
        command.add_argument("--show", action="store_true", help="show names and numbers, which may be personal data")
    options = parser.parse_args(arguments)
    try:
        match options.command:
            case "list":
                return _list()
            case "watch":
                with contextlib.suppress(KeyboardInterrupt, TimeoutError):
                    asyncio.run(_watch(options))
                return 0
            case _:
                return _decode(options.file, show=options.show)
    except ReaderError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return 1


def _serial(text: str) -> SerialLine:
    path, _, baud = text.partition("@")
    if not path or not (baud or "9600").isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not PATH or PATH@BAUD, like /dev/ttyUSB0@115200")
    return SerialLine(path, int(baud or 9600))


def _tcp(text: str) -> TcpLine:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, like 192.0.2.7:4001")
    return TcpLine(host.strip("[]"), int(port))


def _list() -> int:
    try:
        cards = list_card_readers()
        for name in cards:
            print(f"card reader   {name}")
        if not cards:
            print("card reader   none")
    except ReaderError as error:
        print(f"card reader   {error.message}")
    for kind, folder in (("serial port", "/dev/serial/by-id"), ("input device", "/dev/input/by-id")):
        found = sorted(Path(folder).iterdir()) if Path(folder).is_dir() else []
        for path in found:
            print(f"{kind:<13} {path}")
        if not found:
            print(f"{kind:<13} none below {folder}")
    return 0


async def _watch(options: argparse.Namespace) -> None:
    scanners: list[LineScanner | ListeningScanner | InputScanner] = []
    scanners += [LineScanner(name=line.path, line=line) for line in options.serial]
    scanners += [LineScanner(name=f"{line.host}:{line.port}", line=line) for line in options.tcp]
    scanners += [ListeningScanner(name=f"port {port}", host="0.0.0.0", port=port) for port in options.listen]  # noqa: S104 - asked for
    scanners += [InputScanner(name=path, path=path) for path in options.input]
    config = ReadersConfig(scanners=tuple(scanners), cards=CardReaders() if options.cards or not scanners else None)
    async with asyncio.timeout(options.seconds), open_readers(config) as stream:
        for name, port in stream.ports.items():
            print(f"{name} listens on port {port}", flush=True)
        async for event in stream:
            print(event, flush=True)
            if options.show:
                if isinstance(event, DocumentScanned):
                    _print(event.reading)
                elif isinstance(event, CardPresented):
                    print(f"    identifier     {event.card.identifier}")
                    if event.document is not None:
                        _print(event.document)


def _decode(file: str, *, show: bool) -> int:
    try:
        with contextlib.ExitStack() as stack:
            data = (sys.stdin.buffer if file == "-" else stack.enter_context(Path(file).open("rb"))).read(_MAX_BYTES)
    except OSError as error:
        print(f"{file}: {error.strerror}", file=sys.stderr)
        return 1
    if not data.startswith(_PICTURES + _OTHER_PICTURES) and data[4:8] != b"ftyp":
        reading = parse(data)
        print(reading)
        _print(reading, show=show)
        return 0
    symbols = decode_image(data, budget_ms=3000)
    if not symbols:
        print("No barcode was found on the picture. Try a sharper one, taken straight from above.", file=sys.stderr)
        return 1
    failed = 0
    for symbol in symbols:
        print(symbol)
        try:
            reading = parse(symbol.data)
        except ReaderError as error:
            failed += 1
            print(f"    {error.code}: {error.message}")
            continue
        print(reading)
        _print(reading, show=show)
    return 1 if failed == len(symbols) else 0


def _print(reading: Reading, *, show: bool = True) -> None:
    if isinstance(reading, IdDocument):
        for warning in reading.warnings:
            print(f"    warning        {warning.text}")
    if not show:
        print("    what it says is left out; --show shows it")
        return
    for name in reading.__struct_fields__:
        value = getattr(reading, name)
        if value in (None, (), "") or name == "warnings":
            continue
        if isinstance(value, msgspec.Struct):
            value = ", ".join(str(part) for part in msgspec.structs.astuple(value) if part)
        elif isinstance(value, tuple):
            value = " ".join(map(str, value))
        elif isinstance(value, bytes):
            value = f"{len(value)} bytes"
        print(f"    {name:<14} {value}")


if __name__ == "__main__":
    raise SystemExit(main())

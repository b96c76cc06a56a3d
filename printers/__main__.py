"""`python -m printers`: what is supported, how a badge looks, how a printer is, and a test badge."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from . import (
    MEDIA,
    PROFILES,
    Badge,
    Category,
    CupsTransport,
    DeviceTransport,
    FileTransport,
    NetworkTransport,
    PrinterError,
    Transport,
    encode,
    media_named,
    produce,
    profile_named,
    render,
)

EXAMPLES = """examples:
  python -m printers list
  python -m printers sample --media 80mm --kind arabic badge.png
  python -m printers samples /tmp/badges
  python -m printers status tcp://10.0.0.9 --profile epson-tm
  python -m printers test tcp://10.0.0.9 --profile epson-tm --media 80mm
  python -m printers test usb:///dev/usb/lp0 --profile brother-ql --media 62mm
  python -m printers test cups://frontdesk --profile zebra --media 102x76mm
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit code: 0 well, 1 the printer or the badge would not, 2 a wrong command."""
    parser = argparse.ArgumentParser(
        prog="python -m printers", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="papers and printer profiles")
    sample = commands.add_parser("sample", help="draw one sample badge to a picture file")
    sample.add_argument("file", type=Path)
    sample.add_argument("--media", default="80mm")
    sample.add_argument("--kind", default="plain", help="which sample (default: plain)")
    samples = commands.add_parser("samples", help="draw every sample on every paper into a folder, to look at")
    samples.add_argument("folder", type=Path)
    for name, words in (("status", "say how a printer is"), ("test", "print a test badge")):
        command = commands.add_parser(name, help=words)
        command.add_argument("address", help="tcp://host:port, usb:///dev/…, serial:///dev/…?baud=…, cups://queue, file:///folder")
        command.add_argument("--profile", required=True, help="one of: " + ", ".join(PROFILES))
        if name == "test":
            command.add_argument("--media", help="paper (default: the profile's first)")
    chosen = parser.parse_args(arguments)
    try:
        return _run(chosen)
    except (PrinterError, ValueError) as error:
        print(f"printers: {error}", file=sys.stderr)
        return 1


def _run(chosen: argparse.Namespace) -> int:
    if chosen.command == "list":
        _list()
    elif chosen.command == "sample":
        _sample(chosen.file, chosen.media, chosen.kind)
    elif chosen.command == "samples":
        _samples(chosen.folder)
    elif chosen.command == "status":
        status = asyncio.run(transport_at(chosen.address, chosen.profile).status())
        print(status.words())
        return 0 if status.ready else 1
    else:
        profile = profile_named(chosen.profile)
        media = media_named(chosen.media or profile.media[0])
        data = encode(render(_test_badge(), media), profile)
        receipt = asyncio.run(transport_at(chosen.address, chosen.profile).send(data))
        print("printed, as the printer itself says" if receipt.confirmed else "handed over; this printer does not say whether it printed")
    return 0


def _list() -> None:
    print("papers (--media):")
    for media in MEDIA.values():
        length = f" x {media.length / media.dpi * 25.4:.0f} mm label" if media.length else " roll"
        print(f"  {media.name:16} {media.width:5} dots at {media.dpi} dpi, {media.paper_mm:g} mm{length}")
    print("printers (--profile):")
    for profile in PROFILES.values():
        print(f"  {profile.name:16} {profile.title}; papers: {', '.join(profile.media)}")


def _sample(file: Path, media: str, kind: str) -> None:
    from .testing import sample_badges

    badges = sample_badges()
    if kind not in badges:
        raise ValueError(f"there is no sample {kind!r}; there are: {', '.join(badges)}")
    file.write_bytes(produce(badges[kind], media, "pdf" if file.suffix.lower() == ".pdf" else "png"))


def _samples(folder: Path) -> None:
    from .testing import sample_badges

    folder.mkdir(parents=True, exist_ok=True)
    for kind, badge in sample_badges().items():
        for media in MEDIA:
            try:
                (folder / f"{media}-{kind}.png").write_bytes(produce(badge, media, "png"))
            except PrinterError as error:
                print(f"{media}-{kind}: {error}", file=sys.stderr)
    print(folder)


def transport_at(address: str, profile: str) -> Transport:
    """The transport of an address as this command takes it. Raises `ValueError` or `UnknownName`."""
    profile_named(profile)
    parts = urlsplit(address)
    if parts.scheme == "tcp" and parts.hostname:
        return NetworkTransport(parts.hostname, parts.port or 9100, profile=profile)
    if parts.scheme == "usb" and parts.path:
        return DeviceTransport(parts.path, profile=profile)
    if parts.scheme == "serial" and parts.path:
        baud = parse_qs(parts.query).get("baud", ["9600"])[0]
        if not baud.isdecimal():
            raise ValueError(f"{baud!r} is no speed of a serial line")
        return DeviceTransport(parts.path, profile=profile, baud=int(baud))
    if parts.scheme == "cups" and parts.netloc:
        # cups://queue, or cups://server:port/queue
        queue, raw = parts.path.strip("/"), profile not in ("pdf", "png")
        return CupsTransport(queue, server=parts.netloc, raw=raw) if queue else CupsTransport(parts.netloc, raw=raw)
    if parts.scheme == "file" and parts.path:
        return FileTransport(parts.path, suffix=f".{profile}" if profile in ("pdf", "png") else ".bin")
    raise ValueError(f"{address!r} is no printer's address; try tcp://10.0.0.9, usb:///dev/usb/lp0 or cups://queue")


def _test_badge() -> Badge:
    now = dt.datetime.now().astimezone()
    return Badge(
        name="Test Badge", school="No visitor", date=now.date(), valid_until=now + dt.timedelta(minutes=1), escort=True,
        category=Category.OFFICIAL, purpose="Printer test", number=f"TEST-{now:%H%M%S}", token="VB1:TEST",  # noqa: S106  a word to scan, no secret
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())

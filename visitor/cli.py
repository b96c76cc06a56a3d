"""The command line: run, demo, watchlist, account, station, audit, doctor. Every command has an example in its help."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from visitor import __version__
from visitor.errors import VisitorError

Command = Callable[[argparse.Namespace], Awaitable[int]]


def main(argv: list[str] | None = None) -> int:
    """Entry point of `visitor`; returns the exit status: 0 done, 1 refused or failed, 2 wrong usage."""
    args = parser().parse_args(argv)
    command: Command | None = getattr(args, "command", None)
    if command is None:
        parser().print_help()
        return 2
    try:
        if command is _run:
            import uvloop  # the serving loop: a check-in costs about a tenth less processor time

            return uvloop.run(command(args))
        return asyncio.run(command(args))  # type: ignore[arg-type]
    except VisitorError as e:
        print(f"visitor: {e.detail}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="visitor",
        description="Visitor management and access credentials for school districts.",
        epilog="Try it without hardware:  visitor run --demo      Every command explains itself:  visitor run --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"visitor {__version__}")
    commands = top.add_subparsers(title="commands", metavar="")

    run = _command(
        commands, "run", "run a node: the service, its database and its hardware",
        "visitor run --demo\n  visitor run --data /var/lib/visitor --port 8443 --tls-cert cert.pem --tls-key key.pem\n"
        "  VISITOR_DATABASE_URL=postgresql://visitor@db/visitor visitor run",
        _run,
    )
    _common(run)
    run.add_argument("--host", help="address to listen on (default 127.0.0.1; 0.0.0.0 for every network)")
    run.add_argument("--port", type=int, help="TCP port (default 8080)")
    run.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain in PEM; phones' cameras need HTTPS")
    run.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key in PEM")
    run.add_argument("--demo", action="store_true", help="a made-up district with virtual hardware, on this machine only")

    demo = _command(commands, "demo", "about the demo district", "visitor demo info --json", None)
    demo_commands = demo.add_subparsers(title="commands", metavar="", required=True)
    info = _command(demo_commands, "info", "addresses, sign-ins and tokens of the demo", "visitor demo info --json --data DIR", _demo_info)
    info.add_argument("--json", action="store_true", help="for scripts")
    _common(info)

    lists = _command(commands, "watchlist", "import and inspect watchlists", "visitor watchlist list", None)
    list_commands = lists.add_subparsers(title="commands", metavar="", required=True)
    shown = _command(list_commands, "list", "the lists in force, with their age", "visitor watchlist list", _watchlists)
    _common(shown)
    imported = _command(
        list_commands, "import", "import a file as a new revision of a list",
        "visitor watchlist import offenders registry.csv --format mapped-csv\n"
        "  visitor watchlist import sanctions sdn.zip --format ofac-csv",
        _import,
    )
    imported.add_argument("name", help="the list's name")
    imported.add_argument("file", type=Path)
    imported.add_argument("--format", required=True, help="the file's format, for example ofac-csv, un-xml, nsopw-json, entries-jsonl")
    imported.add_argument("--allow-shrink", action="store_true", help="accept a file with far fewer entries than the revision in force")
    _common(imported)

    pair = _command(commands, "pair", "print a link that pairs a device as a station", "visitor pair 'Front desk kiosk'", _pair)
    pair.add_argument("station", help="the station's name or id")
    _common(pair)

    token = _command(
        commands, "token", "make a token for a machine",
        "visitor token 'door controller' --role doors --site 'Maple Grove Elementary'", _token,
    )
    token.add_argument("name", help="what it is for; shown in the audit as an id")
    token.add_argument("--role", required=True, choices=["desk", "hall", "respond", "admin", "doors"])
    token.add_argument("--site", help="a school's name or id (default: every school)")
    token.add_argument("--days", type=int, default=365, help="how long it lasts (default 365)")
    _common(token)

    doctor = _command(commands, "doctor", "check this node: database, lists, printers, readers", "visitor doctor", _doctor)
    doctor.add_argument("--print-test", metavar="PRINTER", help="also print a test badge at this printer (name or id)")
    _common(doctor)
    return top


def _command(commands: Any, name: str, summary: str, example: str, function: Command | None) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + ".", epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if function is not None:
        made.set_defaults(command=function)
    return made


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data", type=Path, metavar="DIR", help="data folder (default: $VISITOR_DATA or the usual place for this account)"
    )
    command.add_argument("--config", type=Path, metavar="FILE", help="visitor.toml (default: $VISITOR_CONFIG)")


# Each command's code is imported when it is used: `visitor --help` answers at once.


async def _run(args: argparse.Namespace) -> int:
    from visitor import run

    return await run.run(run.settings_of(args))


async def _demo_info(args: argparse.Namespace) -> int:
    from visitor import run

    return run.demo_info(run.settings_of(args, demo=True), as_json=args.json)


async def _watchlists(args: argparse.Namespace) -> int:
    from visitor import commands, run

    return await commands.watchlists(run.settings_of(args))


async def _import(args: argparse.Namespace) -> int:
    from visitor import commands, run

    return await commands.import_list(run.settings_of(args), args.name, args.file, args.format, allow_shrink=args.allow_shrink)


async def _pair(args: argparse.Namespace) -> int:
    from visitor import commands, run

    return await commands.pair(run.settings_of(args), args.station)


async def _token(args: argparse.Namespace) -> int:
    from visitor import commands, run

    return await commands.token(run.settings_of(args), args.name, args.role, args.site, args.days)


async def _doctor(args: argparse.Namespace) -> int:
    from visitor import commands, run

    return await commands.doctor(run.settings_of(args), args.print_test)


if __name__ == "__main__":
    sys.exit(main())

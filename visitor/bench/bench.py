"""Virtual hardware on the real wires: printers on TCP, a scanner on a pty, a PIV card's chip, a door reader on OSDP.

Nothing here reaches past a wire: the node finds a printer's address, a serial port and an OSDP line, as it would find real
ones, and what the page shows is what arrived at the far end.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

import readers
from printers.testing import VirtualPrinter
from readers.testing import TestIssuer, VirtualDoorReader, VirtualScanner
from visitor.bench import district, wallet
from visitor.errors import Conflict, NotFound
from visitor.security import Grant, Principal

if TYPE_CHECKING:
    from PIL import Image

    from visitor.app import Node

SCANNER = "bench scanner"
DOOR = "bench"


class Bench:
    def __init__(self) -> None:
        self.node: Node | None = None
        self.printers: list[VirtualPrinter] = []
        self.printer_ids: list[UUID] = []
        self.door = VirtualDoorReader("Main hall")
        self.scanner = VirtualScanner()
        issuer = TestIssuer("Springvale Utilities")
        self.trust = issuer.trust()
        self.chip = issuer.piv("Marek Kowalski", credential="004711")
        # Where the scanner and the card reader stand: a kiosk, changed on the page.
        self.station_id: UUID | None = None

    @classmethod
    @asynccontextmanager
    async def switched_on(cls) -> AsyncIterator[Bench]:
        bench = cls()
        async with AsyncExitStack() as stack:
            for _ in range(4):
                # About the speed of a real one: a badge takes a moment to come out.
                bench.printers.append(await stack.enter_async_context(VirtualPrinter(rows_per_second=1800)))
            stack.enter_context(bench.door)
            stack.enter_context(bench.scanner)
            yield bench

    def handlers(self) -> list[Any]:
        from visitor.bench.routes import handlers  # the routes import the page's parts, which know this class

        return handlers(self)

    @property
    def addresses(self) -> list[str]:
        """Where the printers listen this time: the system chose the ports."""
        return [f"tcp://127.0.0.1:{p.port}" for p in self.printers]

    async def plug(self, app_url: str) -> None:
        """Tell the configuration of an earlier start where its printers are now, before the node looks for them."""
        conn = await asyncpg.connect(app_url)
        try:
            for row, address in zip(await conn.fetch("select id from printers order by site_id, name"), self.addresses, strict=False):
                await conn.execute("update printers set address = $2 where id = $1", row["id"], address)
        finally:
            await conn.close()

    async def attach(self, node: Node) -> None:
        """Plug everything into a started node whose district is there."""
        self.node = node
        self.printer_ids = [p.id for p in sorted(node.sites.printers(), key=lambda p: (str(p.site_id), p.name))]
        self.station_id = next(s.id for s in node.sites.stations(self.school) if s.kind == "kiosk")
        node.virtual_doors[DOOR] = self.door.configuration
        await node.door_bridge.look()
        config = readers.ReadersConfig(
            scanners=(readers.LineScanner(name=SCANNER, line=readers.SerialLine(self.scanner.path)),), release_s=0.2
        )
        await node.readers.follow(config, lambda _name: self.station_id)

    @property
    def running(self) -> Node:
        assert self.node is not None, "the bench is used after attach"
        return self.node

    @property
    def school(self) -> UUID:
        """The school with the wired door: the bench's own."""
        node = self.running
        return next((d.site_id for d in node.sites.doors() if d.reader), node.sites.schools()[0].id)

    # ── at the kiosk ─────────────────────────────────────────────────────────────────────────────────────

    def scan(self, key: str) -> None:
        """The scanner at the kiosk reads something from the drawer. Raises NotFound."""
        if key not in wallet.samples():
            raise NotFound("There is no such thing in the drawer.")
        self.scanner.scan(wallet.samples()[key].payload)

    async def insert_chip(self) -> None:
        """The contractor's PIV card in the kiosk's reader: the chip proves itself, over the same application code as a real one."""
        assert self.station_id is not None
        node = self.running
        try:
            _, document = await asyncio.to_thread(readers.read_card, self.chip.connection(), reader="bench card reader", trust=self.trust)
        except readers.ReaderError as e:
            await node.readings.put(self.station_id, None, e.message)
            return
        await node.readings.put(self.station_id, document)

    def scan_badge(self) -> None:
        """The badge that was printed last, held under the kiosk's scanner: to leave."""
        self.scanner.scan(self.last_token().encode())

    # ── the printer ──────────────────────────────────────────────────────────────────────────────────────

    def last_badge(self) -> Image.Image:
        """The last strip that any of the bench's printers cut. Raises NotFound."""
        cut = [p.printed[-1] for p in self.printers if p.printed]
        if not cut:
            raise NotFound("Nothing was printed yet.")
        return max(cut, key=lambda c: c.at).image

    def last_token(self) -> str:
        """The token in the code on that strip, found by looking at the picture."""
        for symbol in readers.decode_image(png(self.last_badge())):
            text = symbol.data.decode("utf-8", "replace")
            if text.startswith("VB1:"):
                return text
        raise Conflict("There is no code on the last strip that was printed.")

    def set_printer(self, number: int, what: str) -> None:
        """`paper-out`, `paper-low`, `cover-open`, `offline`, or `ready` again. Raises NotFound."""
        if not 0 <= number < len(self.printers):
            raise NotFound("There is no such printer on the bench.")
        printer = self.printers[number]
        paper = type(printer.paper)
        printer.cover_open = what == "cover-open"
        printer.offline = what == "offline"
        printer.paper = {"paper-out": paper.OUT, "paper-low": paper.LOW}.get(what, paper.OK)
        if what == "ready":
            with suppress(AttributeError):
                printer.refill()

    # ── the door ─────────────────────────────────────────────────────────────────────────────────────────

    async def tap(self, what: str) -> None:
        """At the wired door: a card on the OSDP reader (`officer`, `escort`, `stranger`), or the last badge's code (`badge`)."""
        node = self.running
        cards = {"officer": district.OFFICER_CARD, "escort": district.ESCORT_CARD, "stranger": district.wiegand26(99, 1)}
        if what in cards:
            self.door.tap(cards[what])
        elif what == "badge":
            door = next(d for d in node.sites.doors() if d.reader)
            await node.doors.tap(door.id, node.doors.read_token(self.last_token()), "code reader")
        else:
            raise NotFound("There is no such card on the bench.")

    # ── the button ───────────────────────────────────────────────────────────────────────────────────────

    async def panic(self, *, exercise: bool) -> None:
        """The panic button under the desk. Pressing it again while an incident is open changes nothing."""
        node = self.running
        station = next(s for s in node.sites.stations(self.school) if s.kind == "desk")
        button = Principal("station", station.id, station.name, (Grant("station", station.site_id),))
        with suppress(Conflict):
            await node.emergency.declare(button, station.site_id, "lockdown", exercise=exercise, note="", source="panic")


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()

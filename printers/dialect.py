"""How each family is asked for its state, and how it says that a job is done: one class a family over one wire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from . import brother, escpos, zpl
from .media import Family, Profile
from .status import UNKNOWN, PrinterStatus

Waiting = Callable[[PrinterStatus], None]


class Wire(Protocol):
    """An open connection to a printer, both ways."""

    async def write(self, data: bytes, seconds: float) -> None:
        """Hand all bytes over. Raises `TimeoutError` or `OSError`."""

    async def read(self, limit: int, seconds: float) -> bytes:
        """At least one byte and at most `limit`. Raises `TimeoutError`; `EOFError` when the printer has closed."""

    async def flush(self, seconds: float) -> None:
        """Return once the other end has taken all that was written. `seconds` is how long it may take nothing."""


class Dialect(Protocol):
    """A family's questions.

    `clear` makes a printer ready for a new job whatever a broken connection has left in it, without harm to a badge
    that may still be printing. `confirms` says whether `confirm` has anything to say.
    """

    clear: bytes
    confirms: bool

    async def status(self, wire: Wire, seconds: float) -> PrinterStatus:
        """Ask how the printer is. Raises `TimeoutError`, `OSError` or `EOFError` when it does not say."""

    async def confirm(self, wire: Wire, seconds: float, quiet: float, waiting: Waiting) -> bool:
        """Return True once the printer says that it has worked off all it was sent.

        Asks on while the printer answers that it is not ready, passing each such state to `waiting`. False means that
        it has received everything and was ready for `quiet` seconds without saying more. Raises as `status` does once
        it no longer answers for `seconds`.
        """


class EscPos:
    """DLE EOT for the state; GS r for the end of a job."""

    def __init__(self, confirms: bool) -> None:
        self.confirms = confirms
        self.clear = escpos.CLEAR if confirms else escpos.FILL
        self._mute = False

    async def status(self, wire: Wire, seconds: float) -> PrinterStatus:
        await wire.write(b"".join(escpos.ASK), seconds)
        answers = b""
        async with asyncio.timeout(seconds):
            while len(answers) < len(escpos.ASK):
                # 0x12 marks an answer to DLE EOT. A late answer to an earlier question or a status sent unasked is a few
                # bytes and is skipped; more than that is no printer, say a web server that answers every line.
                fresh = await wire.read(64, seconds)
                ours = bytes(byte for byte in fresh if byte & 0x93 == 0x12)
                if len(fresh) - len(ours) > 12:
                    raise ValueError("that is no printer's answer")
                answers += ours
        return escpos.parse_status(answers[: len(escpos.ASK)])

    async def confirm(self, wire: Wire, seconds: float, quiet: float, waiting: Waiting) -> bool:
        await wire.write(escpos.CONFIRM, seconds)
        # Asking in between costs a long badge nothing: DLE EOT overtakes what waits in the printer's buffer. On the wire
        # it comes after the badge, so that its answer also says that all of the badge has arrived.
        pause = min(2.0, seconds / 4)
        if self._mute:
            # It has been found not to know GS r; its state is asked for at once and what it says is waited for no longer.
            pause, quiet = min(0.2, pause), min(1.0, quiet)
        loop = asyncio.get_running_loop()
        ready_since = loop.time()
        answers = b""
        # Silence is counted in questions without an answer, and patience in answers, not by the clock alone: a machine that
        # was asleep or had no time for this program finds the answer waiting for it, and the printer was not silent at all.
        unanswered = ready = 0
        while True:
            try:
                fresh = await wire.read(16, pause)
            except TimeoutError:
                unanswered += 1
                if unanswered * pause > seconds:
                    raise
                answers = b""
                await wire.write(b"".join(escpos.ASK), seconds)
                continue
            unanswered = 0
            if any(byte & 0x93 != 0x12 and byte & 0x90 == 0 for byte in fresh):
                self._mute = False
                return True
            answers += fresh
            if len(answers) >= len(escpos.ASK):
                status = escpos.parse_status(answers[: len(escpos.ASK)])
                waiting(status)
                answers = b""
                if not status.ready:
                    ready, ready_since = 0, loop.time()
                    continue
                ready += 1
                if ready * pause >= quiet and loop.time() - ready_since > quiet:
                    self._mute = True
                    return False


class Zpl:
    """~HS for the state; a job is done when no format and no label remains."""

    clear = zpl.CLEAR
    confirms = True

    async def status(self, wire: Wire, seconds: float) -> PrinterStatus:
        return zpl.parse_status(await self._ask(wire, seconds))

    async def confirm(self, wire: Wire, seconds: float, quiet: float, waiting: Waiting) -> bool:
        while True:
            answer = await self._ask(wire, seconds)
            status = zpl.parse_status(answer)
            if status.ready and zpl.idle(answer):
                return True
            waiting(status)
            await asyncio.sleep(min(0.25, seconds))

    async def _ask(self, wire: Wire, seconds: float) -> bytes:
        await wire.write(zpl.ASK, seconds)
        answer = b""
        async with asyncio.timeout(seconds):
            while zpl.lines(answer) is None:
                answer += await wire.read(512, seconds)
        return answer


class Brother:
    """ESC i S for the state; the printer sends "printing completed" by itself."""

    clear = brother.CLEAR
    confirms = True

    async def status(self, wire: Wire, seconds: float) -> PrinterStatus:
        await wire.write(brother.ASK, seconds)
        while True:
            packet = await self._packet(wire, seconds)
            if brother.status_type(packet) in (0, brother.FAULT):
                return brother.parse_status(packet)

    async def confirm(self, wire: Wire, seconds: float, quiet: float, waiting: Waiting) -> bool:
        # No question may be asked while it prints ("Status information request"): it tells by itself.
        while True:
            packet = await self._packet(wire, seconds)
            if brother.status_type(packet) == brother.COMPLETED:
                return True
            if brother.status_type(packet) == brother.FAULT:
                waiting(brother.parse_status(packet))

    async def _packet(self, wire: Wire, seconds: float) -> bytes:
        packet = b""
        async with asyncio.timeout(seconds):
            while len(packet) < brother.PACKET:
                packet += await wire.read(brother.PACKET - len(packet), seconds)
        return packet


class Silent:
    """A printer that cannot be asked anything."""

    confirms = False

    def __init__(self, clear: bytes = b"") -> None:
        self.clear = clear

    async def status(self, wire: Wire, seconds: float) -> PrinterStatus:
        return UNKNOWN

    async def confirm(self, wire: Wire, seconds: float, quiet: float, waiting: Waiting) -> bool:
        return False


def dialect_for(profile: Profile) -> Dialect:
    """The questions that a printer of this profile answers."""
    if not profile.answers:
        # Brother's jobs begin with what clears the way themselves.
        return Silent(escpos.FILL if profile.family is Family.ESCPOS else b"")
    if profile.family is Family.ESCPOS:
        return EscPos(profile.confirms)
    if profile.family is Family.ZPL:
        return Zpl()
    if profile.family is Family.BROTHER:
        return Brother()
    return Silent()

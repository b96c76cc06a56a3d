"""What a printer says of itself, the same for every family."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Paper(StrEnum):
    OK = "ok"
    LOW = "low"
    OUT = "out"
    UNKNOWN = "unknown"


class PrinterStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A printer's own words about itself.

    `known` is False where the connection has no way back (a plain file, most CUPS queues): then nothing keeps a job
    from being tried, and nothing but the hand-over itself says that it was printed.
    """

    known: bool = True
    reachable: bool = True
    online: bool = True
    cover_open: bool = False
    paper: Paper = Paper.OK
    error: str = ""

    @property
    def ready(self) -> bool:
        """Whether a job may be sent now."""
        return self.reachable and self.online and not self.cover_open and self.paper is not Paper.OUT and not self.error

    def words(self) -> str:
        """The state in words for a desk, the most pressing first: "cover open", "paper out", "ready, paper low"."""
        if not self.reachable:
            return self.error or "does not answer"
        # A printer reports itself offline whenever the cover is open or paper is out; the cause is what helps.
        if self.cover_open:
            return "cover open"
        if self.paper is Paper.OUT:
            return "paper out"
        if self.error:
            return self.error
        if not self.online:
            return "offline"
        if not self.known:
            return "no status"
        return "ready, paper low" if self.paper is Paper.LOW else "ready"


UNKNOWN = PrinterStatus(known=False, paper=Paper.UNKNOWN)
"""For a connection with no way back."""


def unreachable(why: str = "does not answer") -> PrinterStatus:
    """The status of a printer that could not be asked."""
    return PrinterStatus(reachable=False, online=False, paper=Paper.UNKNOWN, error=why)

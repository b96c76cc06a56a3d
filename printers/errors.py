"""Every error this library raises, on one screen.

    PrinterError
    ├── BadgeError             the badge itself cannot be drawn
    │   ├── PhotoError         the photo is no picture, is broken or is far too large
    │   └── MediaTooSmall      the paper is too small for this badge
    ├── UnknownName            no media or printer profile of that name
    ├── EncodingError          the image does not suit the printer's profile
    ├── TransportError         the printer cannot be used just now
    │   ├── NotSent            nothing of the job has left: sending again is safe
    │   │   ├── Unreachable    no connection, or no answer to a question asked before the job
    │   │   └── NotReady       it answered, and says why it cannot print (`.status`)
    │   └── Interrupted        part of the job, or all of it, has left (`.sent` of `.total` bytes)
    └── StoreError             the store of jobs
        ├── LeaseLost          another worker holds the job now
        ├── StoreBusy          another process has the store open
        └── StoreCorrupt       a record before the last one cannot be read

No message holds a visitor's data: not the name, not the photo, not the token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .status import PrinterStatus


class PrinterError(Exception):
    """Base of all errors of this library."""


class BadgeError(PrinterError):
    """The badge cannot be drawn as it is."""


class PhotoError(BadgeError):
    """The photo is no picture, is broken, or is larger than `photo.MAX_PIXELS`."""


class MediaTooSmall(BadgeError):
    """The paper is too small for this badge, most often for its QR code."""


class UnknownName(PrinterError, LookupError):
    """There is no media or profile of this name; the message lists what there is."""


class EncodingError(PrinterError):
    """The image does not suit the printer's profile, e.g. it is wider than its print head."""


class TransportError(PrinterError):
    """The printer cannot be used just now."""


class NotSent(TransportError):
    """Nothing of the job has left this machine: sending it again cannot double a badge."""


class Unreachable(NotSent):
    """No connection could be made, or the printer did not answer before the job."""


class NotReady(NotSent):
    """The printer answered and cannot print now; `status` says why."""

    def __init__(self, status: PrinterStatus) -> None:
        super().__init__(status.words())
        self.status = status

    def __reduce__(self) -> tuple[type[NotReady], tuple[PrinterStatus]]:
        return type(self), (self.status,)


class Interrupted(TransportError):
    """The connection ended, or the printer fell silent, after the job's first byte.

    `sent` counts the bytes this machine has handed to its network or device: the printer has received that many or
    fewer, so `sent < total` means that it cannot have received the end of the badge.
    """

    def __init__(self, why: str, sent: int, total: int) -> None:
        super().__init__(f"{why} after {sent} of {total} bytes")
        self.why = why
        self.sent = sent
        self.total = total

    def __reduce__(self) -> tuple[type[Interrupted], tuple[str, int, int]]:
        return type(self), (self.why, self.sent, self.total)


class StoreError(PrinterError):
    """The store of jobs cannot do what was asked."""


class LeaseLost(StoreError):
    """The job is no longer this worker's: its lease lapsed and another took it, or it was cancelled."""


class StoreBusy(StoreError):
    """Another process has this store open."""


class StoreCorrupt(StoreError):
    """A record before the last one cannot be read; the store is left as it is."""

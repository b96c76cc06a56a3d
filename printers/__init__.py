"""Badges out: what a badge says → one image → any thermal printer a school owns, through a spool that loses none.

    image = render(badge, MEDIA["80mm"])            # the same dots every time
    data = encode(image, "epson-tm")                # what this family of printers takes
    await NetworkTransport("10.0.0.9", profile="epson-tm").send(data)

`produce` is the first two in one call for a process pool; `Spool` is the third with order, retries and memory.
"""

from .badge import Badge, Category
from .cups import CupsTransport
from .encode import encode, produce
from .errors import (
    BadgeError,
    EncodingError,
    Interrupted,
    LeaseLost,
    MediaTooSmall,
    NotReady,
    NotSent,
    PhotoError,
    PrinterError,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    TransportError,
    UnknownName,
    Unreachable,
)
from .filestore import FileJobStore
from .jobs import Job, JobStore, State
from .layout import photo_problem, render, unprintable
from .media import MEDIA, PROFILES, Family, Media, Profile, media_named, profile_named
from .spool import Condition, Policy, Printer, PrinterState, Spool
from .status import Paper, PrinterStatus
from .transport import DeviceTransport, FileTransport, NetworkTransport, Receipt, Timeouts, Transport
from .words import LANGUAGES

__all__ = [
    "LANGUAGES",
    "MEDIA",
    "PROFILES",
    "Badge",
    "BadgeError",
    "Category",
    "Condition",
    "CupsTransport",
    "DeviceTransport",
    "EncodingError",
    "Family",
    "FileJobStore",
    "FileTransport",
    "Interrupted",
    "Job",
    "JobStore",
    "LeaseLost",
    "Media",
    "MediaTooSmall",
    "NetworkTransport",
    "NotReady",
    "NotSent",
    "Paper",
    "PhotoError",
    "Policy",
    "Printer",
    "PrinterError",
    "PrinterState",
    "PrinterStatus",
    "Profile",
    "Receipt",
    "Spool",
    "State",
    "StoreBusy",
    "StoreCorrupt",
    "StoreError",
    "Timeouts",
    "Transport",
    "TransportError",
    "UnknownName",
    "Unreachable",
    "encode",
    "media_named",
    "photo_problem",
    "produce",
    "profile_named",
    "render",
    "unprintable",
]

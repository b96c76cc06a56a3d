"""What a district is made of. All hub-owned but `SiteState`, which belongs to its site."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

State = Literal["normal", "hold", "secure", "lockdown", "evacuate", "shelter"]


class Site(msgspec.Struct, frozen=True):
    id: UUID
    kind: Literal["hub", "school"]
    name: str
    address: str
    time_zone: str
    facts: dict[str, Any]

    @property
    def zone_info(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


class Zone(msgspec.Struct, frozen=True):
    id: UUID
    site_id: UUID
    name: str
    facts: dict[str, Any]


class Door(msgspec.Struct, frozen=True):
    """A controlled door leads into one zone. `reader` says where its reader hangs, "" for taps by HTTP only."""

    id: UUID
    site_id: UUID
    zone_id: UUID
    name: str
    reader: str
    reader_key: bytes | None
    kid: str | None
    relock_seconds: float
    facts: dict[str, Any]


class Station(msgspec.Struct, frozen=True):
    id: UUID
    site_id: UUID
    kind: Literal["kiosk", "desk", "exit"]
    name: str
    printer_id: UUID | None
    second_printer_id: UUID | None


class PrinterRow(msgspec.Struct, frozen=True):
    """A printer as configured: `address` is a transport's, `profile` and `media` are keys of the printers library."""

    id: UUID
    site_id: UUID
    name: str
    address: str
    profile: str
    media: str


class SiteState(msgspec.Struct, frozen=True):
    site_id: UUID
    state: State
    exercise: bool
    incident_id: UUID | None
    since: datetime

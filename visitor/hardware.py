"""Concrete devices, named here and nowhere else in the service: an address of the configuration → a device of the libraries."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

from printers import CupsTransport, DeviceTransport, FileTransport, NetworkTransport, Transport, profile_named

_SUFFIXES = {"pdf": ".pdf", "png": ".png"}


def transport_for(address: str, profile: str) -> Transport:
    """The way to a printer.

    | address | |
    |---|---|
    | `tcp://10.0.0.9:9100` | network printer; the port is 9100 unless given |
    | `usb:///dev/usb/lp0` | USB printer by the kernel's own driver |
    | `serial:///dev/ttyUSB0?baud=19200` | serial printer; 9600 unless given |
    | `cups://queue`, `cups://server:631/queue` | a raw CUPS queue here or on a print server |
    | `file:///folder` | a folder that gets one file a badge |

    Raises ValueError for an address that is none of these and `printers.UnknownName` (a LookupError) for the profile.
    """
    known = profile_named(profile)
    parts = urlsplit(address)
    try:
        if parts.scheme == "tcp" and parts.hostname:
            return NetworkTransport(parts.hostname, parts.port or 9100, profile=known)
        if parts.scheme == "usb" and parts.path.startswith("/dev/"):
            return DeviceTransport(unquote(parts.path), profile=known)
        if parts.scheme == "serial" and parts.path.startswith("/dev/"):
            return DeviceTransport(unquote(parts.path), profile=known, baud=int(parse_qs(parts.query).get("baud", ["9600"])[0]))
        if parts.scheme == "cups" and parts.netloc:
            queue = unquote(parts.path.strip("/"))
            if queue:
                return CupsTransport(queue, server=parts.netloc, raw=known.family.value not in _SUFFIXES)
            return CupsTransport(unquote(parts.netloc), raw=known.family.value not in _SUFFIXES)
        if parts.scheme == "file" and parts.path:
            return FileTransport(unquote(parts.path), suffix=_SUFFIXES.get(known.family.value, ".bin"))
    except ValueError as e:
        raise ValueError(f"{e}; check the printer's address") from None
    raise ValueError("the printer's address must begin with tcp://, usb:///dev/, serial:///dev/, cups:// or file:///")

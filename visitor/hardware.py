"""Concrete devices, named here and nowhere else in the service: an address of the configuration → a device of the libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

from printers import CupsTransport, DeviceTransport, FileTransport, NetworkTransport, Transport, profile_named
from readers import CardReaders, DoorReader, LineScanner, ListeningScanner, PivTrust, ReadersConfig, SerialLine, TcpLine
from visitor.errors import SetupError
from visitor.settings import Hardware

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


def door_reader(address: str, *, name: str, key: bytes | None, virtual: Mapping[str, DoorReader]) -> DoorReader:
    """The reader at a door, for `readers.DoorBus`, under the name that its events will carry.

    | address | |
    |---|---|
    | `osdp+serial:///dev/serial/by-id/usb-…?address=0&baud=9600` | on an RS-485 line; address 0 and 9600 baud unless given |
    | `osdp+tcp://10.0.0.9:5000?address=0` | behind a serial device server |
    | `osdp+virtual://name` | one of `virtual`, which brings its own key |

    `key` is the reader's Secure Channel base key, 16 bytes: without one no reader is driven. Raises ValueError in words.
    """
    parts = urlsplit(address)
    if parts.scheme == "osdp+virtual":
        known = virtual.get(parts.netloc)
        if known is None:
            raise ValueError(f"The virtual reader {parts.netloc} is not switched on here.")
        return DoorReader(name=name, address=known.address, key=known.key, line=known.line, formats=known.formats)
    query = parse_qs(parts.query)
    try:
        number, baud = int(query.get("address", ["0"])[0]), int(query.get("baud", ["9600"])[0])
        port = parts.port
    except ValueError:
        raise ValueError("The reader's address, baud rate and port must be numbers.") from None
    if not 0 <= number <= 126:
        raise ValueError("The reader's OSDP address must be 0 to 126.")
    line: SerialLine | TcpLine
    if parts.scheme == "osdp+serial" and parts.path.startswith("/dev/"):
        line = SerialLine(unquote(parts.path), baud)
    elif parts.scheme == "osdp+tcp" and parts.hostname and port:
        line = TcpLine(parts.hostname, port)
    else:
        raise ValueError("The reader's address must begin with osdp+serial:///dev/, osdp+tcp://host:port or osdp+virtual://.")
    if key is None:
        raise ValueError("The reader has no Secure Channel key yet. Set the key that was put into the reader.")
    if len(key) != 16:
        raise ValueError("The reader's Secure Channel key must be 16 bytes.")
    return DoorReader(name=name, address=number, key=key, line=line)


def reader_config(settings: Hardware) -> tuple[ReadersConfig, Callable[[str], UUID | None]] | None:
    """The document readers of this node and whose they are: reader's name → station. None when there are none.

    Raises SetupError for an address that is not host:port or more than one card reader pattern.
    """
    scanners: list[LineScanner | ListeningScanner] = []
    stations: dict[str, UUID] = {}
    for path, station in settings.serial.items():
        scanners.append(LineScanner(name=path, line=SerialLine(path)))
        stations[path] = station
    for address, station in settings.network.items():
        host, port = _host_port(address)
        scanners.append(LineScanner(name=address, line=TcpLine(host, port)))
        stations[address] = station
    for address, station in settings.listen.items():
        host, port = _host_port(address)
        scanners.append(ListeningScanner(name=address, host=host, port=port))
        stations[address] = station
    if len(settings.cards) > 1:
        raise SetupError("Name one part that all card readers' names have: hardware.cards takes one entry.")
    cards = None
    card_station: UUID | None = None
    for name, station in settings.cards.items():
        trust = PivTrust.load(settings.piv_anchors, settings.piv_intermediates, settings.piv_crls) if settings.piv_anchors else None
        cards, card_station = CardReaders(name=name, trust=trust), station
    if not scanners and cards is None:
        return None
    # A PC/SC reader's name is its own; whatever is not a scanner of ours is a card reader.
    return ReadersConfig(scanners=tuple(scanners), cards=cards), lambda name: stations.get(name, card_station)


def _host_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise SetupError(f"The scanner's address {address} must be host:port.")
    return host.strip("[]"), int(port)

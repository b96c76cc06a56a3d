"""A printer's address in the configuration → the way to it."""

from __future__ import annotations

import pytest

from printers import CupsTransport, DeviceTransport, FileTransport, NetworkTransport, UnknownName
from visitor.hardware import transport_for


@pytest.mark.parametrize(
    ("address", "profile", "kind", "says"),
    [
        ("tcp://10.0.0.9:9101", "epson-tm", NetworkTransport, "10.0.0.9:9101"),
        ("tcp://printer.school.example", "zebra", NetworkTransport, "printer.school.example:9100"),
        ("tcp://[fe80::1]:9100", "epson-tm", NetworkTransport, "fe80::1:9100"),
        ("usb:///dev/usb/lp0", "brother-ql", DeviceTransport, "/dev/usb/lp0"),
        ("serial:///dev/ttyUSB0?baud=19200", "escpos-80", DeviceTransport, "/dev/ttyUSB0"),
        ("cups://badges", "escpos-58", CupsTransport, "badges"),
        ("cups://print.school.example:631/badges", "pdf", CupsTransport, "badges"),
        ("file:///var/badges", "png", FileTransport, "/var/badges"),
    ],
)
def test_an_address_names_a_transport(address: str, profile: str, kind: type, says: str) -> None:
    transport = transport_for(address, profile)
    assert isinstance(transport, kind) and says in repr(transport)


@pytest.mark.parametrize(
    "address",
    ["", "10.0.0.9", "tcp://", "tcp://host:port", "tcp://host:99999", "usb:lp0", "usb:///etc/passwd", "serial:///dev/ttyS0?baud=12",
     "serial:///dev/ttyS0?baud=fast", "cups://", "cups://-o/x y", "file://", "lpt1:", "http://10.0.0.9"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_in_words(address: str) -> None:
    with pytest.raises(ValueError, match=r"printer's address|speed of a serial line|queue"):
        transport_for(address, "epson-tm")


def test_an_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="epson-tm"):
        transport_for("tcp://10.0.0.9", "epson-tn")

"""Documents, cards, scanners and doors that are not there: for this library's tests, and for yours.

Nothing here is a mock of this library. A license image is a real PDF417 symbol, a virtual card answers real APDUs behind a
real pcscd, a virtual door reader is libosdp's own peripheral with Secure Channel; only the wire and the plastic are missing.
People and numbers made here are invented.
"""

from .cards import ScriptedConnection, TestIssuer, VirtualCard, VirtualPiv, VirtualPkoc, VirtualUid
from .documents import camera_frame, license_image, license_payload, passport_mrz
from .door import VirtualDoorReader
from .scanner import VirtualScanner
from .vpcd import PcscStation, VirtualSlot, isolated_pcscd

__all__ = [
    "PcscStation",
    "ScriptedConnection",
    "TestIssuer",
    "VirtualCard",
    "VirtualDoorReader",
    "VirtualPiv",
    "VirtualPkoc",
    "VirtualScanner",
    "VirtualSlot",
    "VirtualUid",
    "camera_frame",
    "isolated_pcscd",
    "license_image",
    "license_payload",
    "passport_mrz",
]

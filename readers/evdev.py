"""A keyboard-wedge scanner on Linux, grabbed so that its keys reach us and nothing else (no login prompt, no other form).

The decoding of ``struct input_event`` (linux/input.h) is pure. Opening needs /dev/input, which the machines this was built
on do not have: that part is written after the kernel's documentation and has not been tried on a device.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time

from .errors import ReaderLostError
from .wedge import LOST, KeyDown

__all__ = ["EVENT_SIZE", "KeyDecoder", "open_grabbed"]

# long tv_sec, long tv_usec, u16 type, u16 code, s32 value (the kernel's native layout).
_EVENT = struct.Struct("@llHHi")
EVENT_SIZE = _EVENT.size
_EV_SYN, _EV_KEY = 0, 1
_SYN_REPORT, _SYN_DROPPED = 0, 3
_EVIOCGRAB = 0x40044590
_EVIOCSCLOCKID = 0x400445A0
_SHIFT, _CTRL, _ALT = {42, 54}, {29, 97}, {56, 100}
_CAPS = 58

# Key codes of linux/input-event-codes.h on a US layout, which scanners are set to: plain and with Shift.
_KEYS: dict[int, tuple[str, str]] = {}
for _first, _plain, _shifted in (
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
):
    for _offset, _pair in enumerate(zip(_plain, _shifted, strict=True)):
        _KEYS[_first + _offset] = _pair
_KEYS[57] = (" ", " ")
_PAD = {
    82: "0", 79: "1", 80: "2", 81: "3", 75: "4", 76: "5", 77: "6", 71: "7", 72: "8", 73: "9", 74: "-", 78: "+", 83: ".", 55: "*", 98: "/",
}  # fmt: skip
_NAMED = {28: "Enter", 96: "Enter", 15: "Tab", 1: "Escape", 14: "Backspace"}


class KeyDecoder:
    """Raw input events to key presses: modifiers followed, releases and repeats left out, the kernel's times kept.

    Where the kernel says that its buffer ran over, a ``LOST`` key stands for those that are missing.
    """

    def __init__(self) -> None:
        self._held: set[int] = set()
        self._caps = False
        self._dropping = False
        self._rest = b""

    def feed(self, data: bytes) -> list[KeyDown]:
        """Decode whatever whole events ``data`` completes; a cut event waits for its rest."""
        data = self._rest + data
        whole = len(data) - len(data) % EVENT_SIZE
        self._rest = data[whole:]
        found = []
        for seconds, micros, kind, code, value in _EVENT.iter_unpack(data[:whole]):
            if kind == _EV_SYN and code == _SYN_DROPPED:
                self._held.clear()
                self._dropping = True
                found.append(KeyDown(LOST, time_ms=seconds * 1000 + micros / 1000))
            elif kind == _EV_SYN and code == _SYN_REPORT:
                self._dropping = False  # what came before it belongs to the report whose beginning is lost
            if kind != _EV_KEY or self._dropping:
                continue
            if value == 0:
                self._held.discard(code)
                continue
            if value != 1:
                continue  # 2 is the kernel's own repeat of a key that is held
            self._held.add(code)
            if code == _CAPS:
                self._caps = not self._caps
            name = self._name(code)
            if name is not None:
                found.append(KeyDown(name, bool(self._held & _CTRL), bool(self._held & _ALT), seconds * 1000 + micros / 1000))
        return found

    def _name(self, code: int) -> str | None:
        if code in _NAMED:
            return _NAMED[code]
        if code in _PAD:
            return _PAD[code]
        pair = _KEYS.get(code)
        if pair is None:
            return None
        shifted = bool(self._held & _SHIFT)
        if self._caps and pair[0].isalpha():
            shifted = not shifted
        return pair[shifted]


def open_grabbed(path: str, name: str) -> int:
    """Open an input device and take it for ourselves alone; it does not block, and its times are those of ``time.monotonic``.

    Raises ReaderLostError when it is not there, not ours to open, or grabbed by another program.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        raise ReaderLostError(name, "The scanner's input device cannot be opened. Check its path and the program's rights.") from None
    try:
        fcntl.ioctl(descriptor, _EVIOCSCLOCKID, struct.pack("@i", time.CLOCK_MONOTONIC))
        fcntl.ioctl(descriptor, _EVIOCGRAB, 1)
    except OSError as error:
        os.close(descriptor)
        if error.errno != errno.EBUSY:
            raise ReaderLostError(name, "This path is no input device. Choose one below /dev/input/by-id.") from None
        raise ReaderLostError(name, "Another program uses the scanner. Close it, or choose another way to read the scanner.") from None
    return descriptor

"""Keyboard wedges: scanners that type. Key events to bytes, control characters included.

An input field drops the control characters that separate a license's fields, so a page listens to ``keydown`` and posts
what it heard; on a kiosk ``evdev.py`` grabs the device instead. Both decode here. What wedges do with control characters
differs: real ones type Ctrl+letter, some Alt with the code on the numeric pad, others only Enter.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

__all__ = ["LOST", "KeyDown", "Wedge", "decode_keys"]

# Stands, among keys, for some that were pressed and are not known.
LOST = "Lost"

# ASCII control characters by the key that Ctrl is held with: Ctrl+@ … Ctrl+_ ("Ctrl+^" is RS, "Ctrl+]" is GS).
_NAMED = {"Enter": b"\r", "NumpadEnter": b"\r", "Tab": b"\t", "Escape": b"\x1b", "Backspace": b"\x08"}
_CTRL = {chr(0x40 + code): bytes([code]) for code in range(0x20)} | {
    "2": b"\x00", "3": b"\x1b", "4": b"\x1c", "5": b"\x1d", "6": b"\x1e", "7": b"\x1f",
}  # fmt: skip
_IGNORED = {"Shift", "Control", "Alt", "AltGraph", "CapsLock", "NumLock", "Meta", "Dead", "Unidentified", "Process"}


class KeyDown(msgspec.Struct, frozen=True):
    """One ``keydown`` as a browser reports it: ``KeyboardEvent.key``, its modifiers, and ``timeStamp`` in milliseconds."""

    key: str
    ctrl: bool = False
    alt: bool = False
    time_ms: float = 0.0

    def __repr__(self) -> str:
        return "KeyDown(…)"


def decode_keys(keys: Iterable[KeyDown]) -> bytes:
    """The bytes that a burst of key presses stands for, in UTF-8. Keys that type nothing are left out."""
    out = bytearray()
    pad = ""
    for key in keys:
        name = key.key
        if key.alt and not key.ctrl and len(name) == 1 and name.isdigit():
            pad += name
            continue
        if pad:
            out += _pad(pad)
            pad = ""
        if name in _NAMED:
            out += _NAMED[name]
        elif name in _IGNORED or len(name) != 1:
            continue
        elif key.ctrl and name.upper() in _CTRL:
            out += _CTRL[name.upper()]
        else:
            out += name.encode("utf-8", "ignore")
    if pad:
        out += _pad(pad)
    return bytes(out)


def _pad(digits: str) -> bytes:
    """A code typed with Alt on the numeric pad: Windows starts a code of its own page with zero."""
    code = int(digits[-4:]) & 0xFF
    return bytes([code]) if code < 0x80 else bytes([code]).decode("latin-1").encode("utf-8")


class Wedge:
    """Tells a scanner from a person typing, by speed: feed it key events, take scans from it.

    A burst ends when no key came for ``gap_ms``. It is a scan when it has at least ``shortest`` keys and they came, on
    average, faster than ``key_ms`` apart: nobody types a license at 30 keys a second. One that lacks keys is b"".
    """

    def __init__(self, *, gap_ms: float = 100.0, key_ms: float = 35.0, shortest: int = 6, longest: int = 16_384) -> None:
        self._gap_ms, self._key_ms, self._shortest, self._longest = gap_ms, key_ms, shortest, longest
        self._keys: list[KeyDown] = []

    def press(self, key: KeyDown) -> bytes | None:
        """Take one key; returns the scan before it, when the pause says that one was complete."""
        done = self.flush(key.time_ms) if self._keys and key.time_ms - self._keys[-1].time_ms > self._gap_ms else None
        if len(self._keys) < self._longest or key.key == LOST:
            self._keys.append(key)
        return done

    def flush(self, now_ms: float) -> bytes | None:
        """End the burst if it is old enough at ``now_ms``; the scan, or None when it was a person or nothing."""
        if not self._keys or now_ms - self._keys[-1].time_ms <= self._gap_ms:
            return None
        keys, self._keys = self._keys, []
        if any(key.key == LOST for key in keys):
            return b""
        if len(keys) < self._shortest or (keys[-1].time_ms - keys[0].time_ms) / (len(keys) - 1) > self._key_ms:
            return None
        return decode_keys(keys)

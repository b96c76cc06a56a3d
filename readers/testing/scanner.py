"""A barcode scanner on a pty: what you write to it arrives at a serial port."""

from __future__ import annotations

import os
import pty
import time
import tty

__all__ = ["VirtualScanner"]


class VirtualScanner:
    """A serial scanner. ``path`` is the port to configure; it survives ``unplug`` and ``plug`` when ``link`` is given.

    ``scan`` sends a payload in one go, or in pieces of ``chunk`` bytes ``pause_s`` apart, as slow lines do.
    """

    def __init__(self, link: str | None = None) -> None:
        self._link = link
        self._ours = self._theirs = -1
        self.path = ""
        self.plug()

    def __enter__(self) -> VirtualScanner:
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    def plug(self) -> None:
        """Make the port appear."""
        self._ours, self._theirs = pty.openpty()
        tty.setraw(self._theirs)
        device = os.ttyname(self._theirs)
        if self._link is None:
            self.path = device
        else:
            if os.path.islink(self._link):  # noqa: PTH114 - a dangling link is what we look for
                os.unlink(self._link)  # noqa: PTH108
            os.symlink(device, self._link)  # noqa: PTH211
            self.path = self._link

    def unplug(self) -> None:
        """Make the port go away, whatever was being sent."""
        for descriptor in (self._theirs, self._ours):
            if descriptor >= 0:
                os.close(descriptor)
        self._ours = self._theirs = -1
        if self._link is not None and os.path.islink(self._link):  # noqa: PTH114
            os.unlink(self._link)  # noqa: PTH108

    def scan(self, payload: bytes, *, terminator: bytes = b"\r", chunk: int = 0, pause_s: float = 0.002) -> None:
        """Send a scan as the scanner would."""
        data = payload + terminator
        step = chunk or len(data)
        for at in range(0, len(data), step):
            os.write(self._ours, data[at : at + step])
            if chunk:
                time.sleep(pause_s)

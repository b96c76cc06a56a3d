"""A door reader that is not there: libosdp's own peripheral device at the other end of a socketpair.

Lamp, buzzer, display and lock are observable; a tap, keys and tampering are sent as a real reader sends them.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from readers.line import DescriptorLine, SerialLine, TcpLine
from readers.osdp import Color, DoorReader, driver
from readers.osdp_channel import BusChannel

__all__ = ["VirtualDoorReader"]

_COLORS: tuple[Color, ...] = ("off", "red", "green", "amber", "blue", "magenta", "cyan", "white")


class VirtualDoorReader:
    """One OSDP reader with a lock on output 0, Secure Channel enforced with ``key``.

    ``configuration`` is what a DoorBus takes to talk to it. ``changed`` is called, from the reader's thread, after each
    command. Use as a context manager.
    """

    def __init__(
        self,
        name: str = "Front door",
        *,
        key: bytes = bytes(range(16)),
        address: int = 1,
        line: SerialLine | TcpLine | DescriptorLine | None = None,
        changed: Callable[[], None] | None = None,
    ) -> None:
        self._osdp = driver()
        self._pair: tuple[socket.socket, socket.socket] | None = None
        if line is None:
            ours, theirs = socket.socketpair()
            self._pair = (ours, theirs)
            self._line: SerialLine | TcpLine | DescriptorLine = DescriptorLine(ours.fileno())
            bus_line: SerialLine | TcpLine | DescriptorLine = DescriptorLine(theirs.fileno())
        else:
            self._line = bus_line = line
        self.configuration = DoorReader(name=name, address=address, key=key, line=bus_line)
        self._changed = changed
        self._lock = threading.Lock()
        self._queue: list[dict[str, Any]] = []
        self._steady: Color = "off"
        self._temporary: tuple[Color, float] | None = None
        self._outputs: dict[int, tuple[bool, float | None]] = {}
        self._shown: tuple[str, float | None] = ("", None)
        self.beeps = 0
        self._powered = False
        self._thread: threading.Thread | None = None
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def __enter__(self) -> VirtualDoorReader:
        self.power_on()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What can be seen

    @property
    def led(self) -> Color:
        """The lamp's color now."""
        with self._lock:
            if self._temporary is not None and time.monotonic() < self._temporary[1]:
                return self._temporary[0]
            return self._steady

    def output(self, number: int = 0) -> bool:
        """Whether an output is on now; output 0 is the lock."""
        with self._lock:
            on, until = self._outputs.get(number, (False, None))
            return on if until is None or time.monotonic() < until else not on

    @property
    def unlocked(self) -> bool:
        """Whether the lock is released."""
        return self.output(0)

    @property
    def text(self) -> str:
        """The display's text now."""
        with self._lock:
            text, until = self._shown
            return text if until is None or time.monotonic() < until else ""

    # What can be done

    def tap(self, bits: str) -> None:
        """Present a card that gives ``bits`` ("0" and "1", first bit first)."""
        padded = bits.ljust(-(-len(bits) // 8) * 8, "0")
        data = int(padded, 2).to_bytes(len(padded) // 8, "big")
        osdp = self._osdp
        what = {"event": osdp.Event.CardRead, "reader_no": 0, "direction": 0, "format": osdp.CardFormat.Wiegand}
        self._send({**what, "length": len(bits), "data": data})

    def press(self, keys: str) -> None:
        """Type on the keypad."""
        self._send({"event": self._osdp.Event.KeyPress, "reader_no": 0, "data": keys.encode("ascii")})

    def tamper(self, opened: bool = True) -> None:
        """Open or close the housing."""
        osdp = self._osdp
        self._send({"event": osdp.Event.Status, "type": osdp.StatusReportType.Local, "nr_entries": 2, "report": bytes([opened, 0])})

    def power_on(self) -> None:
        """Start to answer; a reader starts afresh, with a new Secure Channel to be made."""
        if self._powered:
            return
        self._powered = True
        self._thread = threading.Thread(target=self._run, name="virtual-door-reader", daemon=True)
        self._thread.start()

    def power_off(self) -> None:
        """Fall silent in the middle of whatever was said."""
        self._powered = False
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"\x00")
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def close(self) -> None:
        """Power off and give back the line."""
        self.power_off()
        for end in self._pair or ():
            end.close()
        for descriptor in (self._wake_read, self._wake_write):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._wake_read = self._wake_write = -1

    def _send(self, event: dict[str, Any]) -> None:
        with self._lock:
            self._queue.append(event)
        os.write(self._wake_write, b"\x00")

    def _run(self) -> None:
        osdp = self._osdp
        channel = BusChannel(self._line, "virtual reader")
        channel.flush()  # what was said while there was no power was heard by nobody
        capability = osdp.Capability
        capabilities = osdp.PDCapabilities(
            [
                (capability.CommunicationSecurity, 1, 1),
                (capability.OutputControl, 1, 4),
                (capability.LEDControl, 4, 1),
                (capability.AudibleControl, 2, 1),
                (capability.TextOutput, 1, 1),
                (capability.CardDataFormat, 3, 1),
                (capability.ContactStatusMonitoring, 1, 1),
            ]
        )
        configuration = self.configuration
        info = osdp.PDInfo(configuration.address, channel, scbk=configuration.key, flags=[osdp.LibFlag.EnforceSecure])
        device = osdp.PeripheralDevice(info, capabilities, log_level=osdp.LogLevel.Emergency)
        device.ctx.set_command_callback(self._on_command)
        while self._powered:
            with self._lock:
                waiting, self._queue = self._queue, []
            for event in waiting:
                device.ctx.submit_event(event)
            device.ctx.refresh()
            listening = [self._wake_read] + ([channel.fileno()] if channel.fileno() >= 0 else [])
            try:
                ready, _, _ = select.select(listening, [], [], 0.02)
            except (OSError, ValueError):
                break
            if self._wake_read in ready:
                with contextlib.suppress(OSError):
                    os.read(self._wake_read, 4096)
        channel.close()

    def _on_command(self, command: dict[str, Any]) -> tuple[int, None]:
        osdp, now = self._osdp, time.monotonic()
        with self._lock:
            kind = command.get("command")
            if kind == osdp.Command.LED:
                color = _COLORS[command["on_color"] % len(_COLORS)]
                if command["temporary"]:
                    self._temporary = (color, now + command["timer_count"] / 10) if command["control_code"] == 2 else None
                else:
                    self._steady, self._temporary = color, None
            elif kind == osdp.Command.Buzzer:
                self.beeps += command["rep_count"] if command["control_code"] == 2 else 0
            elif kind == osdp.Command.Text:
                timed = command["control_code"] in (3, 4)
                self._shown = (command["data"], now + command["temp_time"] if timed else None)
            elif kind == osdp.Command.Output:
                code, seconds = command["control_code"], command["timer_count"] / 10
                timed = code in (5, 6)
                self._outputs[command["output_no"]] = (code in (2, 4, 5), now + seconds if timed else None)
        if self._changed is not None:
            self._changed()
        return 0, None

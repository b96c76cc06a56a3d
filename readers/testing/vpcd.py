"""A real pcscd with virtual readers: the service, the driver and the client library are Debian's own.

``isolated_pcscd`` starts one in a mount namespace of its own, so that it neither meets nor disturbs another on the
machine. A virtual card is a TCP client of the virtual reader (vsmartcard's vpcd protocol).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from readers.errors import ReaderUnavailableError

from .cards import VirtualCard

__all__ = ["PcscStation", "VirtualSlot", "isolated_pcscd"]

_DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
_POWER_OFF, _POWER_ON, _RESET, _GET_ATR = 0, 1, 2, 4
_STARTED_S = 10.0


class VirtualSlot:
    """One virtual reader's slot: put a card in, take it out.

    The socket's TCP_QUICKACK is set again after each read: without it each APDU waits 40 ms for a delayed acknowledgement.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._address = (host, port)
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def insert(self, card: VirtualCard) -> None:
        """Put ``card`` into the slot; a card that is there is taken out first. OSError when there is no such reader."""
        self.remove()
        connection = socket.create_connection(self._address, timeout=5)
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._thread = threading.Thread(target=self._serve, args=(connection, card), name="virtual-card", daemon=True)
        self._thread.start()

    def remove(self) -> None:
        """Pull the card, whatever it was doing."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(5)
        self._thread = None

    def _serve(self, connection: socket.socket, card: VirtualCard) -> None:
        quick = getattr(socket, "TCP_QUICKACK", None)
        try:
            while True:
                size = struct.unpack(">H", _exactly(connection, 2))[0]
                payload = _exactly(connection, size)
                if quick is not None:
                    connection.setsockopt(socket.IPPROTO_TCP, quick, 1)
                if size == 1:
                    if payload[0] == _GET_ATR:
                        connection.sendall(struct.pack(">H", len(card.atr)) + card.atr)
                    elif payload[0] in (_POWER_OFF, _POWER_ON, _RESET):
                        card.reset()
                    continue
                answer = card.process(payload)
                if answer is None:
                    self._pulled(connection)
                    return
                connection.sendall(struct.pack(">H", len(answer)) + answer)
        except (OSError, EOFError):
            return

    def _pulled(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


class PcscStation:
    """A running pcscd. ``slots`` are its readers; ``environment`` is what other programs (OpenSC) need to find it."""

    def __init__(self, slots: list[VirtualSlot], environment: dict[str, str], start: object) -> None:
        self.slots = slots
        self.environment = environment
        self._start = start
        self.process: subprocess.Popen[bytes] | None = None


def _free_ports(count: int) -> list[int]:
    """Pairs of free neighbouring ports: each virtual reader takes two."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("", 0))
            port = first.getsockname()[1]
            if port >= 65_534:
                continue
            with contextlib.suppress(OSError):
                second.bind(("", port + 1))
                if port not in found and port - 1 not in found and port + 1 not in found:
                    found.append(port)
    return found


@contextlib.contextmanager
def isolated_pcscd(readers: int = 1) -> Iterator[PcscStation]:
    """A pcscd of one's own with ``readers`` virtual readers, for as long as the block runs.

    While it runs, this process's PC/SC calls go to it. Raises ReaderUnavailableError ``no_pcscd`` saying what is missing
    (pcscd, vsmartcard-vpcd, or the right to make a namespace): tests skip with that sentence.
    """
    if shutil.which("pcscd") is None or not _DRIVER.exists():
        raise ReaderUnavailableError("no_pcscd", "pcscd and vsmartcard-vpcd are not installed: apt-get install pcscd vsmartcard-vpcd.")
    if shutil.which("unshare") is None:
        raise ReaderUnavailableError("no_pcscd", "unshare (util-linux) is not installed.")
    with tempfile.TemporaryDirectory(prefix="pcscd-") as folder:
        ports = _free_ports(readers)
        entries = []
        for index, port in enumerate(ports):
            # Readers that share one driver file lose insertions silently: each gets a copy under a name of its own.
            driver = Path(folder) / f"libifdvpcd{index}.so"
            shutil.copy(_DRIVER, driver)
            entries.append(f'FRIENDLYNAME "Virtual {index}"\nDEVICENAME /dev/null:0x{port:04X}\nLIBPATH {driver}\nCHANNELID 0x{port:04X}\n')
        configuration = Path(folder) / "reader.conf"
        configuration.write_text("\n".join(entries))
        before = os.environ.get("PCSCLITE_CSOCK_NAME")
        process = _start(configuration)
        try:
            address = f"/proc/{process.pid}/root/run/pcscd/pcscd.comm"
            _wait_for(address, ports, process)
            os.environ["PCSCLITE_CSOCK_NAME"] = address
            station = PcscStation([VirtualSlot(port) for port in ports], {**os.environ, "PCSCLITE_CSOCK_NAME": address}, configuration)
            station.process = process
            try:
                yield station
            finally:
                for slot in station.slots:
                    slot.remove()
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if before is None:
                os.environ.pop("PCSCLITE_CSOCK_NAME", None)
            else:
                os.environ["PCSCLITE_CSOCK_NAME"] = before


def _start(configuration: Path) -> subprocess.Popen[bytes]:
    script = f"mount -t tmpfs tmpfs /run && mkdir /run/pcscd && exec pcscd -f -c {configuration}"
    return subprocess.Popen(["unshare", "-rm", "sh", "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _wait_for(address: str, ports: list[int], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _STARTED_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ReaderUnavailableError("no_pcscd", "pcscd could not be started in its own namespace (needs root or user namespaces).")
        if os.path.exists(address) and all(_listening(port) for port in ports):  # noqa: PTH110 - a path inside another namespace
            return
        time.sleep(0.02)
    raise ReaderUnavailableError("no_pcscd", "pcscd did not start within ten seconds.")


def _listening(port: int) -> bool:
    """Whether something listens, asked without connecting: a connection would count as a card."""
    wanted = f":{port:04X} "
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), Path(table).open() as lines:
            if any(wanted in line and " 0A " in line for line in lines):
                return True
    return False

"""A real pcscd with virtual readers: the service, the driver and the client library are Debian's own.

``isolated_pcscd`` starts one in a mount namespace of its own, so that it neither meets nor disturbs another on the
machine. A virtual card is a TCP client of the virtual reader (vsmartcard's vpcd protocol).
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from readers.errors import ReaderLostError, ReaderUnavailableError
from readers.pcsc import card_present, list_card_readers

from .cards import VirtualCard

__all__ = ["PcscStation", "VirtualSlot", "isolated_pcscd"]

_DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
_POWER_OFF, _POWER_ON, _RESET, _GET_ATR = 0, 1, 2, 4
# How long pcscd may take to start, or to notice that a card is gone: it looks every 0.4 s, on a busy machine far less often.
_PATIENCE_S = 60.0
# How long it takes to notice where nobody can be asked.
_UNNOTICED_S = 1.0


class VirtualSlot:
    """One virtual reader's slot: put a card in, take it out. ``empty`` says whether pcscd knows that no card is in it.

    The socket's TCP_QUICKACK is set again after each read: without it each APDU waits 40 ms for a delayed acknowledgement.
    """

    def __init__(self, port: int, host: str = "127.0.0.1", *, empty: Callable[[], bool] | None = None) -> None:
        self._empty = empty
        self._address = (host, port)
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._removed_at = 0.0

    def insert(self, card: VirtualCard) -> None:
        """Put ``card`` into the slot; a card that is there is taken out first. OSError when there is no such reader.

        Waits until pcscd has noticed that the last card is gone: it misses a card put in sooner, for good. That may take
        a second: from an event loop, call it in a thread.
        """
        self.remove()
        if self._empty is None:
            time.sleep(max(0.0, self._removed_at + _UNNOTICED_S - time.monotonic()))
        else:
            deadline = time.monotonic() + _PATIENCE_S
            while not self._empty():
                if time.monotonic() > deadline:
                    raise OSError(f"pcscd did not notice within {_PATIENCE_S:g} seconds that the last card is gone")
                time.sleep(0.02)
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
            self._removed_at = time.monotonic()
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
    """A running pcscd. ``slots`` are its readers; ``environment`` is what other programs (OpenSC) need to find it.

    ``stop`` and ``start`` restart it at the same address and with the same readers; cards in them are gone.
    """

    def __init__(self, configuration: Path, ports: list[int]) -> None:
        self._configuration = configuration
        self._ports = ports
        self._real: Path | None = None
        # The service lives in a mount namespace of its own: clients reach its socket by way of a link that we move.
        self._address = _client_address()
        self._process: subprocess.Popen[bytes] | None = None
        self.slots = [VirtualSlot(port, empty=functools.partial(self._noticed, index)) for index, port in enumerate(ports)]
        self.environment = {**os.environ, "PCSCLITE_CSOCK_NAME": str(self._address)}

    def start(self) -> None:
        """Start the service and wait until it and its readers answer. Raises ReaderUnavailableError."""
        script = f"mount -t tmpfs tmpfs /run && mkdir /run/pcscd && exec pcscd -f -c {self._configuration}"
        process = subprocess.Popen(["unshare", "-rm", "sh", "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._process = process
        self._real = Path(f"/proc/{process.pid}/root/run/pcscd/pcscd.comm")
        _wait_for(self._real, self._ports, process)
        self._address.unlink(missing_ok=True)
        self._address.symlink_to(self._real)
        _wait_until_listed(2 * len(self._ports))  # a virtual reader has two slots

    def stop(self) -> None:
        """Stop the service as a crash would. Safe to call twice."""
        for slot in self.slots:
            slot.remove()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._address.unlink(missing_ok=True)

    def _noticed(self, index: int) -> bool:
        """Whether pcscd knows that the first slot of a reader is empty; True where this is not the pcscd that would be asked."""
        try:
            if not self._address.is_symlink() or self._address.readlink() != self._real:
                return True
            names = [name for name in list_card_readers() if name.startswith(f"Virtual {index} ") and name.endswith(" 00")]
            return not any(card_present(name) for name in names)
        except (ReaderUnavailableError, ReaderLostError):
            return True


@functools.cache
def _client_address() -> Path:
    """Where this process's PC/SC library looks for the service: it asks the environment once and remembers the answer."""
    folder = Path(tempfile.mkdtemp(prefix="pcscd-client-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["PCSCLITE_CSOCK_NAME"] = str(folder / "pcscd.comm")
    return folder / "pcscd.comm"


def _free_ports(count: int, keep: contextlib.ExitStack) -> list[int]:
    """Pairs of free neighboring ports: each virtual reader takes two.

    They stay bound, though not listened on, until ``keep`` is closed: pcscd, whose sockets may share them (SO_REUSEADDR),
    listens there, and nobody else is given them while it starts, or starts again.
    """
    found: list[int] = []
    while len(found) < count:
        with contextlib.ExitStack() as pair, contextlib.suppress(OSError):
            port = _bound(0, pair)
            if port < 65_535:
                _bound(port + 1, pair)
                keep.enter_context(pair.pop_all())
                found.append(port)
    return found


def _bound(port: int, keep: contextlib.ExitStack) -> int:
    place = keep.enter_context(socket.socket())
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("", port))
    return int(place.getsockname()[1])


@contextlib.contextmanager
def isolated_pcscd(readers: int = 1) -> Iterator[PcscStation]:
    """A pcscd of one's own with ``readers`` virtual readers, for as long as the block runs.

    This process's PC/SC calls go to it, and from the first one on to no other. Raises ReaderUnavailableError
    ``no_pcscd`` saying what is missing (pcscd, vsmartcard-vpcd, or the right to make a namespace): tests skip with that
    sentence.
    """
    if shutil.which("pcscd") is None or not _DRIVER.exists():
        raise ReaderUnavailableError("no_pcscd", "pcscd and vsmartcard-vpcd are not installed: apt-get install pcscd vsmartcard-vpcd.")
    if shutil.which("unshare") is None:
        raise ReaderUnavailableError("no_pcscd", "unshare (util-linux) is not installed.")
    with tempfile.TemporaryDirectory(prefix="pcscd-") as folder, contextlib.ExitStack() as places:
        ports = _free_ports(readers, places)
        entries = []
        for index, port in enumerate(ports):
            # Readers that share one driver file lose insertions silently: each gets a copy under a name of its own.
            driver = Path(folder) / f"libifdvpcd{index}.so"
            shutil.copy(_DRIVER, driver)
            channel = f"0x{port:04X}"
            entries.append(f'FRIENDLYNAME "Virtual {index}"\nDEVICENAME /dev/null:{channel}\nLIBPATH {driver}\nCHANNELID {channel}\n')
        configuration = Path(folder) / "reader.conf"
        configuration.write_text("\n".join(entries))
        station = PcscStation(configuration, ports)
        link = _client_address()
        before = link.readlink() if link.is_symlink() else None
        try:
            station.start()
            yield station
        finally:
            station.stop()
            if before is not None:
                link.symlink_to(before)  # the station this one was started inside of


def _wait_for(address: Path, ports: list[int], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ReaderUnavailableError("no_pcscd", "pcscd did not start in its own namespace (it needs root or user namespaces).")
        if os.path.exists(address) and all(_listening(port) for port in ports):  # noqa: PTH110 - a path inside another namespace
            return
        time.sleep(0.02)
    raise ReaderUnavailableError("no_pcscd", f"pcscd did not start within {_PATIENCE_S:g} seconds.")


def _wait_until_listed(count: int) -> None:
    """A reader's port is open a moment before pcscd tells of the reader."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        try:
            if len(list_card_readers()) >= count:
                return
        except ReaderUnavailableError as error:
            if error.code == "no_pyscard":
                return  # other programs may use this station
        time.sleep(0.02)
    raise ReaderUnavailableError("no_pcscd", f"pcscd did not list its readers within {_PATIENCE_S:g} seconds.")


def _listening(port: int) -> bool:
    """Whether something listens, asked without connecting: a connection would count as a card."""
    wanted = f":{port:04X} "
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), Path(table).open() as lines:
            if any(wanted in line and " 0A " in line for line in lines):
                return True
    return False

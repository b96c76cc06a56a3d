"""The service as a process: started, asked, killed and started again, as a machine would."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 180.0  # for a start or an end, on a loaded machine
_ports = itertools.count(20_000 + os.getpid() * 61 % 12_000)  # sixty for each test worker


def free_port() -> int:
    """A port that stays free until a service listens on it, and while that is started again.

    Below those that the system gives to whoever asks for any (32768 and up on Linux): one of these may be another's a moment
    later, and a client that asks it over and over may even be connected to itself.
    """
    for port in _ports:
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port
    raise AssertionError("there is always another")


class Service:
    """`visitor run` on a data folder of its own."""

    def __init__(self, data: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._arguments = arguments
        self._environment = {**os.environ, **(environment or {})}
        self.process: subprocess.Popen[str] | None = None
        self.output: list[str] = []

    def start(self) -> None:
        """Start and wait for /health. Raises AssertionError with the output when it ends before, or takes too long."""
        end = time.monotonic() + PATIENCE_SECONDS
        self.process = subprocess.Popen(
            [sys.executable, "-m", "visitor.cli", "run", "--data", str(self.data), "--port", str(self.port), *self._arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, env=self._environment, start_new_session=True,
        )
        reading = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        reading.start()
        while time.monotonic() < end:
            if self.process.poll() is not None:
                reading.join(30)  # what it said last may still be in the pipe
                break
            with contextlib.suppress(OSError, http.client.HTTPException), urllib.request.urlopen(f"{self.url}/health", timeout=10) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.05)
        raise AssertionError("the service did not come up:\n" + "".join(self.output[-40:]))

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.output.append(line)

    def wait_for_output(self, pattern: str, seconds: float = PATIENCE_SECONDS) -> str:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for line in self.output:
                if re.search(pattern, line):
                    return line
            time.sleep(0.05)
        raise AssertionError(f"{pattern} was not printed:\n" + "".join(self.output[-40:]))

    def kill(self) -> None:
        """As a power cut for this process only: PostgreSQL is left running."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def interrupt(self) -> int:
        """As Ctrl-C; returns the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.interrupt()
        if self.process is not None and self.process.poll() is None:
            self.kill()
        if pid := self.postgres_pid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGQUIT)

    def postgres_pid(self) -> int | None:
        """The postmaster of this data folder, when it lives."""
        try:
            pid = int((self.data / "pg" / "postmaster.pid").read_text().splitlines()[0])
            os.kill(pid, 0)
        except (OSError, ValueError, IndexError):
            return None
        return pid


@contextlib.contextmanager
def running(data: Path, *arguments: str, environment: dict[str, str] | None = None) -> Iterator[Service]:
    service = Service(data, *arguments, environment=environment)
    try:
        service.start()
        yield service
    finally:
        service.close()

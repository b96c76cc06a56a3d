"""A CUPS queue, by the `lp` and `lpstat` every CUPS brings; a raw queue passes the bytes through unchanged."""

from __future__ import annotations

import asyncio
import os
import re

from .dialect import Waiting
from .errors import Interrupted, NotReady, Unreachable
from .status import Paper, PrinterStatus, unreachable
from .transport import Begun, Receipt

_QUEUE = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,126}")
_OUT = ("media-empty", "media-needed")
_COVER = ("cover-open", "door-open", "interlock-open")


class CupsTransport:
    """A printer behind CUPS. `server` is what `lp -h` takes: `host:port` or the path of a socket."""

    def __init__(self, queue: str, *, server: str | None = None, raw: bool = True, timeout: float = 30.0) -> None:
        if not _QUEUE.fullmatch(queue):
            raise ValueError("that is no name of a CUPS queue")
        self.queue = queue
        self._server = server
        self._raw = raw
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"<CupsTransport {self.queue}>"

    async def status(self) -> PrinterStatus:
        try:
            code, said = await self._run("lpstat", "-l", "-p", self.queue)
        except (OSError, TimeoutError):
            return unreachable("CUPS does not answer")
        if code != 0:
            return unreachable("CUPS has no such queue or does not answer")
        low = said.lower()
        paper = Paper.OUT if any(word in low for word in _OUT) else Paper.LOW if "media-low" in low else Paper.UNKNOWN
        return PrinterStatus(
            online=" disabled " not in low and "offline-report" not in low,
            cover_open=any(word in low for word in _COVER),
            paper=paper,
            error="jammed" if "media-jam" in low else "",
        )

    async def send(self, data: bytes, *, begun: Begun | None = None, waiting: Waiting | None = None) -> Receipt:
        status = await self.status()
        if not status.reachable:
            raise Unreachable(status.words())
        if not status.ready:
            raise NotReady(status)
        if begun is not None:
            await begun()
        options = ("-o", "raw") if self._raw else ()
        try:
            # No title: CUPS keeps titles in its logs, and a badge is a person's.
            code, _ = await self._run("lp", "-d", self.queue, "-t", "badge", *options, "--", "-", feed=data)
        except (OSError, TimeoutError) as error:
            raise Interrupted(f"CUPS did not take the job ({type(error).__name__})", len(data), len(data)) from None
        if code != 0:
            # lp sends the whole job in one request, which CUPS takes or refuses.
            raise Unreachable("CUPS refuses the job")
        return Receipt(confirmed=False)

    async def _run(self, program: str, *arguments: str, feed: bytes = b"") -> tuple[int, str]:
        server = ("-h", self._server) if self._server else ()
        process = await asyncio.create_subprocess_exec(
            program, *server, *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
        try:
            async with asyncio.timeout(self._timeout):
                said, _ = await process.communicate(feed)
        except BaseException:
            if process.returncode is None:
                process.kill()
                await process.wait()
            raise
        assert process.returncode is not None
        return process.returncode, said.decode("utf-8", "replace")

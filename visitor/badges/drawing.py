"""Drawing badges in processes of their own: the service's loop never waits for an image.

The processes are started when the first badge is drawn and end when none was for a while: an idle service does not pay
for them. They end with the service, even when it is killed.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
import time
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor

import printers


class Drawing:
    """At most `workers` processes, ended after `idle` seconds without a badge."""

    def __init__(self, workers: int = 2, idle: float = 600.0) -> None:
        self._workers = workers
        self._idle = idle
        self._pool: ProcessPoolExecutor | None = None
        self._busy = 0
        self._timer: asyncio.TimerHandle | None = None

    async def produce(self, badge: printers.Badge, media: str, profile: str) -> bytes:
        """`printers.produce` elsewhere. Raises what it raises, and BrokenExecutor when a process died of it."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pool = self._pool = self._pool or self._start()
        self._busy += 1
        try:
            return await loop.run_in_executor(pool, printers.produce, badge, media, profile)
        except BrokenExecutor:
            # Killed for want of memory, say. The next badge gets new processes.
            if self._pool is pool:
                self._pool = None
            pool.shutdown(wait=False)
            raise
        finally:
            self._busy -= 1
            if self._busy == 0:
                self._timer = loop.call_later(self._idle, self._end)

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        # spawn: a fork of a process with threads (the matcher's, the database's) can hang for good.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._workers, mp_context=context, initializer=_begin, initargs=(os.getpid(),))

    def _end(self) -> None:
        if self._busy == 0 and self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None


def _begin(parent: int) -> None:
    """In a new process: watch the service, which may be killed without a chance to end us."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="watch-the-service").start()

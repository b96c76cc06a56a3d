"""Waiting for what another task, thread or process brings about: as long as a loaded machine may take, no longer than needed."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

PATIENCE_SECONDS = 60.0


async def until(what: Callable[[], Any], seconds: float = PATIENCE_SECONDS, pause: float = 0.02) -> Any:
    """What `what` gives once it is true; it may be a coroutine function. Raises AssertionError when it never is."""
    end = time.monotonic() + seconds
    while True:
        answer = what()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < end, f"it did not come about within {seconds:g} s"
        await asyncio.sleep(pause)


async def waits_for(watcher: Any, holder: Any) -> bool:
    """Whether some session waits for a lock that the transaction of `holder` has; asked over another connection, `watcher`."""
    pid = await holder.fetchval("select pg_backend_pid()")
    return bool(await watcher.fetchval("select exists (select from pg_stat_activity where $1 = any(pg_blocking_pids(pid)))", pid))

"""Ending background tasks for certain."""

from __future__ import annotations

import asyncio
from typing import Any

_AGAIN_SECONDS = 0.5


async def end(*ending: asyncio.Task[Any] | None) -> None:
    """Cancel tasks and wait until each has ended, whatever it ended with.

    Once is not enough: a cancellation that meets the very moment in which `asyncio.wait_for` has its result is lost (Python
    before 3.12, python/cpython#86296), and whoever then awaited the task would wait for a loop that goes on.
    """
    tasks = [task for task in ending if task is not None]
    waiting = {task for task in tasks if not task.done()}
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=_AGAIN_SECONDS)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at, so that nobody is told of it when the task is thrown away

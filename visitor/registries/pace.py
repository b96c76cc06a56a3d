"""How often something that goes wrong is tried again."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

FIRST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 30.0  # that of the poll behind every notice
FORGOTTEN_SECONDS: Final = 600.0


class Pace:
    """Tries by name: the first at once, the next ones 1, 2, 4 … 30 seconds after the end of the one before; ten minutes without
    one are a new beginning. `clock` tells seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tries: dict[str, tuple[int, float]] = {}

    def pause(self, name: str) -> float:
        """The seconds to wait before the next try, which is counted as made then."""
        now = self._clock()
        self._tries = {key: tried for key, tried in self._tries.items() if now - tried[1] < FORGOTTEN_SECONDS}
        count, last = self._tries.get(name, (0, -math.inf))
        at = max(now, last + min(FIRST_SECONDS * 2.0 ** min(count - 1, 10), LONGEST_SECONDS))
        self._tries[name] = (count + 1, at)
        return at - now

    def ended(self, name: str) -> None:
        """A try came to its end, whatever that was: what takes long must not be begun again for having taken long."""
        if name in self._tries:
            self._tries[name] = (self._tries[name][0], self._clock())

    async def rest(self, seconds: float) -> None:
        """Wait as long as `pause` said."""
        await asyncio.sleep(seconds)

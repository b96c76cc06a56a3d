"""What visits need done by the clock: ending what nobody ended on its day. One process of a database does it at a time."""

from __future__ import annotations

import asyncio
import logging

from visitor import db, tasks
from visitor.errors import VisitorError
from visitor.visits.service import Visits

log = logging.getLogger(__name__)
EVERY_SECONDS = 300.0
_LOCK = 0x454E4444  # "ENDD"


class EndOfDay:
    def __init__(self, database: db.Database, visits: Visits) -> None:
        self._db = database
        self._visits = visits
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="end-of-day")

    async def stop(self) -> None:
        await tasks.end(self._task)

    async def _run(self) -> None:
        while True:
            try:
                async with self._db.transaction() as tx:
                    # Held while this transaction is open: another process skips its turn.
                    if await tx.conn.fetchval("select pg_try_advisory_xact_lock($1)", _LOCK):
                        ended = await self._visits.end_day()
                        if ended:
                            log.info("ended %d visits of earlier days", ended)
            except (VisitorError, OSError):
                log.warning("visits of earlier days could not be ended; trying again in %d s", EVERY_SECONDS)
            await asyncio.sleep(EVERY_SECONDS)

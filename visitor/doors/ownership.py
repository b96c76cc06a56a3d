"""Which process drives which door: one PostgreSQL advisory lock a door, on a connection kept for nothing else.

Several processes may share one database; a reader's line can have one master only. The lock goes with the connection, so a
process that dies gives its doors to another. A process that merely loses the database keeps what it drives (doors work without
PostgreSQL) until, with the database back, it finds that another took the lock.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import Any
from uuid import UUID

import asyncpg


class Ownership:
    def __init__(self, url: str) -> None:
        self._url = url
        self._conn: Any = None
        self._locked: set[UUID] = set()  # on the connection we have
        self._held: set[UUID] = set()  # ours, as far as we know

    async def own(self, door_id: UUID) -> bool:
        """Take the door, or learn whether it is still ours."""
        try:
            conn = await self._connection()
            if door_id in self._locked:
                return True
            if await conn.fetchval("select pg_try_advisory_lock($1)", _key(door_id), timeout=5):
                self._locked.add(door_id)
                self._held.add(door_id)
                return True
            self._held.discard(door_id)
            return False
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return door_id in self._held

    async def release(self, door_id: UUID) -> None:
        self._held.discard(door_id)
        if door_id in self._locked:
            self._locked.discard(door_id)
            with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await self._conn.execute(f"select pg_advisory_unlock({_key(door_id)})", timeout=5)

    async def close(self) -> None:
        conn, self._conn = self._conn, None
        self._locked.clear()
        self._held.clear()
        if conn is not None:
            with contextlib.suppress(Exception):
                await conn.close(timeout=1)

    async def _connection(self) -> Any:
        if self._conn is None or self._conn.is_closed():
            self._locked.clear()
            self._conn = await asyncpg.connect(self._url, timeout=5)
        return self._conn


def _key(door_id: UUID) -> int:
    return int.from_bytes(hashlib.sha256(b"door" + door_id.bytes).digest()[:8], "big", signed=True)

"""The policy in force, kept in memory: it is asked for at every check-in and changes a few times a year."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

from visitor import audit, db
from visitor.errors import Conflict, Forbidden, NotFound, Unavailable
from visitor.events import EventBus
from visitor.ids import new_id
from visitor.policies import store
from visitor.policies.models import DEFAULT, Purpose, PurposePolicy, check
from visitor.security import Principal
from visitor.sites.service import Sites


class PolicyMoved(Conflict):
    type = "policy-moved"
    title = "Somebody else changed the purposes at the same moment"


class Policies:
    def __init__(self, database: db.Database, bus: EventBus, sites: Sites) -> None:
        self._db = database
        self._sites = sites
        self._current: PurposePolicy | None = None
        self._versions: dict[UUID, PurposePolicy] = {}
        self._loading = asyncio.Lock()
        bus.on(self._on_event)

    async def start(self) -> None:
        """A new district begins with the usual purposes, written once whoever starts first."""
        async with self._db.transaction() as tx:
            if await store.current(tx.conn) is None:
                await store.add(tx.conn, new_id(), 1, DEFAULT, datetime.now(UTC))
        await self._load()

    async def stop(self) -> None:
        """Nothing runs."""

    async def current(self) -> PurposePolicy:
        """Raises Unavailable where none could be read yet."""
        if self._current is None:
            await self._load()
        if self._current is None:
            raise Unavailable("No purposes are set up yet. An administrator sets them.")
        return self._current

    async def version(self, policy_id: UUID) -> PurposePolicy:
        """The policy a visit was decided by. Raises NotFound."""
        found = self._versions.get(policy_id)
        if found is None:
            async with self._db.connection() as conn:
                found = await store.version(conn, policy_id)
            if found is None:
                raise NotFound("There is no such policy.")
            self._versions[policy_id] = found
        return found

    async def set(self, tx: db.Tx, purposes: tuple[Purpose, ...], actor: str) -> PurposePolicy:
        """Put new purposes in force at the commit. Raises PurposeProblem, PolicyMoved."""
        check(purposes)
        last = await store.current(tx.conn)
        made = await store.add(tx.conn, new_id(), last.version + 1 if last else 1, purposes, datetime.now(UTC))
        if made is None:
            raise PolicyMoved("The purposes were changed at the same moment. Look at them again, then repeat the change.")
        district = await self._sites.district(tx)
        await audit.record(tx, district, actor, "policy.set", made.id, version=made.version, purposes=len(purposes))
        tx.notify("policies", district, made.id)
        return made

    async def replace(self, principal: Principal, purposes: tuple[Purpose, ...]) -> PurposePolicy:
        """`set` on behalf of somebody. Raises Forbidden: purposes hold for every school, so it takes an administrator of all."""
        if principal.sites("admin") is not None:
            raise Forbidden("Purposes hold for the whole district: ask an administrator of every school.")
        async with self._db.transaction() as tx:
            return await self.set(tx, purposes, principal.actor)

    async def _load(self) -> None:
        # One at a time: a reading begun before a change must not overwrite one begun after it.
        async with self._loading:
            async with self._db.connection() as conn:
                self._current = await store.current(conn)
            if self._current is not None:
                self._versions[self._current.id] = self._current

    async def _on_event(self, event: db.Event) -> None:
        if event.topic in ("policies", "sync"):
            await self._load()

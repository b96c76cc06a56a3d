"""Asking for an escort, accepting, handing over, ending: each in the caller's transaction, each in the audit.

Topic "visits" with the visit's id: an escort is part of what every page shows of a visit.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import msgspec

from visitor import audit, db
from visitor.accounts.service import Accounts
from visitor.errors import NotFound
from visitor.escorts import store
from visitor.escorts.models import EscortRow, MayNotEscort, NoEscortAsked, NotEscorted
from visitor.ids import new_id
from visitor.security import Principal


class Escorts:
    def __init__(self, database: db.Database, accounts: Accounts) -> None:
        self._db = database
        self._accounts = accounts

    async def ask(self, tx: db.Tx, site_id: UUID, visit_id: UUID, staff_id: UUID | None = None, *, actor: str = "system") -> EscortRow:
        """Ask one member of staff, or anyone who may: also where that one (a host, say) may not escort.

        A visit that has an escort asked or accepted keeps it. Raises NotFound for staff that do not exist.
        """
        there = await store.current(tx.conn, site_id, visit_id)
        if there is not None:
            return there
        if staff_id is not None:
            try:
                await self._may(tx, site_id, staff_id)
            except MayNotEscort:
                staff_id = None
        row = EscortRow(site_id, new_id(), visit_id, staff_id, "asked", datetime.now(UTC), None, None)
        await store.add(tx.later, row)
        await self._told(tx, row, actor, "escort.asked")
        return row

    async def accept(self, tx: db.Tx, site_id: UUID, visit_id: UUID, staff_id: UUID, *, actor: str = "system") -> EscortRow:
        """asked → accepted by a named member of staff, whoever was asked: who stands there first walks along.

        Raises NoEscortAsked (also when somebody was faster), MayNotEscort, NotFound.
        """
        row = await store.current(tx.conn, site_id, visit_id)
        if row is None or row.state != "asked":
            raise NoEscortAsked(
                "Somebody else has accepted already." if row is not None else "This visit is not waiting for an escort."
            )
        await self._may(tx, site_id, staff_id)
        now = datetime.now(UTC)
        await store.accept(tx.conn, row, staff_id, now)
        row = msgspec.structs.replace(row, state="accepted", staff_id=staff_id, accepted_at=now)
        await self._told(tx, row, actor, "escort.accepted")
        return row

    async def hand_over(self, tx: db.Tx, site_id: UUID, visit_id: UUID, staff_id: UUID, *, actor: str = "system") -> EscortRow:
        """Another member of staff takes over; from the commit on it is their card that leads through doors.

        Raises NotEscorted, MayNotEscort, NotFound. Handing over to oneself changes nothing.
        """
        row = await store.current(tx.conn, site_id, visit_id)
        if row is None or row.state != "accepted":
            raise NotEscorted("Nobody has accepted to escort this visitor yet.")
        if row.staff_id == staff_id:
            return row
        await self._may(tx, site_id, staff_id)
        now = datetime.now(UTC)
        await store.end(tx.conn, row, "handed_over", now)
        after = EscortRow(site_id, new_id(), visit_id, staff_id, "accepted", now, now, None)
        await store.add(tx.conn, after)
        await self._told(tx, after, actor, "escort.handed_over", before=row.id)
        return after

    async def relieve(self, principal: Principal, visit_id: UUID, staff_id: UUID) -> EscortRow:
        """`hand_over` as a person asks for it. Raises what that raises, and NotFound for another school's visit."""
        async with self._db.transaction() as tx:
            site_id = await store.site_of_visit(tx.conn, visit_id)
            if site_id is None:
                raise NotFound("There is no such visit with an escort at a school of yours.")
            principal.require(site_id, "hall", "desk", "admin")
            return await self.hand_over(tx, site_id, visit_id, staff_id, actor=principal.actor)

    async def end(self, tx: db.Tx, site_id: UUID, visit_id: UUID, *, actor: str = "system") -> None:
        """The visit is over, or needs no escort any more. Ending twice changes nothing."""
        row = await store.current(tx.conn, site_id, visit_id)
        if row is not None:
            await store.end(tx.conn, row, "ended", datetime.now(UTC))
            await self._told(tx, row, actor, "escort.ended")

    async def open_for(self, site_id: UUID | None = None) -> list[EscortRow]:
        """Who is asked and who is walking with whom, at a site or everywhere, longest waiting first."""
        async with self._db.connection() as conn:
            return await store.open_at(conn, site_id)

    async def of_visit(self, site_id: UUID, visit_id: UUID) -> list[EscortRow]:
        """A visit's escorts, first to last."""
        async with self._db.connection() as conn:
            return await store.of_visit(conn, site_id, visit_id)

    async def _may(self, tx: db.Tx, site_id: UUID, staff_id: UUID) -> None:
        member = await self._accounts.staff_member(staff_id, tx.conn)
        if member.site_id != site_id or not member.may_escort:
            raise MayNotEscort("Choose a member of this school's staff who may escort visitors.")

    @staticmethod
    async def _told(tx: db.Tx, row: EscortRow, actor: str, action: str, **detail: object) -> None:
        await audit.record(tx, row.site_id, actor, action, row.id, visit=row.visit_id, staff=row.staff_id, **detail)
        tx.notify("visits", row.site_id, row.visit_id)

"""`printers.JobStore` over the `print_jobs` and `print_lines` tables: each method is one committed transaction.

With what a job becomes, its badge and the audit follow in the same transaction, and the desks are told after it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from printers import Job, LeaseLost, State
from visitor import audit, db, metrics
from visitor.badges import store

STOPPED = "the program stopped while this badge was being sent; it may have been printed"


class PgJobStore:
    """Rows of one database, for any number of processes."""

    def __init__(self, database: db.Database) -> None:
        self._db = database
        self._recovered: set[str] = set()

    async def add(self, job: Job) -> Job:
        """Queue a job for a badge that is there. `Badges.issue` does so within the check-in's own transaction instead."""
        async with self._db.transaction() as tx:
            badge = await store.badge(tx.conn, UUID(job.ref))
            if badge is None:
                raise LookupError("there is no such badge")
            if await store.add_job(tx.conn, job, site_id=badge.site_id, visit_id=badge.visit_id):
                tx.notify("badges", badge.site_id, badge.id)
                return job
            known = await store.job(tx.conn, UUID(job.id))
        assert known is not None
        return known.job()

    async def get(self, job_id: str) -> Job | None:
        async with self._db.connection() as conn:
            row = await store.job(conn, UUID(job_id))
        return None if row is None else row.job()

    async def claim(self, printer: str, worker: str, lease: float) -> Job | None:
        # One statement, which commits by itself: nobody is to be told of a claim.
        async with self._db.connection() as conn:
            row = await store.claim(conn, UUID(printer), worker, lease)
        return None if row is None else row.job()

    async def renew(self, job_id: str, worker: str, lease: float) -> None:
        async with self._db.connection() as conn:
            if not await store.renew(conn, UUID(job_id), worker, lease):
                raise _lost(job_id)

    async def sending(self, job_id: str, worker: str, lease: float) -> None:
        async with self._db.transaction() as tx:
            self._changed(tx, await store.sending(tx.conn, UUID(job_id), worker, lease), job_id)

    async def release(
        self, job_id: str, worker: str, *, reason: str, attempts: int, not_before: dt.datetime | None = None
    ) -> None:
        async with self._db.transaction() as tx:
            row = await store.release(tx.conn, UUID(job_id), worker, reason=reason, attempts=attempts, not_before=not_before)
            self._changed(tx, row, job_id)

    async def finish(self, job_id: str, worker: str, state: State, *, reason: str = "", confirmed: bool | None = None) -> None:
        if state not in (State.PRINTED, State.FAILED, State.DOUBTFUL):
            raise ValueError(f"a job cannot finish as {state}")
        async with self._db.transaction() as tx:
            row = self._changed(
                tx, await store.finish(tx.conn, UUID(job_id), worker, state, reason=reason, confirmed=confirmed), job_id
            )
            await self._finished(tx, row)
        metrics.PRINTS.labels(state.value).inc()

    async def take_over(self, worker: str) -> None:
        """For the one process that holds the printing lock: every other worker's lease has lapsed from now on."""
        async with self._db.transaction() as tx:
            await store.take_over(tx.conn, worker)

    async def recover(self, worker: str) -> Sequence[Job]:
        first = worker not in self._recovered
        async with self._db.transaction() as tx:
            rows = await store.recover(tx.conn, worker, own=first, reason=STOPPED)
            for row in rows:
                await self._finished(tx, row)
                tx.notify("badges", row.site_id, row.badge_id)
                tx.notify("printers", row.site_id, row.printer_id)
        self._recovered.add(worker)
        for row in rows:
            metrics.PRINTS.labels(row.state).inc()
        return [row.job() for row in rows]

    async def cancel(self, job_id: str, reason: str) -> bool:
        async with self._db.transaction() as tx:
            row = await store.cancel(tx.conn, UUID(job_id), reason)
            if row is not None:
                self._changed(tx, row, job_id)
        return row is not None

    async def settle(self, job_id: str, state: State, reason: str) -> bool:
        if state not in (State.PRINTED, State.FAILED):
            raise ValueError(f"a doubtful job cannot be settled as {state}")
        async with self._db.transaction() as tx:
            row = await store.settle(tx.conn, UUID(job_id), state, reason)
            if row is not None:
                self._changed(tx, row, job_id)
                await self._finished(tx, row)
        return row is not None

    async def move(self, printer: str, to: str, reason: str) -> int:
        async with self._db.transaction() as tx:
            rows = await store.move(tx.conn, UUID(printer), UUID(to), reason)
            for row in rows:
                self._changed(tx, row, str(row.id))
            if rows:
                await audit.record(tx, rows[0].site_id, "system", "printer.jobs_moved", UUID(printer), to=to, jobs=[r.id for r in rows])
        return len(rows)

    async def hold(self, printer: str, reason: str | None) -> None:
        async with self._db.transaction() as tx:
            site_id = await store.site_of_printer(tx.conn, UUID(printer))
            if site_id is None:
                raise LookupError("there is no such printer")
            await store.set_hold(tx.conn, UUID(printer), site_id, reason)
            tx.notify("printers", site_id, UUID(printer))

    async def held(self, printer: str) -> str | None:
        async with self._db.connection() as conn:
            return await store.hold(conn, UUID(printer))

    async def waiting(self, printer: str) -> int:
        async with self._db.connection() as conn:
            return await store.waiting(conn, UUID(printer))

    async def doubtful(self, printer: str) -> Sequence[Job]:
        async with self._db.connection() as conn:
            return [row.job() for row in await store.doubtful(conn, UUID(printer))]

    @staticmethod
    def _changed(tx: db.Tx, row: store.JobRow | None, job_id: str) -> store.JobRow:
        if row is None:
            raise _lost(job_id)
        tx.notify("badges", row.site_id, row.badge_id)
        return row

    @staticmethod
    async def _finished(tx: db.Tx, row: store.JobRow) -> None:
        if row.state == State.PRINTED:
            await store.mark_printed(tx.conn, row.site_id, row.badge_id, dt.datetime.now(dt.UTC))
        if row.state == State.DOUBTFUL:
            tx.notify("printers", row.site_id, row.printer_id)
        await audit.record(
            tx, row.site_id, "system", f"print_job.{row.state}", row.id,
            badge=row.badge_id, printer=row.printer_id, confirmed=row.confirmed, reason=row.reason,
        )


def _lost(job_id: str) -> LeaseLost:
    return LeaseLost(f"job {job_id} is not this worker's")

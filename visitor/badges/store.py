"""SQL of the badges slice: badges, print jobs and the printers' lines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from printers import Job, State
from visitor import db
from visitor.badges.models import BadgeRow, LineRow, PrintJob

_q = db.queries(__file__)
PRINTING_LOCK: Final = 0x56505254  # "VPRT": one process prints for a database; below 2³¹, as `printing_somewhere` reads it


class JobRow(msgspec.Struct, frozen=True):
    """A row of `print_jobs` whole: the library's job, and whose badge it is."""

    id: UUID
    site_id: UUID
    badge_id: UUID
    visit_id: UUID
    printer_id: UUID
    state: str
    reason: str
    attempts: int
    worker: str | None
    lease_until: datetime | None
    not_before: datetime | None
    expires_at: datetime
    confirmed: bool | None
    created_at: datetime
    updated_at: datetime
    printed_at: datetime | None

    def job(self) -> Job:
        return Job(
            id=str(self.id), printer=str(self.printer_id), ref=str(self.badge_id), state=State(self.state), reason=self.reason,
            attempts=self.attempts, queued_at=self.created_at, not_before=self.not_before, expires_at=self.expires_at,
            worker=self.worker, lease_until=self.lease_until, confirmed=self.confirmed,
        )


# ── badges ───────────────────────────────────────────────────────────────────────────────────────────────────


async def last_number(conn: db.Connection, site_id: UUID, day: date) -> int:
    return int(await _q.last_number(conn, site_id=site_id, day=day))


async def add_badge(conn: db.Connection, row: BadgeRow) -> bool:
    """False when the day's number is taken."""
    fields = {
        k: getattr(row, k)
        for k in ("site_id", "id", "visit_id", "day", "number", "status", "kid", "issued_at", "expires_at", "replaces")
    }
    return await _q.add(conn, **fields) is not None


async def live(conn: db.Connection, site_id: UUID, visit_id: UUID, *, lock: bool = False) -> BadgeRow | None:
    """The visit's badge in force; locked, if asked for, until the transaction ends."""
    while lock:
        row = db.one(await _q.live_for_update(conn, site_id=site_id, visit_id=visit_id), BadgeRow)
        if row is not None:
            return row
        # None also where the row waited for was voided meanwhile by a reprint: its successor is seen by a new statement only.
        if await _q.live(conn, site_id=site_id, visit_id=visit_id) is None:
            return None
    return db.one(await _q.live(conn, site_id=site_id, visit_id=visit_id), BadgeRow)


async def live_of(conn: db.Connection, keys: Sequence[tuple[UUID, UUID]]) -> list[BadgeRow]:
    """The badges in force of these (site, visit)."""
    return await db.each(_q.live_of(conn, sites=[site for site, _ in keys], visits=[visit for _, visit in keys]), BadgeRow)


async def badge(conn: db.Connection, badge_id: UUID) -> BadgeRow | None:
    return db.one(await _q.badge(conn, id=badge_id), BadgeRow)


async def void(conn: db.Connection, row: BadgeRow, reason: str, now: datetime) -> None:
    await _q.void(conn, site_id=row.site_id, id=row.id, reason=reason, now=now)


async def mark_printed(conn: db.Connection, site_id: UUID, badge_id: UUID, now: datetime) -> None:
    await _q.printed(conn, site_id=site_id, id=badge_id, now=now)


async def site_of_visit(conn: db.Connection, visit_id: UUID) -> UUID | None:
    found: UUID | None = await _q.site_of_visit(conn, visit_id=visit_id)
    return found


# ── print jobs ───────────────────────────────────────────────────────────────────────────────────────────────


async def add_job(conn: db.Connection, job: Job, *, site_id: UUID, visit_id: UUID) -> bool:
    """False when a job of this id is there already."""
    added = await _q.add_job(
        conn, id=UUID(job.id), site_id=site_id, badge_id=UUID(job.ref), visit_id=visit_id, printer_id=UUID(job.printer),
        not_before=job.not_before, expires_at=job.expires_at, created_at=job.queued_at,
    )
    return added is not None


async def queue(conn: db.Connection, job: Job, *, site_id: UUID, visit_id: UUID) -> None:
    """Queue a job of a new id."""
    await _q.queue_job(
        conn, id=UUID(job.id), site_id=site_id, badge_id=UUID(job.ref), visit_id=visit_id, printer_id=UUID(job.printer),
        not_before=job.not_before, expires_at=job.expires_at, created_at=job.queued_at,
    )


async def job(conn: db.Connection, job_id: UUID) -> JobRow | None:
    return db.one(await _q.job(conn, id=job_id), JobRow)


async def claim(conn: db.Connection, printer_id: UUID, worker: str, lease: float) -> JobRow | None:
    return db.one(await _q.claim(conn, printer_id=printer_id, worker=worker, lease=lease), JobRow)


async def renew(conn: db.Connection, job_id: UUID, worker: str, lease: float) -> bool:
    return await _q.renew(conn, id=job_id, worker=worker, lease=lease) is not None


async def sending(conn: db.Connection, job_id: UUID, worker: str, lease: float) -> JobRow | None:
    return db.one(await _q.sending(conn, id=job_id, worker=worker, lease=lease), JobRow)


async def release(
    conn: db.Connection, job_id: UUID, worker: str, *, reason: str, attempts: int, not_before: datetime | None
) -> JobRow | None:
    row = await _q.release(conn, id=job_id, worker=worker, reason=reason, attempts=attempts, not_before=not_before)
    return db.one(row, JobRow)


async def finish(
    conn: db.Connection, job_id: UUID, worker: str, state: State, *, reason: str, confirmed: bool | None
) -> JobRow | None:
    row = await _q.finish(conn, id=job_id, worker=worker, state=state.value, reason=reason, confirmed=confirmed)
    return db.one(row, JobRow)


async def take_over(conn: db.Connection, worker: str) -> None:
    await _q.take_over(conn, worker=worker)


async def recover(conn: db.Connection, worker: str, *, own: bool, reason: str) -> list[JobRow]:
    """Free the queued jobs of the dead; their sending jobs become doubtful and are returned."""
    await _q.free_dead(conn, worker=worker, own=own)
    return await db.each(_q.doubt_dead(conn, worker=worker, own=own, reason=reason), JobRow)


async def cancel(conn: db.Connection, job_id: UUID, reason: str) -> JobRow | None:
    return db.one(await _q.cancel(conn, id=job_id, reason=reason), JobRow)


async def cancel_badge(conn: db.Connection, badge_id: UUID, reason: str) -> list[JobRow]:
    return await db.each(_q.cancel_badge(conn, badge_id=badge_id, reason=reason), JobRow)


async def settle(conn: db.Connection, job_id: UUID, state: State, reason: str) -> JobRow | None:
    return db.one(await _q.settle(conn, id=job_id, state=state.value, reason=reason), JobRow)


async def move(conn: db.Connection, printer_id: UUID, to: UUID, reason: str) -> list[JobRow]:
    return await db.each(_q.move(conn, printer_id=printer_id, to_printer=to, reason=reason), JobRow)


async def waiting(conn: db.Connection, printer_id: UUID) -> int:
    return int(await _q.waiting(conn, printer_id=printer_id))


async def doubtful(conn: db.Connection, printer_id: UUID) -> list[JobRow]:
    return await db.each(_q.doubtful(conn, printer_id=printer_id), JobRow)


async def last_job_of_badge(conn: db.Connection, badge_id: UUID) -> JobRow | None:
    return db.one(await _q.last_job_of_badge(conn, badge_id=badge_id), JobRow)


async def jobs(conn: db.Connection, site_id: UUID, since: datetime, limit: int) -> list[PrintJob]:
    return await db.each(_q.jobs(conn, site_id=site_id, since=since, limit=limit), PrintJob)


async def one_job(conn: db.Connection, job_id: UUID) -> PrintJob | None:
    return db.one(await _q.one_job(conn, id=job_id), PrintJob)


async def to_look_at(conn: db.Connection, site_id: UUID) -> list[PrintJob]:
    """Jobs in doubt, and failed ones whose badge is in force and not printed since."""
    return await db.each(_q.to_look_at(conn, site_id=site_id), PrintJob)


async def oldest_age(conn: db.Connection) -> float:
    """Seconds that the job waiting longest has waited; 0 when none waits."""
    return float(await _q.oldest_age(conn))


async def purge_jobs(conn: db.Connection, before: datetime) -> None:
    await _q.purge_jobs(conn, before=before)


# ── lines ────────────────────────────────────────────────────────────────────────────────────────────────────


async def set_hold(conn: db.Connection, printer_id: UUID, site_id: UUID, reason: str | None) -> None:
    await _q.set_hold(conn, printer_id=printer_id, site_id=site_id, reason=reason)


async def hold(conn: db.Connection, printer_id: UUID) -> str | None:
    found: str | None = await _q.hold(conn, printer_id=printer_id)
    return found


async def set_line(conn: db.Connection, printer_id: UUID, site_id: UUID, *, condition: str, problem: str, paper: str) -> bool:
    """Whether anything changed."""
    row = await _q.set_line(conn, printer_id=printer_id, site_id=site_id, condition=condition, problem=problem, paper=paper)
    return row is not None


async def lines(conn: db.Connection, site_id: UUID | None) -> list[LineRow]:
    return await db.each(_q.lines(conn, site_id=site_id), LineRow)


async def site_of_printer(conn: db.Connection, printer_id: UUID) -> UUID | None:
    found: UUID | None = await _q.site_of_printer(conn, printer_id=printer_id)
    return found


async def try_lock(conn: db.Connection) -> bool:
    """Become the process that prints, for as long as this connection lives."""
    return bool(await _q.try_lock(conn, lock=PRINTING_LOCK))


async def printing_somewhere(conn: db.Connection) -> bool:
    return bool(await _q.printing_somewhere(conn, lock=PRINTING_LOCK))


async def node(conn: db.Connection) -> tuple[str, UUID | None]:
    """This node's role ("both", "hub", "site") and its own site."""
    row: Any = await _q.node(conn)
    return row["role"], row["site_id"]

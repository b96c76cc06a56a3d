"""A print job, its states, and what a store of jobs must promise.

    queued ──(first byte is about to go)──> sending ──> printed
      ^  │                                   │  │  └──> doubtful ──(a person looked)──> printed | failed
      │  ├──> failed(reason)                 │  └─────> failed(reason)
      │  └──> cancelled                      │
      └──────(surely not printed)────────────┘

A worker *claims* a queued job for the length of a lease; the job stays `queued` while its badge is drawn and the
printer is asked how it is. Only when the next thing is the first byte does it become `sending`. So a worker killed at
any moment leaves either `queued` (nothing was sent: another worker prints it, once) or `sending` (something may have
been sent: it becomes `doubtful`, and the desk is told which badge).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec


class State(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    PRINTED = "printed"
    FAILED = "failed"
    DOUBTFUL = "doubtful"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether no worker will touch the job again; a person may still settle a doubtful one."""
        return self not in (State.QUEUED, State.SENDING)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One badge to print on one printer.

    `ref` says what to print in the caller's own terms (a badge's id): the store holds no personal data. `printer` is
    a `Printer.name` and changes when the job is moved. `reason` is words for the desk. `attempts` counts the times
    that bytes were sent without a badge coming of it. `confirmed` is set with `printed`: whether the printer itself
    said so. All times are UTC; a job not begun by `expires_at` fails, for nobody wants yesterday's badge.
    """

    id: str
    printer: str
    ref: str
    state: State = State.QUEUED
    reason: str = ""
    attempts: int = 0
    queued_at: dt.datetime
    not_before: dt.datetime | None = None
    expires_at: dt.datetime | None = None
    worker: str | None = None
    lease_until: dt.datetime | None = None
    confirmed: bool | None = None


class JobStore(Protocol):
    """Where jobs live. Every method that returns has its change on disk; each is one transaction.

    `worker` names one running spool; `lease` is in seconds. A worker *owns* a job when `job.worker` is its name and
    nobody has taken the job since; a method asked by another raises `LeaseLost` and changes nothing.

    In PostgreSQL, `claim` is one statement::

        update print_jobs set worker = $2, lease_until = now() + $3 where id = (
            select id from print_jobs where printer = $1 and state = 'queued'
               and (not_before is null or not_before <= now()) and (lease_until is null or lease_until < now())
             order by queued_at, id for update skip locked limit 1) returning *

    and every other method is an `update … where id = … and worker = … and state = …` whose row count tells `LeaseLost`.
    """

    async def add(self, job: Job) -> Job:
        """Queue a job. A job of this id that is there already is returned as it is: adding twice prints once."""

    async def get(self, job_id: str) -> Job | None:
        """The job, or None."""

    async def claim(self, printer: str, worker: str, lease: float) -> Job | None:
        """The printer's oldest queued job that is due and under no living lease, now leased to `worker`; or None."""

    async def renew(self, job_id: str, worker: str, lease: float) -> None:
        """Lengthen the lease of a queued or sending job. Raises `LeaseLost`."""

    async def sending(self, job_id: str, worker: str, lease: float) -> None:
        """queued → sending, since the next thing is the job's first byte. Raises `LeaseLost`."""

    async def release(
        self, job_id: str, worker: str, *, reason: str, attempts: int, not_before: dt.datetime | None = None
    ) -> None:
        """queued or sending → queued without lease, surely not printed. Keeps its place in line. Raises `LeaseLost`."""

    async def finish(self, job_id: str, worker: str, state: State, *, reason: str = "", confirmed: bool | None = None) -> None:
        """→ printed, failed or doubtful.

        Also from `doubtful` by the worker that owned the job: it was slow, another thought it dead, and now it knows.
        Raises `LeaseLost`.
        """

    async def recover(self, worker: str) -> Sequence[Job]:
        """Deal with the dead: called before a worker's first claim and every half lease.

        Leases that have lapsed, and on the first call in this process those of `worker` itself (an earlier life of
        the same name), count as dead. Their queued jobs are free again; their sending jobs become `doubtful` and are
        returned.
        """

    async def cancel(self, job_id: str, reason: str) -> bool:
        """queued → cancelled, claimed or not; False if it is too late. The worker that has claimed it meets `LeaseLost`."""

    async def settle(self, job_id: str, state: State, reason: str) -> bool:
        """doubtful → printed or failed, as a person found; False if it is no longer in doubt."""

    async def move(self, printer: str, to: str, reason: str) -> int:
        """Give the printer's queued jobs that nobody has claimed to another printer; how many."""

    async def hold(self, printer: str, reason: str | None) -> None:
        """Stop the printer's line (a person's wish, kept over restarts) with a reason, or let it go on with None."""

    async def held(self, printer: str) -> str | None:
        """Why the printer's line is stopped, or None."""

    async def waiting(self, printer: str) -> int:
        """How many jobs are queued or sending."""

    async def doubtful(self, printer: str) -> Sequence[Job]:
        """The jobs in doubt, oldest first, for the desk to settle."""

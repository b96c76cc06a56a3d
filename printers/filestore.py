"""The library's own store of jobs: one append-only file, one process.

Each line is a check sum and the whole job as JSON; the last line of a job is its state. A line that was being written
when the power went is the last one and is dropped: its job is then as it was before. Claims live in memory only, since
the lock on the file says that no other process is there to hold one.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import fcntl
import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from .errors import LeaseLost, StoreBusy, StoreCorrupt, StoreError
from .jobs import Job, State

_COMPACT_OVER = 5_000


class _Hold(msgspec.Struct, frozen=True, tag="hold"):
    printer: str
    reason: str | None


class _Line(msgspec.Struct, frozen=True, tag="job"):
    job: Job


_decoder: msgspec.json.Decoder[_Line | _Hold] = msgspec.json.Decoder(_Line | _Hold)
_encode = msgspec.json.Encoder().encode


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class FileJobStore:
    """A `JobStore` in one file (0600), for one process at a time.

    `keep` is how long finished jobs stay known, so that adding one again prints nothing. Raises `StoreBusy` if another
    process has it open and `StoreCorrupt` if a line before the last cannot be read.
    """

    def __init__(self, path: str | Path, *, keep: dt.timedelta = dt.timedelta(days=7), now: Callable[[], dt.datetime] = _now) -> None:
        self.path = Path(path)
        self._keep = keep
        self._now = now
        self._jobs: dict[str, Job] = {}
        self._holds: dict[str, str] = {}
        self._recovered = False
        self._lines = 0
        self._lines_kept = 0
        self._one = asyncio.Lock()
        self._broken = False
        # The lock is on a file of its own, since compaction replaces the log.
        self._lock = self._take_lock()
        try:
            self._file = self._open()
        except BaseException:
            self._lock.close()
            raise

    def __repr__(self) -> str:
        return f"<FileJobStore {self.path}, {len(self._jobs)} jobs>"

    def close(self) -> None:
        """Let another process have it."""
        self._file.close()
        self._lock.close()

    # --- the file

    def _take_lock(self) -> BinaryIO:
        lock = Path(f"{self.path}.lock").open("ab")  # noqa: SIM115  held open as long as the store is
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise StoreBusy(f"another process has {self.path} open") from None
        return lock

    def _open(self) -> BinaryIO:
        whole = self.path.read_bytes() if self.path.exists() else b""
        lines = whole.split(b"\n")
        good = 0
        for number, line in enumerate(lines[:-1], 1):
            record = _read(line)
            if record is None:
                if number < len(lines) - 1 or lines[-1]:
                    raise StoreCorrupt(f"line {number} of {self.path} cannot be read")
                break
            self._apply(record)
            good += len(line) + 1
        if len(lines) > _COMPACT_OVER:
            return self._replace(self._living())
        self._lines = len(lines)
        file = self.path.open("ab")
        os.fchmod(file.fileno(), 0o600)
        if good != len(whole):
            # What is left of a line that was being written; appending to it would spoil the next one too.
            file.truncate(good)
        os.fsync(file.fileno())
        _sync_folder(self.path.parent)
        return file

    def _apply(self, record: _Line | _Hold) -> None:
        if isinstance(record, _Line):
            self._jobs[record.job.id] = record.job
        elif record.reason is None:
            self._holds.pop(record.printer, None)
        else:
            self._holds[record.printer] = record.reason

    def _living(self) -> bytes:
        """Forget what is old and give the rest as it shall stand in the file."""
        oldest = self._now() - self._keep
        kept = [j for j in self._jobs.values() if not j.state.final or j.state is State.DOUBTFUL or j.queued_at > oldest]
        self._jobs = {job.id: job for job in kept}
        lines = [_written(_Line(job)) for job in kept]
        lines += [_written(_Hold(printer, reason)) for printer, reason in self._holds.items()]
        return b"".join(lines)

    def _replace(self, whole: bytes) -> BinaryIO:
        part = Path(f"{self.path}.new")
        with part.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(whole)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)
        _sync_folder(self.path.parent)
        self._lines = self._lines_kept = whole.count(b"\n")
        return self.path.open("ab")

    async def _write(self, record: _Line | _Hold) -> None:
        """Append, then believe it. Called with the lock held."""
        if self._broken:
            raise StoreError(f"{self.path} could not be written; open it anew")
        done = asyncio.ensure_future(asyncio.to_thread(self._append, _written(record)))
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            # The line may be on disk already: memory has to follow it, whatever becomes of the caller.
            await asyncio.wait([done])
            if done.exception() is None:
                self._apply(record)
            raise
        self._apply(record)
        if self._lines > max(_COMPACT_OVER, 2 * self._lines_kept):
            # Each time twice what was left the time before, so that rewriting stays a small part of the writing.
            old = self._file
            self._file = await asyncio.to_thread(self._replace, self._living())
            old.close()

    def _append(self, line: bytes) -> None:
        try:
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
            self._lines += 1
        except OSError as error:
            # Half a line may stand there. Nothing may follow it: reopening drops it.
            self._broken = True
            raise StoreError(f"{self.path} could not be written ({error.strerror})") from None

    # --- JobStore

    async def add(self, job: Job) -> Job:
        if job.state is not State.QUEUED:
            raise ValueError(f"a job is added as queued, not as {job.state}")
        async with self._one:
            known = self._jobs.get(job.id)
            if known is None:
                await self._write(_Line(job))
            return known or job

    async def get(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    async def claim(self, printer: str, worker: str, lease: float) -> Job | None:
        async with self._one:
            now = self._now()
            due = [
                job
                for job in self._jobs.values()
                if job.printer == printer
                and job.state is State.QUEUED
                and (job.not_before is None or job.not_before <= now)
                and (job.lease_until is None or job.lease_until < now)
            ]
            if not due:
                return None
            job = min(due, key=lambda job: (job.queued_at, job.id))
            claimed = msgspec.structs.replace(job, worker=worker, lease_until=now + dt.timedelta(seconds=lease))
            self._jobs[job.id] = claimed
            return claimed

    async def renew(self, job_id: str, worker: str, lease: float) -> None:
        job = self._owned(job_id, worker, State.QUEUED, State.SENDING)
        self._jobs[job_id] = msgspec.structs.replace(job, lease_until=self._now() + dt.timedelta(seconds=lease))

    async def sending(self, job_id: str, worker: str, lease: float) -> None:
        until = self._now() + dt.timedelta(seconds=lease)
        await self._change(job_id, worker, (State.QUEUED,), state=State.SENDING, reason="", lease_until=until)

    async def release(
        self, job_id: str, worker: str, *, reason: str, attempts: int, not_before: dt.datetime | None = None
    ) -> None:
        await self._change(
            job_id, worker, (State.QUEUED, State.SENDING), state=State.QUEUED, reason=reason, attempts=attempts,
            not_before=not_before, worker_after=None, lease_until=None,
        )  # fmt: skip

    async def finish(self, job_id: str, worker: str, state: State, *, reason: str = "", confirmed: bool | None = None) -> None:
        if state not in (State.PRINTED, State.FAILED, State.DOUBTFUL):
            raise ValueError(f"a job cannot finish as {state}")
        before = (State.SENDING, State.DOUBTFUL, *([State.QUEUED] if state is State.FAILED else []))
        await self._change(job_id, worker, before, state=state, reason=reason, confirmed=confirmed, lease_until=None)

    async def recover(self, worker: str) -> Sequence[Job]:
        async with self._one:
            now = self._now()
            # The file's lock says that whoever held a job when it was opened is dead.
            first, self._recovered = not self._recovered, True
            found: list[Job] = []
            for job in list(self._jobs.values()):
                dead = (job.lease_until is not None and job.lease_until < now) or (first and job.worker is not None)
                if not dead or job.state.final:
                    continue
                if job.state is State.QUEUED:
                    self._jobs[job.id] = msgspec.structs.replace(job, worker=None, lease_until=None)
                    continue
                reason = "the program stopped while this badge was being sent; it may have been printed"
                doubt = msgspec.structs.replace(job, state=State.DOUBTFUL, reason=reason, lease_until=None)
                await self._write(_Line(doubt))
                found.append(doubt)
            return found

    async def cancel(self, job_id: str, reason: str) -> bool:
        return await self._decide(job_id, State.QUEUED, State.CANCELLED, reason)

    async def settle(self, job_id: str, state: State, reason: str) -> bool:
        if state not in (State.PRINTED, State.FAILED):
            raise ValueError(f"a doubtful job cannot be settled as {state}")
        return await self._decide(job_id, State.DOUBTFUL, state, reason)

    async def move(self, printer: str, to: str, reason: str) -> int:
        async with self._one:
            now = self._now()
            free = [
                job
                for job in self._jobs.values()
                if job.printer == printer
                and job.state is State.QUEUED
                and (job.lease_until is None or job.lease_until < now)
            ]
            for job in free:
                await self._write(_Line(msgspec.structs.replace(job, printer=to, reason=reason, worker=None, lease_until=None)))
            return len(free)

    async def hold(self, printer: str, reason: str | None) -> None:
        async with self._one:
            await self._write(_Hold(printer, reason))

    async def held(self, printer: str) -> str | None:
        return self._holds.get(printer)

    async def waiting(self, printer: str) -> int:
        return sum(job.printer == printer and not job.state.final for job in self._jobs.values())

    async def doubtful(self, printer: str) -> Sequence[Job]:
        found = [job for job in self._jobs.values() if job.printer == printer and job.state is State.DOUBTFUL]
        return sorted(found, key=lambda job: (job.queued_at, job.id))

    async def jobs(self) -> Sequence[Job]:
        """Every job that is known, oldest first."""
        return sorted(self._jobs.values(), key=lambda job: (job.queued_at, job.id))

    # --- changes

    def _owned(self, job_id: str, worker: str, *states: State) -> Job:
        job = self._jobs.get(job_id)
        if job is None or job.worker != worker or job.state not in states:
            raise LeaseLost(f"job {job_id} is not this worker's")
        return job

    async def _change(self, job_id: str, worker: str, before: tuple[State, ...], **changes: object) -> None:
        async with self._one:
            job = self._owned(job_id, worker, *before)
            if "worker_after" in changes:
                changes["worker"] = changes.pop("worker_after")
            await self._write(_Line(msgspec.structs.replace(job, **changes)))

    async def _decide(self, job_id: str, before: State, after: State, reason: str) -> bool:
        async with self._one:
            job = self._jobs.get(job_id)
            if job is None or job.state is not before:
                return False
            await self._write(_Line(msgspec.structs.replace(job, state=after, reason=reason, worker=None, lease_until=None)))
            return True


def _written(record: _Line | _Hold) -> bytes:
    body = _encode(record)
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _read(line: bytes) -> _Line | _Hold | None:
    try:
        if int(line[:8], 16) != zlib.crc32(line[9:]):
            return None
        return _decoder.decode(line[9:])
    except (ValueError, msgspec.DecodeError):
        return None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

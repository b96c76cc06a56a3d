"""One line of jobs a printer: order, retry, hold, failover, and what was really printed.

Each printer has a task of its own, so that a dead one delays no other. Trouble with a printer (refused, silent, paper
out) is the printer's, never the job's: jobs wait in line, in order, and go on by themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from enum import StrEnum

import msgspec

from .errors import Interrupted, LeaseLost, NotReady, NotSent, PrinterError
from .jobs import Job, JobStore, State
from .status import Paper, PrinterStatus
from .transport import CHUNK, Receipt, Transport

log = logging.getLogger(__name__)


class Printer(msgspec.Struct, frozen=True, kw_only=True):
    """A printer as the spool knows it.

    `title` is what people call its place ("Front desk"). `fallback` names the printer that may take over, and
    `failover_after` the seconds of trouble after which it does so unasked (None: a person decides, by `Spool.use`).
    """

    name: str
    title: str
    transport: Transport
    fallback: str | None = None
    failover_after: float | None = None


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds, and how often a job that was cut short is tried anew before it fails."""

    lease: float = 20.0
    poll: float = 1.0
    ask_idle: float = 10.0
    back_off: float = 0.5
    back_off_most: float = 5.0
    attempts: int = 5
    draw_for: float = 60.0
    record_for: float = 60.0


class Condition(StrEnum):
    IDLE = "idle"
    PRINTING = "printing"
    WAITING = "waiting"
    HELD = "held"


class PrinterState(msgspec.Struct, frozen=True, kw_only=True):
    """A printer as a desk shows it. `problem` is empty while all is well."""

    name: str
    title: str
    condition: Condition
    problem: str
    paper: Paper
    waiting: int
    doubtful: tuple[str, ...]
    fallback: str

    def words(self) -> str:
        """One sentence: "paper out at Front desk; badges wait, 2 in line; use Library?"."""
        parts: list[str] = []
        if self.problem:
            parts.append(f"{self.problem} at {self.title}")
            if self.waiting:
                parts.append(f"badges wait, {self.waiting} in line")
                if self.fallback:
                    parts.append(f"use {self.fallback}?")
        elif self.condition is Condition.PRINTING:
            parts.append(f"printing at {self.title}, {self.waiting} in line")
        else:
            parts.append(f"{self.title} ready{', paper low' if self.paper is Paper.LOW else ''}")
        if self.doubtful:
            count = len(self.doubtful)
            parts.append(f"{count} {'badge' if count == 1 else 'badges'} may be doubled, please look")
        return "; ".join(parts)


Produce = Callable[[Job, Printer], Awaitable[bytes]]
"""What draws a job's badge for a printer, in a process pool; its `PrinterError` fails the job with that reason."""


class _Line:
    """What is known of one printer while the spool runs."""

    def __init__(self, printer: Printer) -> None:
        self.printer = printer
        self.wake = asyncio.Event()
        self.job: str | None = None
        self.problem = ""
        self.problem_since: float | None = None
        self.back_off = 0.0
        self.paper = Paper.UNKNOWN
        self.asked = 0.0


class _Stage:
    """How far a job has come, for the case that the spool is stopped."""

    begun = False
    receipt: Receipt | None = None


class Spool:
    """Prints what a store holds on the printers it is given.

    `worker` names this spool in the store, unlike any other that runs at the same time; the same name over restarts
    lets it take up at once what its earlier life left. `changed` is called with a printer's name whenever what a desk
    shows of it may have changed.
    """

    def __init__(
        self,
        store: JobStore,
        printers: Iterable[Printer],
        produce: Produce,
        *,
        worker: str,
        policy: Policy | None = None,
        changed: Callable[[str], None] | None = None,
    ) -> None:
        self._store = store
        self._produce = produce
        self._worker = worker
        self._policy = policy or Policy()
        self._changed = changed or (lambda name: None)
        self._lines = {printer.name: _Line(printer) for printer in printers}
        self._stopping = asyncio.Event()
        for line in self._lines.values():
            if line.printer.fallback is not None and line.printer.fallback not in self._lines:
                raise ValueError(f"{line.printer.name} falls back on {line.printer.fallback}, which is not here")

    # --- for the desk

    async def states(self) -> list[PrinterState]:
        """Every printer as a desk shows it."""
        return [await self.state(name) for name in self._lines]

    async def state(self, name: str) -> PrinterState:
        """One printer as a desk shows it."""
        line = self._lines[name]
        held = await self._store.held(name)
        if held is not None:
            condition = Condition.HELD
        elif line.problem:
            condition = Condition.WAITING
        else:
            condition = Condition.PRINTING if line.job is not None else Condition.IDLE
        other = self._lines.get(line.printer.fallback or "")
        return PrinterState(
            name=name,
            title=line.printer.title,
            condition=condition,
            problem=f"on hold ({held})" if held is not None else line.problem,
            paper=line.paper,
            waiting=await self._store.waiting(name),
            doubtful=tuple(job.id for job in await self._store.doubtful(name)),
            fallback=other.printer.title if other is not None and not other.problem else "",
        )

    def wake(self, name: str | None = None) -> None:
        """There may be something to do for a printer (or any): a job was added, paper was filled."""
        for line in self._lines.values():
            if name is None or line.printer.name == name:
                line.wake.set()

    async def hold(self, name: str, reason: str) -> None:
        """Stop a printer's line until `resume`; the job being printed is printed."""
        await self._store.hold(name, reason)
        self._changed(name)

    async def resume(self, name: str) -> None:
        """Let a printer's line go on."""
        await self._store.hold(name, None)
        self.wake(name)
        self._changed(name)

    async def use(self, name: str, other: str) -> int:
        """Send the badges waiting for one printer to another; how many."""
        if other not in self._lines:
            raise ValueError(f"there is no printer {other}")
        title = self._lines[name].printer.title
        moved = await self._store.move(name, other, f"sent on from {title}")
        self.wake(other)
        self._changed(name)
        self._changed(other)
        return moved

    async def cancel(self, job_id: str, reason: str) -> bool:
        """Take a job out of the line; False if its first byte has gone."""
        job = await self._store.get(job_id)
        cancelled = await self._store.cancel(job_id, reason)
        if cancelled and job is not None:
            self._changed(job.printer)
        return cancelled

    # --- the work

    async def run(self) -> None:
        """Print until `stop`. Returns when every printer's task has ended; cancelling it ends them at once."""
        await self._recover()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_recovering())
            group.create_task(self._keep_failing_over())
            for line in self._lines.values():
                group.create_task(self._serve(line))

    def stop(self) -> None:
        """Let each printer end the job it is at, and then `run` return."""
        self._stopping.set()
        self.wake()

    async def _keep_recovering(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._policy.lease / 2):
                    await self._stopping.wait()
            try:
                await self._recover()
            except Exception:
                log.exception("print jobs of dead workers could not be looked for; trying again")

    async def _keep_failing_over(self) -> None:
        """For printers that are stuck in the middle of a badge: those behind it in line need not wait."""
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._policy.poll):
                    await self._stopping.wait()
            for line in self._lines.values():
                if line.problem and line.job is not None:
                    try:
                        await self._fail_over(line)
                    except Exception:
                        log.exception("printer %s: its jobs could not be sent on; trying again", line.printer.name)

    async def _recover(self) -> None:
        for job in await self._store.recover(self._worker):
            log.warning("print job %s is in doubt: %s", job.id, job.reason)
            self._changed(job.printer)

    async def _serve(self, line: _Line) -> None:
        while not self._stopping.is_set():
            try:
                worked = await self._step(line)
            except Exception:
                # Most likely the store; this printer's line must outlive it, and the others must not notice.
                log.exception("printer %s: its line stumbled; trying again", line.printer.name)
                worked = False
            if not worked:
                await self._pause(line, line.back_off or self._policy.poll)

    async def _pause(self, line: _Line, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await line.wake.wait()
        line.wake.clear()

    async def _step(self, line: _Line) -> bool:
        """Do the next thing for a printer; whether there may be more at once."""
        name = line.printer.name
        if await self._store.held(name) is not None:
            return False
        if line.problem or time.monotonic() - line.asked > self._policy.ask_idle:
            # In trouble the printer is asked before a job is claimed, so that waiting jobs stay free to be moved.
            self._heard(line, await line.printer.transport.status())
        if line.problem:
            await self._fail_over(line)
            return False
        job = await self._store.claim(name, self._worker, self._policy.lease)
        if job is None:
            return False
        line.job = job.id
        self._changed(name)
        try:
            return await self._print(line, job)
        finally:
            line.job = None
            self._changed(name)

    async def _print(self, line: _Line, job: Job) -> bool:
        if job.expires_at is not None and job.expires_at <= dt.datetime.now(dt.UTC):
            await self._finish(job, State.FAILED, reason="it was no longer valid when its turn came")
            return True
        async with self._leased(job):
            stage = _Stage()
            try:
                data = await self._drawn(line, job)
                return data is None or await self._send(line, job, data, stage)
            except asyncio.CancelledError:
                await self._abandon(job, stage)
                raise

    async def _drawn(self, line: _Line, job: Job) -> bytes | None:
        """The job's bytes; None when there are none and the job has been told so."""
        try:
            async with asyncio.timeout(self._policy.draw_for):
                return await self._produce(job, line.printer)
        except PrinterError as error:
            await self._finish(job, State.FAILED, reason=str(error))
        except Exception as error:
            # Its text may hold anything, a name too, so only its kind is kept.
            kind = type(error).__name__
            log.error("print job %s could not be drawn: %s", job.id, kind)
            if job.attempts + 1 >= self._policy.attempts:
                await self._finish(job, State.FAILED, reason=f"the badge could not be drawn ({kind})")
            else:
                await self._again(job, f"the badge could not be drawn ({kind}); trying again")
        return None

    async def _send(self, line: _Line, job: Job, data: bytes, stage: _Stage) -> bool:
        async def about_to_send() -> None:
            await self._store.sending(job.id, self._worker, self._policy.lease)
            stage.begun = True

        try:
            receipt = await line.printer.transport.send(data, begun=about_to_send, waiting=lambda status: self._heard(line, status))
        except LeaseLost:
            # Cancelled or taken over before the first byte: nothing was sent, and it is no longer ours to say so.
            return True
        except NotSent as error:
            why = str(error)
            await self._record(lambda: self._store.release(job.id, self._worker, reason=why, attempts=job.attempts))
            self._trouble(line, why, error.status if isinstance(error, NotReady) else None)
            return False
        except Interrupted as error:
            await self._interrupted(job, error)
            # Whatever it was, the printer is asked before the next badge.
            self._trouble(line, error.why, None)
            return False
        except Exception:
            # The store, most likely, when it was told that the first byte is about to go.
            if stage.begun:
                await self._finish(job, State.DOUBTFUL, reason="an unforeseen error; the badge may have been printed")
            else:
                await self._record(lambda: self._store.release(job.id, self._worker, reason="", attempts=job.attempts))
            raise
        stage.receipt = receipt
        await self._finish(job, State.PRINTED, confirmed=receipt.confirmed)
        self._well(line)
        return True

    async def _interrupted(self, job: Job, error: Interrupted) -> None:
        incomplete = error.sent <= error.total - CHUNK
        if not incomplete:
            await self._finish(job, State.DOUBTFUL, reason=f"{error.why}; the badge may have been printed")
        elif job.attempts + 1 >= self._policy.attempts:
            await self._finish(job, State.FAILED, reason=f"{error.why}, {job.attempts + 1} times")
        else:
            # The end of the picture and the cut have not left this machine: at most a strip without its end came out.
            await self._again(job, f"{error.why}; a strip without its end may lie in the printer, the badge is printed anew")

    async def _again(self, job: Job, reason: str) -> None:
        later = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self._policy.back_off * 2**job.attempts)
        attempts = job.attempts + 1
        await self._record(
            lambda: self._store.release(job.id, self._worker, reason=reason, attempts=attempts, not_before=later)
        )

    async def _abandon(self, job: Job, stage: _Stage) -> None:
        """The spool is being cancelled: say what is known, in the moment that is left."""
        store, worker = self._store, self._worker
        with contextlib.suppress(Exception):
            if stage.receipt is not None:
                await asyncio.shield(store.finish(job.id, worker, State.PRINTED, confirmed=stage.receipt.confirmed))
            elif stage.begun:
                reason = "the program was stopped while this badge was being sent; it may have been printed"
                await asyncio.shield(store.finish(job.id, worker, State.DOUBTFUL, reason=reason))
            else:
                await asyncio.shield(store.release(job.id, worker, reason="", attempts=job.attempts))

    # --- the store, which may be away for a moment

    async def _finish(self, job: Job, state: State, *, reason: str = "", confirmed: bool | None = None) -> None:
        await self._record(lambda: self._store.finish(job.id, self._worker, state, reason=reason, confirmed=confirmed))

    async def _record(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write what happened, trying for as long as it may help: a badge that came out must not be called doubtful."""
        deadline = time.monotonic() + self._policy.record_for
        pause = 0.05
        while True:
            try:
                return await write()
            except LeaseLost:
                log.warning("a print job was taken over while it was being printed")
                return None
            except Exception:
                if time.monotonic() > deadline or self._stopping.is_set():
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)

    @contextlib.asynccontextmanager
    async def _leased(self, job: Job) -> AsyncIterator[None]:
        """Keep the lease alive while the job is worked on."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(self._policy.lease / 3)
                try:
                    await self._store.renew(job.id, self._worker, self._policy.lease)
                except LeaseLost:
                    return
                except Exception:
                    log.warning("the lease of print job %s could not be renewed; trying again", job.id)

        task = asyncio.create_task(renew())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # --- how the printer is

    def _heard(self, line: _Line, status: PrinterStatus) -> None:
        line.asked = time.monotonic()
        if status.ready:
            line.paper = status.paper
            self._well(line)
        else:
            self._trouble(line, status.words(), status)

    def _well(self, line: _Line) -> None:
        line.asked = time.monotonic()
        if line.problem:
            log.info("printer %s: ready again", line.printer.name)
            line.problem, line.problem_since = "", None
            self._changed(line.printer.name)
        line.back_off = 0.0

    def _trouble(self, line: _Line, problem: str, status: PrinterStatus | None) -> None:
        line.back_off = min(line.back_off * 2 or self._policy.back_off, self._policy.back_off_most)
        if status is not None:
            line.paper = status.paper
        if line.problem_since is None:
            line.problem_since = time.monotonic()
        if line.problem != problem:
            log.warning("printer %s: %s", line.printer.name, problem)
            line.problem = problem
            self._changed(line.printer.name)

    async def _fail_over(self, line: _Line) -> None:
        after, other = line.printer.failover_after, self._lines.get(line.printer.fallback or "")
        if after is None or other is None or line.problem_since is None or time.monotonic() - line.problem_since < after:
            return
        if other.problem or await self._store.held(other.printer.name) is not None:
            return
        if not await self._store.waiting(line.printer.name) or not (await other.printer.transport.status()).ready:
            return
        moved = await self.use(line.printer.name, other.printer.name)
        if moved:
            log.warning("printer %s: %s; %d jobs go to %s", line.printer.name, line.problem, moved, other.printer.name)

"""Issuing, voiding and reprinting badges, their tokens and pictures; what a desk sees of the printers and may do about them.

What prints is `worker.PrintWorker`; this service only writes rows, so that a desk served by another process sees and does
the same. Topics: "badges" with the badge's id, "printers" with the printer's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from printers import Condition, Interrupted, Job, Paper, PrinterError, PrinterState, State
from visitor import audit, db, metrics
from visitor.badges import store
from visitor.badges.drawing import Drawing
from visitor.badges.models import (
    BadgeContent,
    BadgeExpired,
    BadgeRow,
    ContentOf,
    JobDecided,
    LineRow,
    NoBadge,
    NoPrinter,
    PrinterInfo,
    PrintJob,
    ReasonMissing,
    TransportFor,
    UnknownJob,
    UnknownVisit,
    badge_of,
    fallbacks,
    printer_of,
    refusal_to_print,
    test_badge,
)
from visitor.credentials.service import Credentials
from visitor.errors import NotFound
from visitor.events import EventBus
from visitor.ids import new_id
from visitor.keys import Claims, KeyRing, token_text
from visitor.security import Principal
from visitor.sites.models import PrinterRow, Station
from visitor.sites.service import Sites

UNATTENDED = "no running program prints"
_PICTURE_MEDIA = "80mm"  # of a badge shown on a screen where the school has no printer


class Badges:
    """`content_of` is set by the wiring: what a visit's badge says, asked when it is drawn."""

    def __init__(
        self, database: db.Database, bus: EventBus, keys: KeyRing, sites: Sites, credentials: Credentials, transport_for: TransportFor,
        drawing: Drawing | None = None,
    ) -> None:
        self._db = database
        self._keys = keys
        self._sites = sites
        self._credentials = credentials
        self._transport_for = transport_for
        self.drawing = drawing or Drawing()
        self._numbers: dict[tuple[UUID, date], int] = {}
        self._troubles: dict[UUID, str] = {}
        self._looking = asyncio.Lock()
        self.content_of: ContentOf | None = None
        bus.on(self._on_event)

    # ── a badge's life ───────────────────────────────────────────────────────────────────────────────────

    async def issue(
        self, tx: db.Tx, *, site_id: UUID, visit_id: UUID, station: Station | None, expires_at: datetime, actor: str = "system"
    ) -> BadgeRow:
        """A badge with the day's next number, and its print job, both in the caller's transaction.

        It prints at the station's printer, or at the desk's where the station has none; without any printer at the school
        there is no job, and the badge can be shown as a picture only.
        """
        printer_id = printer_of(station, self._sites.printers(site_id), self._sites.stations(site_id))
        row = await self._add(tx, site_id, visit_id, expires_at, None)
        job_id = await self._queue(tx, row, printer_id)
        await audit.record(tx, site_id, actor, "badge.issued", row.id, visit=visit_id, number=row.number, print_job=job_id)
        tx.notify("badges", site_id, row.id)
        return row

    async def void(self, tx: db.Tx, site_id: UUID, visit_id: UUID, reason: str, *, actor: str = "system") -> None:
        """Void the visit's badge, if it has one in force, and take its print job out of the line."""
        row = await store.live(tx.conn, site_id, visit_id, lock=True)
        if row is not None:
            await self._void(tx, row, reason, "the visit is over")
            await audit.record(tx, site_id, actor, "badge.voided", row.id, visit=visit_id, reason=reason)

    async def reprint(self, principal: Principal, site_id: UUID, visit_id: UUID, reason: str) -> BadgeRow:
        """A new badge in place of the old one, whose token counts no more; on the printer that the old one went to.

        Raises ReasonMissing, NoBadge, BadgeExpired, Forbidden, NotFound.
        """
        principal.require(site_id, "desk", "admin")
        reason = " ".join(reason.split())
        if not reason or len(reason) > 500:
            raise ReasonMissing("Say why the badge is printed again, in up to 500 characters.")
        async with self._db.transaction() as tx:
            old = await store.live(tx.conn, site_id, visit_id, lock=True)
            if old is None:
                raise NoBadge("This visit has no badge in force: it was not approved yet, or it is over.")
            if old.expires_at <= datetime.now(UTC):
                raise BadgeExpired("This visit has run past its time. Check the visitor out, and in again if they stay.")
            before = await store.last_job_of_badge(tx.conn, old.id)
            known = {p.id for p in self._sites.printers(site_id)}
            if before is not None and before.printer_id in known:
                printer_id: UUID | None = before.printer_id
            else:
                printer_id = printer_of(None, self._sites.printers(site_id), self._sites.stations(site_id))
            await self._void(tx, old, reason, "another badge was printed instead")
            row = await self._add(tx, site_id, visit_id, old.expires_at, old.id)
            await self._credentials.change(tx, site_id, visit_id, badge_id=row.id, actor=principal.actor)
            job_id = await self._queue(tx, row, printer_id)
            # The stated reason may name somebody: it stays with the badge, outside what the audit seals.
            await audit.record(
                tx, site_id, principal.actor, "badge.reprinted", row.id,
                visit=visit_id, replaces=old.id, number=row.number, print_job=job_id,
            )
            tx.notify("badges", site_id, row.id)
            tx.notify("visits", site_id, visit_id)
        return row

    def token(self, badge: BadgeRow) -> str:
        """The text of the badge's QR code: signed, without a name, the same every time, so none is kept."""
        return token_text(self._keys.sign(Claims("badge", badge.id, badge.site_id, badge.issued_at, badge.expires_at), badge.kid))

    async def live(self, site_id: UUID, visit_id: UUID) -> BadgeRow | None:
        """The visit's badge in force."""
        async with self._db.connection() as conn:
            return await store.live(conn, site_id, visit_id)

    async def live_of(self, keys: Sequence[tuple[UUID, UUID]]) -> dict[UUID, BadgeRow]:
        """The badges in force of these (site, visit), by visit, in one query."""
        async with self._db.connection() as conn:
            return {row.visit_id: row for row in await store.live_of(conn, keys)}

    async def badge(self, badge_id: UUID) -> BadgeRow | None:
        """A badge by the id in its token, whatever its status."""
        async with self._db.connection() as conn:
            return await store.badge(conn, badge_id)

    async def site_of(self, visit_id: UUID) -> UUID:
        """The school of a visit that has, or had, a badge. Raises UnknownVisit."""
        async with self._db.connection() as conn:
            site_id = await store.site_of_visit(conn, visit_id)
        if site_id is None:
            raise UnknownVisit("There is no such visit with a badge at a school of yours.")
        return site_id

    async def png(self, site_id: UUID, visit_id: UUID) -> bytes:
        """The badge in force as the printer gets it, as a picture. Raises NoBadge."""
        row = await self.live(site_id, visit_id)
        if row is None:
            raise NoBadge("This visit has no badge in force.")
        job = await self._last_job(row.id)
        media = _PICTURE_MEDIA
        if job is not None and (printer := self._printer(job.printer_id)) is not None:
            media = printer.media
        try:
            return await self._draw(row, media, "png")
        except PrinterError as e:
            raise NoBadge(f"The badge cannot be drawn: {e}.") from None

    # ── drawing, for the spool ───────────────────────────────────────────────────────────────────────────

    async def produce(self, job: Job, printer_id: UUID) -> bytes:
        """The bytes of a job's badge for a printer. Raises `PrinterError` where it must not or cannot be printed any more."""
        row = await self.badge(UUID(job.ref))
        if (refusal := refusal_to_print(row, datetime.now(UTC))) is not None:
            raise refusal
        printer = self._printer(printer_id)
        assert row is not None
        if printer is None:
            raise PrinterError("the printer is no longer set up")
        return await self._draw(row, printer.media, printer.profile)

    async def _draw(self, row: BadgeRow, media: str, profile: str) -> bytes:
        content = await self._content(row)
        site = self._sites.site(row.site_id)
        badge = badge_of(row, content, school=site.name, zone=site.zone_info, token=self.token(row))
        return await self.drawing.produce(badge, media, profile)

    async def _content(self, row: BadgeRow) -> BadgeContent:
        if self.content_of is None:
            raise PrinterError("nothing tells what the badge says")
        try:
            return await self.content_of(row.site_id, row.visit_id)
        except NotFound:
            raise PrinterError("the visit is no longer known") from None

    async def close(self) -> None:
        """End the processes that draw."""
        await self.drawing.close()

    # ── what a desk sees and does ────────────────────────────────────────────────────────────────────────

    async def printer_states(self, site_id: UUID) -> list[PrinterInfo]:
        """Each printer of a school, in words, with its line and the badges in doubt."""
        async with self._db.connection() as conn:
            lines = {line.printer_id: line for line in await store.lines(conn, site_id)}
            jobs = await store.to_look_at(conn, site_id)
            attended = await store.printing_somewhere(conn)
        printers = sorted(self._sites.printers(site_id), key=lambda p: p.name)
        second = fallbacks(printers, self._sites.stations(site_id))
        names = {p.id: p.name for p in printers}
        return [
            _info(p, lines[p.id], [j for j in jobs if j.printer_id == p.id], attended, second.get(p.id), names, lines)
            for p in printers
            if p.id in lines
        ]

    async def jobs(self, site_id: UUID, *, limit: int = 100) -> list[PrintJob]:
        """What waits, is being sent or is in doubt, and the last day's, newest first."""
        async with self._db.connection() as conn:
            return await store.jobs(conn, site_id, datetime.now(UTC) - timedelta(days=1), limit)

    async def settle(self, principal: Principal, job_id: UUID, *, printed: bool) -> PrintJob:
        """Decide a job in doubt, as a person found at the printer. A badge that is not there is put in line again.

        Raises UnknownJob, JobDecided.
        """
        await self._job(principal, job_id)
        state, reason = (State.PRINTED, "found printed") if printed else (State.FAILED, "found not printed")
        async with self._db.transaction() as tx:
            row = await store.settle(tx.conn, job_id, state, reason)
            if row is None:
                raise JobDecided("This badge is not in doubt any more.")
            if printed:
                await store.mark_printed(tx.conn, row.site_id, row.badge_id, datetime.now(UTC))
            again = None if printed else await self._requeue(tx, row)
            await audit.record(
                tx, row.site_id, principal.actor, "print_job.settled", job_id, badge=row.badge_id, outcome=state.value, again=again
            )
            tx.notify("badges", row.site_id, row.badge_id)
            tx.notify("printers", row.site_id, row.printer_id)
        metrics.PRINTS.labels(state.value).inc()
        return await self._job(principal, job_id)

    async def again(self, principal: Principal, job_id: UUID) -> PrintJob:
        """Put a badge that failed to print in line again: the same badge, since none of it is out. The new job.

        Raises UnknownJob, and JobDecided where it is not the badge's last job, did not fail, or the badge is void or too old.
        """
        job = await self._job(principal, job_id)
        async with self._db.transaction() as tx:
            row = await store.job(tx.conn, job_id)
            new = await self._requeue(tx, row) if row is not None and row.state in ("failed", "cancelled") else None
            if row is None or new is None:
                raise JobDecided("This badge cannot be put in line again: it was printed, is in line, is void or has run past its time.")
            await audit.record(tx, row.site_id, principal.actor, "print_job.repeated", job_id, badge=row.badge_id, again=new)
            tx.notify("badges", row.site_id, row.badge_id)
            tx.notify("printers", row.site_id, row.printer_id)
        return await self._job(principal, new or job.id)

    async def _requeue(self, tx: db.Tx, row: store.JobRow) -> UUID | None:
        """The id of a new job for the same badge; None where that one counts no more or has a later job."""
        badge = await store.live(tx.conn, row.site_id, row.visit_id, lock=True)  # of two desks at once, one is first
        last = await store.last_job_of_badge(tx.conn, row.badge_id)
        if badge is None or badge.id != row.badge_id or badge.expires_at <= datetime.now(UTC) or last is None or last.id != row.id:
            return None
        return await self._queue(tx, badge, row.printer_id)

    async def cancel(self, principal: Principal, job_id: UUID) -> PrintJob:
        """Take a job out of the line. Raises UnknownJob, JobDecided when its first byte has gone."""
        job = await self._job(principal, job_id)
        async with self._db.transaction() as tx:
            row = await store.cancel(tx.conn, job_id, "cancelled at the desk")
            if row is None:
                raise JobDecided("This badge is being printed, or was, already.")
            await audit.record(tx, row.site_id, principal.actor, "print_job.cancelled", job_id, badge=row.badge_id)
            tx.notify("badges", row.site_id, row.badge_id)
        metrics.PRINTS.labels("cancelled").inc()
        return await self._job(principal, job.id)

    async def hold(self, principal: Principal, printer_id: UUID, reason: str) -> None:
        """Stop a printer's line until `resume`; what it is printing it prints."""
        printer = self._own(principal, printer_id)
        reason = " ".join(reason.split())
        if not reason or len(reason) > 200:
            raise ReasonMissing("Say why the badges are to wait, in up to 200 characters.")
        await self._set_hold(principal, printer, reason)

    async def resume(self, principal: Principal, printer_id: UUID) -> None:
        """Let a printer's line go on."""
        await self._set_hold(principal, self._own(principal, printer_id), None)

    async def use(self, principal: Principal, printer_id: UUID, other_id: UUID) -> int:
        """Send the badges that wait for one printer to another of the same school; how many."""
        printer, other = self._own(principal, printer_id), self._own(principal, other_id)
        if printer.site_id != other.site_id or printer.id == other.id:
            raise NoPrinter("Choose another printer of the same school.")
        async with self._db.transaction() as tx:
            moved = await store.move(tx.conn, printer.id, other.id, f"sent on from {printer.name}")
            await audit.record(
                tx, printer.site_id, principal.actor, "printer.jobs_moved", printer.id, to=other.id, jobs=[row.id for row in moved]
            )
            for row in moved:
                tx.notify("badges", row.site_id, row.badge_id)
            for line in (printer, other):
                tx.notify("printers", line.site_id, line.id)
        return len(moved)

    async def ask(self, printer_id: UUID) -> tuple[bool, str]:
        """Ask a printer how it is, past what the process that prints has heard: (whether it can print, in words)."""
        printer = self._sites.printer(printer_id)
        try:
            status = await self._transport_for(printer.address, printer.profile).status()
        except (PrinterError, ValueError) as e:
            return False, str(e)
        return status.ready, status.words()

    async def print_test(self, printer_id: UUID) -> tuple[bool, str, str]:
        """Print a badge for nobody, past the line: (whether it went well, which printer, what happened in words)."""
        printer = self._sites.printer(printer_id)
        what, site = f"printer {printer.name}", self._sites.site(printer.site_id)
        try:
            data = await self.drawing.produce(test_badge(site.name, site.zone_info, datetime.now(UTC)), printer.media, printer.profile)
            receipt = await self._transport_for(printer.address, printer.profile).send(data)
        except Interrupted as e:
            return False, what, f"{e.why}; look whether the test badge came out"
        except (PrinterError, ValueError) as e:
            return False, what, str(e)
        if receipt.confirmed:
            return True, what, "printed a test badge and said so"
        return True, what, "took a test badge; printers of this kind do not say whether they printed it: look"

    def degraded(self) -> str:
        """For /health: which printers do not print, or ""."""
        return "; ".join(sorted(self._troubles.values()))

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────

    async def _add(self, tx: db.Tx, site_id: UUID, visit_id: UUID, expires_at: datetime, replaces: UUID | None) -> BadgeRow:
        now = datetime.now(UTC)
        day = now.astimezone(self._sites.site(site_id).zone_info).date()
        key = (site_id, day)
        if key not in self._numbers:
            last = await store.last_number(tx.conn, site_id, day)
            for old in [k for k in self._numbers if k[0] == site_id and k[1] < day]:
                del self._numbers[old]
            self._numbers.setdefault(key, last)
        # Counted in memory, so that check-ins do not wait for each other's commit; the unique index settles what another
        # process took. A check-in that fails leaves a gap.
        while True:
            self._numbers[key] += 1
            row = BadgeRow(
                site_id=site_id, id=new_id(), visit_id=visit_id, day=day, number=self._numbers[key], status="issued",
                kid=self._keys.signing_kid, issued_at=now, expires_at=expires_at, replaces=replaces,
            )
            if await store.add_badge(tx.with_later, row):
                return row
            self._numbers[key] = max(self._numbers[key], await store.last_number(tx.conn, site_id, day))

    async def _queue(self, tx: db.Tx, row: BadgeRow, printer_id: UUID | None) -> UUID | None:
        if printer_id is None:
            return None
        job = Job(
            id=str(new_id()), printer=str(printer_id), ref=str(row.id), queued_at=datetime.now(UTC), expires_at=row.expires_at
        )
        await store.queue(tx.later, job, site_id=row.site_id, visit_id=row.visit_id)
        return UUID(job.id)

    async def _void(self, tx: db.Tx, row: BadgeRow, reason: str, job_reason: str) -> None:
        await store.void(tx.conn, row, reason, datetime.now(UTC))
        for job in await store.cancel_badge(tx.conn, row.id, job_reason):
            metrics.PRINTS.labels(job.state).inc()
        tx.notify("badges", row.site_id, row.id)

    async def _set_hold(self, principal: Principal, printer: PrinterRow, reason: str | None) -> None:
        async with self._db.transaction() as tx:
            await store.set_hold(tx.conn, printer.id, printer.site_id, reason)
            action = "printer.held" if reason is not None else "printer.resumed"
            await audit.record(tx, printer.site_id, principal.actor, action, printer.id)
            tx.notify("printers", printer.site_id, printer.id)

    async def _job(self, principal: Principal, job_id: UUID) -> PrintJob:
        async with self._db.connection() as conn:
            job = await store.one_job(conn, job_id)
        if job is None:
            raise UnknownJob("There is no such print job at a school of yours.")
        principal.require(job.site_id, "desk", "admin")
        return job

    async def _last_job(self, badge_id: UUID) -> store.JobRow | None:
        async with self._db.connection() as conn:
            return await store.last_job_of_badge(conn, badge_id)

    def _printer(self, printer_id: UUID) -> PrinterRow | None:
        return next((p for p in self._sites.printers() if p.id == printer_id), None)

    def _own(self, principal: Principal, printer_id: UUID) -> PrinterRow:
        printer = self._sites.printer(printer_id)
        principal.require(printer.site_id, "desk", "admin")
        return printer

    async def _on_event(self, event: db.Event) -> None:
        if event.topic in ("printers", "sync"):
            await self.look()

    async def look(self) -> None:
        """Remember which printers are in trouble, now and at every change: /health must not ask the database."""
        # One at a time: a reading begun before a change must not overwrite one begun after it.
        async with self._looking:
            async with self._db.connection() as conn:
                lines = await store.lines(conn, None)
            troubles = {}
            for line in lines:
                printer = self._printer(line.printer_id)
                if printer is not None and (problem := _problem(line)):
                    troubles[line.printer_id] = f"{problem} at {printer.name} ({self._sites.site(printer.site_id).name})"
            self._troubles = troubles


def _problem(line: LineRow) -> str:
    return f"on hold ({line.hold_reason})" if line.hold_reason is not None else line.problem


def _info(
    printer: PrinterRow, line: LineRow, jobs: Sequence[PrintJob], attended: bool, second: UUID | None,
    names: dict[UUID, str], lines: dict[UUID, LineRow],
) -> PrinterInfo:
    doubtful, failed = [j for j in jobs if j.state == "doubtful"], [j for j in jobs if j.state == "failed"]
    other = lines.get(second) if second is not None else None
    usable = second is not None and other is not None and not _problem(other)
    problem = _problem(line) if attended else UNATTENDED
    state = PrinterState(
        name=str(printer.id), title=printer.name, condition=Condition.HELD if line.hold_reason is not None else Condition(line.condition),
        problem=problem, paper=Paper(line.paper), waiting=line.waiting, doubtful=tuple(str(j.id) for j in doubtful),
        fallback=names[second] if usable and second is not None and attended else "",
    )
    words = state.words()
    if failed:
        words += f"; {len(failed)} {'badge was' if len(failed) == 1 else 'badges were'} not printed, please look"
    return PrinterInfo(
        id=printer.id, name=printer.name, words=words, ok=not problem and not jobs,
        condition=state.condition.value if attended else "unattended", problem=problem, paper=line.paper, waiting=line.waiting,
        doubtful=doubtful, failed=failed, fallback_id=second if state.fallback else None, fallback=state.fallback,
    )

"""Screening again whoever is here when a list changes, or when a list that was away is back.

Everyone with an open visit was screened against some revision of every list. When another one comes into force (an import, a
person barred at the desk, a custody order), each is screened against it with what is sealed of them, and the new screening
supersedes the old. Someone who becomes a possible match is shown to the desk at once: a held visit waits for the decision, and
a visitor who is inside stays where they are, with the badge they have, until a person has decided. What staff settled is not
asked again while neither the entry nor the visitor has changed.

A notice starts it and, since notices can be lost, so does the poll behind them: what is out of date is told by the rows.
"""

from __future__ import annotations

import asyncio
import logging
from uuid import UUID

import asyncpg
import msgspec

from visitor import audit, db, tasks
from visitor.errors import NotFound, VisitorError
from visitor.events import EventBus
from visitor.people.service import People
from visitor.policies import policy
from visitor.screening.models import Clear, MatchRow, PossibleMatch, ScreeningRow, Unavailable
from visitor.screening.service import Screening, subject_of
from visitor.visits import models, store

log = logging.getLogger(__name__)


class Rescreening:
    def __init__(self, database: db.Database, bus: EventBus, people: People, screening: Screening) -> None:
        self._db = database
        self._people = people
        self._screening = screening
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        bus.on(self._on_event)

    async def start(self) -> None:
        """From now on; a list may have changed while nobody ran, so it looks at once."""
        self._wake.set()
        self._task = asyncio.create_task(self._run(), name="screen-again")

    async def stop(self) -> None:
        await tasks.end(self._task)

    async def _on_event(self, event: db.Event) -> None:
        if event.topic in ("watchlists", "sync"):
            self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                for visit_id in await self.outdated():
                    await self.again(visit_id)
            except (VisitorError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as e:
                # Looked at again at the next notice or poll; until then what was found before stands.
                log.warning("visitors could not be screened again (%s)", type(e).__name__)
            except Exception as e:  # a defect must not end it for good; a message may quote a name, so only the kind is logged
                log.error("screening again failed: %s", type(e).__qualname__)

    async def outdated(self) -> list[UUID]:
        """Open visits whose screening was not against the lists as they are now, who came first first."""
        async with self._db.connection() as conn:
            rows = store.queries.outdated(conn, revisions=self._screening.revisions())
            return [row["id"] async for row in rows]

    async def again(self, visit_id: UUID) -> bool:
        """Screen an open visit's person once more, unless that was done against these lists; whether it made a new screening."""
        async with self._db.connection() as conn:
            visit = await store.visit(conn, visit_id)
        if visit is None or visit.status not in models.OPEN:
            return False
        try:
            before = await self._screening.latest(visit.site_id, visit.id)
        except NotFound:
            return False
        if before.outcome != "unavailable" and before.revisions == self._screening.revisions():
            return False
        person, facts = (await self._people.many([(visit.site_id, visit.person_id)]))[visit.person_id]
        verdict = await self._screening.screen(subject_of(facts), person.identity)
        if isinstance(verdict, Unavailable) or (found := compared(before, verdict, weak=person.weak)) is None:
            return False
        async with self._screening.acting() as tx:
            visit = await store.visit(tx.conn, visit.id, lock=True)
            if visit is None or visit.status not in models.OPEN or not await self._screening.still_current(tx, found):
                return False
            now = await self._screening.latest(visit.site_id, visit.id, tx.conn, lock=True)
            if (now.id, now.outcome) != (before.id, before.outcome):
                return False  # decided meanwhile, or another process was faster
            after = await self._screening.record(tx, visit.site_id, visit.id, found, supersedes=before.id)
            held_reason = visit.held_reason
            if visit.status == "held" and (after.undecided or before.outcome in ("unavailable", "possible_match")):
                held_reason = policy.held_by(found) or "needs-staff"
                await store.queries.hold_for(tx.conn, site_id=visit.site_id, id=visit.id, held_reason=held_reason)
            await audit.record(
                tx, visit.site_id, "system", "screening.repeated", before.id, visit=visit.id, by=after.id, before=before.outcome,
                outcome=after.outcome, matches=len(after.matches), status=visit.status,
            )
            if (after.outcome, after.matches, held_reason) != (before.outcome, before.matches, visit.held_reason):
                tx.notify("visits", visit.site_id, visit.id)
        if after.undecided and visit.status != "held":
            log.warning("a visitor who is here possibly matches an entry since a list changed: visit %s", visit.id)
        return True


def compared(before: ScreeningRow, verdict: Clear | PossibleMatch, *, weak: bool) -> Clear | PossibleMatch | None:
    """What a repeated screening says beside the one before it; None where it leaves that one standing.

    A match that staff settled at this very visit is settled still. For a strong identity a clearance says so (and its revocation
    the contrary); a `weak` one has none, so the screening itself has to.
    """
    settled = {_same(m) for m in before.matches if m.cleared_before is not None or before.outcome == "cleared"} if weak else set()
    matches = tuple(
        msgspec.structs.replace(m, cleared_before=before.id) if m.cleared_before is None and _same(m) in settled else m
        for m in verdict.matches
    )
    waiting = {_same(m) for m in before.matches if m.cleared_before is None}
    found = {_same(m) for m in matches if m.cleared_before is None}
    if before.outcome == "confirmed":
        return None  # a person said who this is
    if before.outcome == "cleared" and not found:
        return None  # nothing but what was settled
    if (before.outcome == "escalated" and found <= waiting) or (before.outcome == "possible_match" and found == waiting):
        return None  # somebody is looking at just these
    if found:
        return PossibleMatch(verdict.revisions, matches, verdict.identity)
    by_name_only = isinstance(verdict, Clear) and verdict.by_name_only
    return Clear(verdict.revisions, matches, by_name_only, verdict.identity)


def _same(match: MatchRow) -> tuple[str, str, str]:
    return match.list, match.entry_id, match.digest

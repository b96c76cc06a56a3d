"""Screening one visitor, keeping the verdict, and what staff decide of it.

Whatever goes wrong on the way to a verdict is `Unavailable`, which holds the visitor; nothing is cleared because something
failed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from visitor import audit, db, metrics
from visitor.errors import VisitorError
from visitor.ids import new_id
from visitor.keys import KeyRing
from visitor.people.models import Identity, folded
from visitor.registries.models import CannotScreen, Found
from visitor.registries.service import Registries
from visitor.screening import store
from visitor.screening.models import (
    UNAVAILABLE,
    AlreadyDecided,
    Clear,
    Decided,
    DecisionReason,
    MatchRow,
    NoSuchScreening,
    PossibleMatch,
    ScreeningRow,
    Unavailable,
    Verdict,
    may_decide,
    outcome_of,
    subject_of,
)
from visitor.security import Principal
from watchlists import Subject

__all__ = ["Screening", "subject_of"]
log = logging.getLogger(__name__)


class Screening:
    def __init__(self, database: db.Database, registries: Registries, keys: KeyRing) -> None:
        self._db = database
        self._registries = registries
        self._keys = keys

    async def screen(self, subject: Subject, identity: Identity | None = None) -> Verdict:
        """The verdict on a visitor; never raises. Matches that staff settled for this very identity are marked, not open."""
        began = time.perf_counter()
        verdict = await self._screen(subject, identity)
        metrics.SCREEN_SECONDS.observe(time.perf_counter() - began)
        metrics.SCREENINGS.labels(outcome_of(verdict)).inc()
        return verdict

    async def _screen(self, subject: Subject, identity: Identity | None) -> Verdict:
        name = subject.name
        if not folded(name.family) and not folded(name.given):
            return Unavailable({}, "no-name", UNAVAILABLE["no-name"], identity)
        try:
            screened = await self._registries.screen(subject)
            matches = tuple(_row(found, screened.revisions) for found in screened.found)
            if matches and identity is not None and not identity.weak:
                matches = await self._settled(matches, identity.key)
        except CannotScreen as e:
            return Unavailable(e.revisions, e.reason, f"{UNAVAILABLE[e.reason]} {e.detail}".strip(), identity)
        except VisitorError as e:
            log.warning("a screening failed: %s", e.type)
            return Unavailable({}, "matcher-failed", f"{UNAVAILABLE['matcher-failed']} {e.detail}", identity)
        except Exception as e:  # fail closed, whatever it was; the message may quote a value, so only its kind is logged
            log.error("a screening failed: %s", type(e).__qualname__)
            return Unavailable({}, "matcher-failed", UNAVAILABLE["matcher-failed"], identity)
        if any(m.cleared_before is None for m in matches):
            return PossibleMatch(screened.revisions, matches, identity)
        return Clear(screened.revisions, matches, subject.birth_date is None, identity)

    async def _settled(self, matches: tuple[MatchRow, ...], identity_key: bytes) -> tuple[MatchRow, ...]:
        async with self._db.connection() as conn:
            standing = await store.clearances(conn, identity_key)
        if not standing:
            return matches
        by_match = {(c.watchlist, c.entry_id, c.evidence_digest.hex()): c.id for c in standing}
        return tuple(
            msgspec.structs.replace(m, cleared_before=by_match.get((m.list, m.entry_id, m.digest))) for m in matches
        )

    def acting(self) -> AbstractAsyncContextManager[db.Tx]:
        """A transaction to act on a verdict in: `still_current`, then what follows from it."""
        return self._registries.holding()

    async def still_current(self, tx: db.Tx, verdict: Verdict) -> bool:
        """Whether the lists screened are those in force, inside the transaction (`acting`) that acts on the verdict.

        No list changes between this answer and the commit: a change waits for it. An unavailable verdict holds the visitor
        whatever the lists say, so it is never out of date.
        """
        return isinstance(verdict, Unavailable) or await self._registries.in_force(tx, verdict.revisions)

    async def record(
        self, tx: db.Tx, site_id: UUID, visit_id: UUID, verdict: Verdict, supersedes: UUID | None = None
    ) -> ScreeningRow:
        """Keep a verdict with its visit; `supersedes` names the screening that it repeats."""
        now, matches = datetime.now(UTC), () if isinstance(verdict, Unavailable) else verdict.matches
        reason = verdict.reason if isinstance(verdict, Unavailable) else ""
        row = ScreeningRow(site_id, new_id(), visit_id, outcome_of(verdict), reason, verdict.revisions, matches, now, None, "", None)
        identity = verdict.identity
        await store.add(
            tx.later, self._keys, site_id=site_id, id=row.id, visit_id=visit_id, outcome=row.outcome, reason=reason,
            revisions=row.revisions, matches=matches, now=now, identity_key=identity.key if identity and not identity.weak else None,
        )
        if supersedes is not None:
            await store.supersede(tx.conn, site_id, supersedes, row.id)
        return row

    def revisions(self) -> dict[str, int]:
        """Which revision of every list is searched now."""
        return self._registries.revisions()

    async def latest(self, site_id: UUID, visit_id: UUID, conn: db.Connection | None = None, *, lock: bool = False) -> ScreeningRow:
        """The screening that counts for a visit; locked (in a transaction) against a decision. Raises NoSuchScreening."""
        if conn is None:
            async with self._db.connection() as own:
                found = await store.latest(own, self._keys, site_id, visit_id)
        else:
            found = await store.latest(conn, self._keys, site_id, visit_id, lock=lock)
        if found is None:
            raise NoSuchScreening("This visit was not screened.")
        return found

    async def latest_of(self, visits: Sequence[tuple[UUID, UUID]]) -> dict[UUID, ScreeningRow]:
        """The screenings that count for these (site, visit), by visit, in one query; a visit without one is left out."""
        async with self._db.connection() as conn:
            return {row.visit_id: row for row in await store.latest_of(conn, self._keys, visits)}

    async def decide(self, principal: Principal, screening_id: UUID, outcome: Decided, reason: str) -> ScreeningRow:
        """Staff's word on the open matches of a screening.

        `cleared` also settles the same matches for the next visits of this very identity; the visit itself is approved or
        refused after it. Raises NoSuchScreening, AlreadyDecided, NothingToDecide, DecisionReason.
        """
        reason = " ".join(reason.split())
        if not reason or len(reason) > 500:
            raise DecisionReason("Give a reason of up to 500 characters; it is kept with the decision.")
        now = datetime.now(UTC)
        async with self._db.transaction() as tx:
            found = await store.screening(tx.conn, self._keys, screening_id, lock=True)
            if found is None:
                raise NoSuchScreening()
            row, identity_key = found
            principal.require(row.site_id, "desk", "admin")
            if row.superseded_by is not None:
                raise AlreadyDecided("The visitor was screened again since. Look at the visit again.")
            may_decide(row.outcome)
            await store.decide(tx.conn, row.site_id, row.id, outcome, reason, now, principal.actor)
            clearances = 0
            if outcome == "cleared" and identity_key is not None:
                for match in row.matches:
                    if match.cleared_before is None:
                        await store.add_clearance(
                            tx.conn, site_id=row.site_id, id=new_id(), identity_key=identity_key, match=match, screening_id=row.id,
                            reason=reason, now=now, actor=principal.actor,
                        )
                        clearances += 1
            await audit.record(
                tx, row.site_id, principal.actor, "screening.decided", row.id,
                outcome=outcome, before=row.outcome, visit=str(row.visit_id), matches=len(row.matches), clearances=clearances,
            )
            tx.notify("visits", row.site_id, row.visit_id)
        return msgspec.structs.replace(row, outcome=outcome, reason=reason, decided_at=now, decided_by=principal.actor)

    async def revoke(self, principal: Principal, clearance_id: UUID, reason: str) -> None:
        """End a clearance: the match will be shown again. A new row ends it, so that every school learns of it."""
        reason = " ".join(reason.split())
        if not reason or len(reason) > 500:
            raise DecisionReason("Give a reason of up to 500 characters; it is kept with the decision.")
        async with self._db.transaction() as tx:
            site_id = await store.clearance_site(tx.conn, clearance_id)
            if site_id is None:
                raise NoSuchScreening("There is no such clearance.")
            principal.require(site_id, "desk", "admin")
            if not await store.ended(tx.conn, clearance_id):
                await store.end_clearance(
                    tx.conn, id=new_id(), site_id=site_id, clearance_id=clearance_id, reason=reason, now=datetime.now(UTC),
                    actor=principal.actor,
                )
                await audit.record(tx, site_id, principal.actor, "clearance.ended", clearance_id)


def _row(found: Found, revisions: dict[str, int]) -> MatchRow:
    match, words = found.match, found.explanation
    return MatchRow(
        new_id(), match.entry_id, found.list, round(match.bits, 3), match.band, dict(match.evidence), match.contradictions,
        words.sentences("en"), words.sentences("es"), match.digest, revisions.get(found.list, 0),
    )

"""Checking a badge and reporting somebody without one. Every check is kept: it is also where a visitor was seen last."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from visitor import audit, db, metrics
from visitor.errors import BadInput, NotFound
from visitor.hall import store
from visitor.hall.models import (
    MAX_PLACE,
    MAX_TEXT,
    REASONS,
    BadgeFacts,
    Challenge,
    ChallengeOver,
    CheckAnswer,
    CheckVerdict,
    EscortShown,
    judge,
    shown,
)
from visitor.ids import new_id
from visitor.keys import KeyRing, TokenInvalid, token_bytes
from visitor.security import Principal
from visitor.sites.service import Sites


class Hall:
    def __init__(self, database: db.Database, keys: KeyRing, sites: Sites) -> None:
        self._db = database
        self._keys = keys
        self._sites = sites

    async def check(self, principal: Principal, site_id: UUID, token: str, place: str = "") -> CheckAnswer:
        """Judge a scanned badge where the checker stands, and keep that it was seen there.

        `place` is the id of the zone that the checker stands in, which the visit's zones are held against, or any words.
        Any text may be scanned: what is no badge of this district is answered, not refused. Raises NotFound, Forbidden.
        """
        self._sites.site(site_id)
        principal.require(site_id, "hall", "desk", "respond", "admin")
        place = " ".join(place.split())[:MAX_PLACE]
        zone = next((z for z in self._sites.zones(site_id) if str(z.id) == place.lower()), None)
        place = zone.name if zone else place
        now = datetime.now(UTC)
        kind, badge_id = self._read(token)
        async with self._db.transaction() as tx:
            facts = await store.badge(tx.conn, badge_id) if kind == "badge" and badge_id is not None else None
            verdict, reason = self._judge(kind, facts, site_id, zone.id if zone else None, now)
            ours = facts if facts is not None and facts.site_id == site_id else None
            check_id = new_id()
            await store.add_check(
                tx.conn, site_id=site_id, id=check_id, badge_id=ours.badge_id if ours else None,
                visit_id=ours.visit_id if ours else None, place=place, at=now, by_whom=principal.actor, verdict=verdict, reason=reason,
            )
            detail = {"visit": str(ours.visit_id)} if ours else {}
            await audit.record(tx, site_id, principal.actor, "badge_check.made", check_id, verdict=verdict, reason=reason, **detail)
            if ours is not None:
                tx.notify("badge_checks", site_id, ours.visit_id)
        metrics.BADGE_CHECKS.labels(verdict).inc()
        state = self._sites.state(site_id)
        answer = CheckAnswer(verdict, reason, REASONS[reason], now, incident=None if state.state == "normal" else state.state)
        return answer if ours is None else self._with_person(answer, ours, now)

    def _read(self, token: str) -> tuple[str, UUID | None]:
        try:
            claims = self._keys.verify(token_bytes(token.strip()))
        except TokenInvalid:
            return "", None
        return claims.kind, claims.id

    def _judge(self, kind: str, facts: BadgeFacts | None, site_id: UUID, zone: UUID | None, now: datetime) -> tuple[CheckVerdict, str]:
        if kind == "emergency":
            return "not-here", "emergency-credential"
        if facts is None:
            return "not-here", "unknown-badge"
        if facts.site_id != site_id:
            return "not-here", "other-site"
        return judge(facts, zone, now)

    def _with_person(self, answer: CheckAnswer, facts: BadgeFacts, now: datetime) -> CheckAnswer:
        left = int((min(facts.valid_until, facts.expires_at) - now).total_seconds() // 60)
        return CheckAnswer(
            answer.verdict, answer.reason, answer.message, answer.checked_at, shown(facts, self._sites.zone_names(facts.zones)),
            EscortShown(facts.escort_required, facts.escort, facts.escort_place),
            max(left, 0) if answer.verdict == "here-legitimately" else None, answer.incident,
        )

    # ── challenges ───────────────────────────────────────────────────────────────────────────────────────

    async def challenge(self, principal: Principal, site_id: UUID, place: str, description: str, outcome: str) -> Challenge:
        """Report somebody without a badge; the desk sees it at once. Raises BadInput without a place."""
        self._sites.site(site_id)
        principal.require(site_id, "hall", "desk", "respond", "admin")
        place, description, outcome = " ".join(place.split()), description.strip(), " ".join(outcome.split())
        if not place:
            raise BadInput("Say where: a room, a hall, a door.")
        if len(place) > MAX_PLACE or len(description) > MAX_TEXT or len(outcome) > MAX_PLACE:
            raise BadInput(f"Use at most {MAX_PLACE} characters for place and outcome and {MAX_TEXT} for the description.")
        row = Challenge(
            site_id, new_id(), place, description, outcome or "reported", datetime.now(UTC), principal.actor, None, ""
        )
        async with self._db.transaction() as tx:
            await store.add_challenge(tx.conn, row)
            await audit.record(tx, site_id, principal.actor, "challenge.reported", row.id)
            tx.notify("challenges", site_id, row.id)
        metrics.CHALLENGES.inc()
        return row

    async def close_challenge(self, principal: Principal, challenge_id: UUID) -> Challenge:
        """The desk has seen to it. Raises ChallengeOver, NotFound."""
        async with self._db.transaction() as tx:
            row = await store.challenge(tx.conn, challenge_id)
            if row is None:
                raise NotFound("There is no such challenge.")
            principal.require(row.site_id, "desk", "respond", "admin")
            if row.closed_at is not None:
                raise ChallengeOver("Somebody closed this already.")
            closed = await store.close_challenge(tx.conn, row, datetime.now(UTC), principal.actor)
            await audit.record(tx, row.site_id, principal.actor, "challenge.closed", row.id)
            tx.notify("challenges", row.site_id, row.id)
        return closed

    async def challenges(self, principal: Principal, site_id: UUID, *, open_only: bool = True, limit: int = 100) -> list[Challenge]:
        """The newest first; only those that nobody closed yet unless asked otherwise."""
        self._sites.site(site_id)
        principal.require(site_id)
        async with self._db.connection() as conn:
            return await store.challenges(conn, site_id, open_only=open_only, limit=min(max(limit, 1), 500))

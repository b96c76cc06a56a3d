"""SQL of the hall slice."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from visitor import db
from visitor.hall.models import BadgeFacts, Challenge

_q = db.queries(__file__)


async def badge(conn: db.Connection, badge_id: UUID) -> BadgeFacts | None:
    return db.one(await _q.badge(conn, badge_id=badge_id), BadgeFacts)


async def add_check(
    conn: db.Connection, *, site_id: UUID, id: UUID, badge_id: UUID | None, visit_id: UUID | None, place: str, at: datetime,
    by_whom: str, verdict: str, reason: str,
) -> None:
    await _q.add_check(
        conn, site_id=site_id, id=id, badge_id=badge_id, visit_id=visit_id, place=place, at=at, by_whom=by_whom, verdict=verdict,
        reason=reason,
    )


async def add_challenge(conn: db.Connection, challenge: Challenge) -> None:
    fields = msgspec.structs.asdict(challenge)
    del fields["closed_at"], fields["closed_by"]
    await _q.add_challenge(conn, **fields)


async def challenges(conn: db.Connection, site_id: UUID, *, open_only: bool, limit: int) -> list[Challenge]:
    return await db.each(_q.challenges(conn, site_id=site_id, open_only=open_only, limit=limit), Challenge)


async def challenge(conn: db.Connection, challenge_id: UUID) -> Challenge | None:
    """Locked until the transaction ends."""
    return db.one(await _q.challenge_for_update(conn, id=challenge_id), Challenge)


async def close_challenge(conn: db.Connection, challenge: Challenge, now: datetime, by: str) -> Challenge:
    await _q.close_challenge(conn, site_id=challenge.site_id, id=challenge.id, now=now, by=by)
    return msgspec.structs.replace(challenge, closed_at=now, closed_by=by)

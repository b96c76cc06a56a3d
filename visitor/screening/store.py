"""SQL of the screening slice. Matches are kept with their words sealed: they quote what is sealed elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from visitor import db
from visitor.keys import KeyRing
from visitor.screening.models import MatchRow, ScreeningRow

_q = db.queries(__file__)
_WORDS = ("sentences_en", "sentences_es")


class Clearance(msgspec.Struct, frozen=True):
    """What settles a match again: this entry, with this evidence."""

    id: UUID
    watchlist: str
    entry_id: str
    evidence_digest: bytes


async def add(
    conn: db.Connection, keys: KeyRing, *, site_id: UUID, id: UUID, visit_id: UUID, outcome: str, reason: str, revisions: dict[str, int],
    matches: tuple[MatchRow, ...], now: datetime, identity_key: bytes | None,
) -> None:
    await _q.add(
        conn, site_id=site_id, id=id, visit_id=visit_id, outcome=outcome, reason=reason, revisions=revisions,
        matches=[_sealed(keys, id, m) for m in matches], now=now, identity_key=identity_key,
    )


async def supersede(conn: db.Connection, site_id: UUID, screening_id: UUID, by: UUID) -> None:
    await _q.supersede(conn, site_id=site_id, id=screening_id, by=by)


async def latest(conn: db.Connection, keys: KeyRing, site_id: UUID, visit_id: UUID, *, lock: bool = False) -> ScreeningRow | None:
    query = _q.latest_for_update if lock else _q.latest
    row = await query(conn, site_id=site_id, visit_id=visit_id)
    return None if row is None else _opened(keys, row)


async def latest_of(conn: db.Connection, keys: KeyRing, visits: Sequence[tuple[UUID, UUID]]) -> list[ScreeningRow]:
    """The screenings that count for these (site, visit)."""
    rows = _q.latest_of(conn, sites=[site for site, _ in visits], visits=[visit for _, visit in visits])
    return [_opened(keys, row) async for row in rows]


async def screening(
    conn: db.Connection, keys: KeyRing, screening_id: UUID, *, lock: bool = False
) -> tuple[ScreeningRow, bytes | None] | None:
    """The screening and the identity that a clearance would bind (None: too weak for one)."""
    query = _q.screening_for_update if lock else _q.screening
    row = await query(conn, id=screening_id)
    return None if row is None else (_opened(keys, row), row["identity_key"])


async def decide(conn: db.Connection, site_id: UUID, screening_id: UUID, outcome: str, reason: str, now: datetime, actor: str) -> None:
    await _q.decide(conn, site_id=site_id, id=screening_id, outcome=outcome, reason=reason, now=now, actor=actor)


async def clearances(conn: db.Connection, identity_key: bytes) -> list[Clearance]:
    return await db.each(_q.clearances(conn, identity_key=identity_key), Clearance)


async def add_clearance(
    conn: db.Connection, *, site_id: UUID, id: UUID, identity_key: bytes, match: MatchRow, screening_id: UUID, reason: str, now: datetime,
    actor: str,
) -> None:
    await _q.add_clearance(
        conn, site_id=site_id, id=id, identity_key=identity_key, watchlist=match.list, entry_id=match.entry_id,
        evidence_digest=bytes.fromhex(match.digest), screening_id=screening_id, reason=reason, now=now, actor=actor,
    )


async def clearance_site(conn: db.Connection, clearance_id: UUID) -> UUID | None:
    row = await _q.clearance(conn, id=clearance_id)
    return None if row is None else row["site_id"]


async def ended(conn: db.Connection, clearance_id: UUID) -> bool:
    return bool(await _q.ended(conn, id=clearance_id))


async def end_clearance(
    conn: db.Connection, *, id: UUID, site_id: UUID, clearance_id: UUID, reason: str, now: datetime, actor: str
) -> None:
    await _q.end_clearance(conn, site_id=site_id, id=id, ends_site_id=site_id, ends_id=clearance_id, reason=reason, now=now, actor=actor)


def _sealed(keys: KeyRing, screening_id: UUID, match: MatchRow) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(match)
    words = msgspec.json.encode([fields.pop(name) for name in _WORDS])
    fields["words"] = base64.b64encode(keys.seal(words, f"screenings.words:{screening_id}:{match.id}")).decode("ascii")
    fields["kid"] = keys.kid
    return fields


def _opened(keys: KeyRing, row: Mapping[str, Any]) -> ScreeningRow:
    fields = dict(row)
    del fields["identity_key"]
    matches = []
    for kept in fields["matches"]:
        sealed = base64.b64decode(kept.pop("words"))
        words = msgspec.json.decode(keys.open(sealed, kept.pop("kid"), f"screenings.words:{row['id']}:{kept['id']}"))
        matches.append({**kept, **dict(zip(_WORDS, words, strict=True))})
    fields["matches"] = matches
    return msgspec.convert(fields, ScreeningRow)

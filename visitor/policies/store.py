"""SQL of the policies slice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from visitor import db
from visitor.policies.models import Purpose, PurposePolicy

_q = db.queries(__file__)


async def current(conn: db.Connection) -> PurposePolicy | None:
    return _policy(await _q.current(conn))


async def version(conn: db.Connection, policy_id: UUID) -> PurposePolicy | None:
    return _policy(await _q.version(conn, id=policy_id))


async def add(conn: db.Connection, policy_id: UUID, version: int, purposes: tuple[Purpose, ...], now: datetime) -> PurposePolicy | None:
    body = {"purposes": msgspec.to_builtins(purposes)}
    return _policy(await _q.add(conn, id=policy_id, version=version, body=body, now=now))


def _policy(row: Mapping[str, Any] | None) -> PurposePolicy | None:
    if row is None:
        return None
    purposes = msgspec.convert(row["body"]["purposes"], tuple[Purpose, ...])
    return PurposePolicy(row["id"], row["version"], purposes, row["created_at"])

"""SQL of the accounts slice."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from visitor import db
from visitor.accounts.models import Account, Agency, Officer, Session, Staff
from visitor.security import Grant

queries = db.queries(__file__)


async def account_by_login(conn: db.Connection, login: str) -> Account | None:
    return db.one(await queries.account_by_login(conn, login=login), Account)


async def grants(conn: db.Connection, account_id: UUID) -> tuple[Grant, ...]:
    return tuple(await db.each(queries.account_roles(conn, account_id=account_id), Grant))


async def session(conn: db.Connection, id_hash: bytes, now: datetime) -> Session | None:
    return db.one(await queries.session(conn, id_hash=id_hash, now=now), Session)


async def staff(conn: db.Connection, site_id: UUID | None) -> list[Staff]:
    return await db.each(queries.staff(conn, site_id=site_id), Staff)


async def staff_member(conn: db.Connection, staff_id: UUID) -> Staff | None:
    return db.one(await queries.staff_member(conn, id=staff_id), Staff)


async def officers(conn: db.Connection) -> list[Officer]:
    return await db.each(queries.officers(conn), Officer)


async def add(conn: db.Connection, row: Staff | Agency | Officer) -> None:
    fields: dict[str, Any] = msgspec.structs.asdict(row)
    if isinstance(row, Officer):
        del fields["agency"]
        await queries.add_officer(conn, **fields)
    elif isinstance(row, Agency):
        await queries.add_agency(conn, **fields)
    else:
        await queries.add_staff(conn, **fields)

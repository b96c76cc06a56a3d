"""SQL of the people slice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from visitor import db
from visitor.people.models import Person

_q = db.queries(__file__)


async def keep(
    conn: db.Connection, *, site_id: UUID, id: UUID, identity_key: bytes, weak: bool, family_name: str, given_name: str,
    secrets: bytes, photo: bytes | None, kid: str, now: datetime,
) -> Person:
    row = await _q.keep(
        conn, site_id=site_id, id=id, identity_key=identity_key, weak=weak, family_name=family_name, given_name=given_name,
        secrets=secrets, photo=photo, kid=kid, now=now,
    )
    found = db.one(row, Person)
    assert found is not None, "the statement returns its row"
    return found


async def person(conn: db.Connection, site_id: UUID, person_id: UUID) -> Person | None:
    return db.one(await _q.person(conn, site_id=site_id, id=person_id), Person)


async def people_of(conn: db.Connection, keys: Sequence[tuple[UUID, UUID]]) -> list[tuple[Person, bytes | None, str]]:
    """The people of these (site, id), each with the sealed facts and the key they are under."""
    found = []
    async for row in _q.people_of(conn, sites=[site for site, _ in keys], ids=[one for _, one in keys]):
        fields = dict(row)
        sealed, kid = fields.pop("secrets"), fields.pop("kid")
        found.append((msgspec.convert(fields, Person), sealed, kid or ""))
    return found


async def secrets(conn: db.Connection, site_id: UUID, person_id: UUID) -> tuple[bytes, str] | None:
    """The sealed facts and the key they are under."""
    row = await _q.secrets(conn, site_id=site_id, id=person_id)
    return None if row is None or row["secrets"] is None else (row["secrets"], row["kid"])


async def photo(conn: db.Connection, site_id: UUID, person_id: UUID) -> tuple[bytes, bytes] | None:
    """The identity key and the sealed photo."""
    row = await _q.photo(conn, site_id=site_id, id=person_id)
    return None if row is None or row["photo"] is None else (row["identity_key"], row["photo"])

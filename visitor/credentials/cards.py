"""Giving cards to staff and officers and taking them back: who may, and whose audit tells of it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from visitor import db
from visitor.accounts.service import Accounts
from visitor.credentials import store
from visitor.credentials.models import Card, UnknownCard
from visitor.credentials.service import Credentials
from visitor.errors import BadInput, Forbidden
from visitor.security import Principal
from visitor.sites.service import Sites


class Cards:
    """A school's administrator gives cards to that school's staff; an officer's card, which opens doors everywhere during an
    incident, takes an administrator of the whole district."""

    def __init__(self, database: db.Database, credentials: Credentials, accounts: Accounts, sites: Sites) -> None:
        self._db = database
        self._credentials = credentials
        self._accounts = accounts
        self._sites = sites

    async def listed(self, principal: Principal) -> list[Card]:
        """The cards in use that the caller administers, newest first."""
        async with self._db.connection() as conn:
            return await store.cards(conn, principal.sites("admin"))

    async def give(
        self, principal: Principal, *, card_format: str, bits: str, staff_id: UUID | None, officer_id: UUID | None,
        valid_until: datetime | None = None,
    ) -> Card:
        """Raises CardKnown, CardUnreadable, BadInput, Forbidden, NotFound."""
        if (staff_id is None) == (officer_id is None):
            raise BadInput("Name one member of staff or one officer.")
        if valid_until is not None and (valid_until.tzinfo is None or valid_until <= datetime.now(UTC)):
            raise BadInput("The card's end must lie ahead, with its time zone.")
        async with self._db.transaction() as tx:
            if staff_id is not None:
                member = await self._accounts.staff_member(staff_id, tx.conn)
                principal.require(member.site_id, "admin")
                site_id, holder, agency = member.site_id, member.name, ""
            else:
                assert officer_id is not None
                self._whole_district(principal)
                officer = await self._accounts.officer(officer_id)
                site_id, holder, agency = await self._sites.district(tx), officer.name, officer.agency
            row = await self._credentials.add_standing(
                tx, site_id=site_id, card_format=card_format, bits=bits, actor=principal.actor, staff_id=staff_id, officer_id=officer_id,
                valid_until=valid_until,
            )
        return Card(row.id, row.format, staff_id, officer_id, row.site_id, holder, agency, row.valid_from, row.valid_until)

    async def revoke(self, principal: Principal, card_id: UUID) -> None:
        """Take a card back, at once and everywhere. Raises UnknownCard."""
        async with self._db.transaction() as tx:
            row = await store.one_standing(tx.conn, card_id)
            if row is None:
                raise UnknownCard("There is no such card in use.")
            if row.site_id is not None:
                principal.require(row.site_id, "admin")
                site_id = row.site_id
            else:
                self._whole_district(principal)
                site_id = await self._sites.district(tx)
            await self._credentials.revoke_standing(tx, card_id, site_id=site_id, actor=principal.actor)

    @staticmethod
    def _whole_district(principal: Principal) -> None:
        if principal.sites("admin") is not None:
            raise Forbidden("An officer's card takes an administrator of the whole district.")

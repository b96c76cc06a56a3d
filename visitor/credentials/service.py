"""Issuing, activating and ending credentials; the tokens that stand for them; the rows the doors decide by.

Every change happens in the caller's transaction and is told as topic "credentials" with the credential's (or card's) id, so
that the doors follow right after the commit. A standing card's event carries the school of its holder, or nobody's id for
an officer, whose card holds everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from visitor import audit, db
from visitor.credentials import store
from visitor.credentials.models import (
    EMERGENCY_LIFE,
    CardKnown,
    Credential,
    EmergencyCredential,
    NoCredential,
    Standing,
    UnknownCard,
    card_text,
)
from visitor.errors import BadInput
from visitor.ids import new_id
from visitor.keys import Claims, KeyRing, token_text

EVERYWHERE = UUID(int=0)
"""The site of an event about an officer's card."""


class Credentials:
    def __init__(self, database: db.Database, keys: KeyRing) -> None:
        self._db = database
        self._keys = keys

    # ── of a visit ───────────────────────────────────────────────────────────────────────────────────────

    async def issue_for_visit(
        self, tx: db.Tx, *, site_id: UUID, visit_id: UUID, badge_id: UUID, zones: Sequence[UUID], valid_until: datetime,
        escorted: bool, state: Literal["pending", "active"] | None = None, issued_by: str = "system",
    ) -> Credential:
        """A credential bound to a badge: active at once, or pending until `activate` where an escort is asked for.

        `issued_by` is who decided: an actor of the audit, or "policy".
        """
        now = datetime.now(UTC)
        row = Credential(
            site_id=site_id, id=new_id(), kind="visit", visit_id=visit_id, badge_id=badge_id, officer_id=None, incident_id=None,
            zones=tuple(zones), escorted=escorted, state=state or ("pending" if escorted else "active"), kid=self._keys.signing_kid,
            valid_from=now, valid_until=valid_until,
        )
        await store.add(tx.later, row, issued_by=issued_by, reason="")
        await audit.record(
            tx, site_id, issued_by if ":" in issued_by else "system", "credential.issued", row.id,
            kind="visit", visit=visit_id, badge=badge_id, state=row.state, zones=row.zones,
        )
        tx.notify("credentials", site_id, row.id)
        return row

    async def activate(self, tx: db.Tx, site_id: UUID, visit_id: UUID, *, actor: str = "system") -> None:
        """pending → active, when the escort has accepted. Raises NoCredential when none is pending."""
        ids = await store.activate(tx.conn, site_id, visit_id, datetime.now(UTC))
        if not ids:
            raise NoCredential("This visit has no credential that waits for an escort.")
        await self._told(tx, site_id, ids, actor, "credential.activated")

    async def change(
        self, tx: db.Tx, site_id: UUID, visit_id: UUID, *, actor: str, zones: Sequence[UUID] | None = None,
        valid_until: datetime | None = None, badge_id: UUID | None = None,
    ) -> None:
        """Other zones, another end, or another badge (a reprint) for a visit's credential; nothing where it has none."""
        ids = await store.change(
            tx.conn, site_id, visit_id, zones=None if zones is None else list(zones), valid_until=valid_until, badge_id=badge_id
        )
        await self._told(tx, site_id, ids, actor, "credential.changed", badge=badge_id)

    async def end(self, tx: db.Tx, site_id: UUID, visit_id: UUID, reason: str, *, actor: str = "system") -> None:
        """End a visit's credential, if it has one: checked-out, removed, refused … Ending twice changes nothing."""
        ids = await store.end_visit(tx.conn, site_id, visit_id, reason, datetime.now(UTC))
        await self._told(tx, site_id, ids, actor, "credential.ended", reason=reason)

    async def of_visit(self, site_id: UUID, visit_id: UUID) -> Credential | None:
        """The visit's latest credential, in whatever state."""
        async with self._db.connection() as conn:
            return await store.of_visit(conn, site_id, visit_id)

    # ── of an incident ───────────────────────────────────────────────────────────────────────────────────

    async def issue_emergency(
        self, tx: db.Tx, *, site_id: UUID, officer_id: UUID, incident_id: UUID, reason: str, actor: str, life: timedelta = EMERGENCY_LIFE
    ) -> EmergencyCredential:
        """A credential that opens every controlled door of the site while the incident lasts, for at most four hours.

        Whether the caller may is the caller's to check (`Accounts.require_fresh`). Raises BadInput for a longer life.
        """
        if not timedelta(0) < life <= EMERGENCY_LIFE:
            raise BadInput("An emergency credential holds for at most four hours.")
        now = datetime.now(UTC)
        row = Credential(
            site_id=site_id, id=new_id(), kind="emergency", visit_id=None, badge_id=None, officer_id=officer_id, incident_id=incident_id,
            zones=(), escorted=False, state="active", kid=self._keys.signing_kid, valid_from=now, valid_until=now + life,
        )
        await store.add(tx.conn, row, issued_by=actor, reason=reason)
        await audit.record(tx, site_id, actor, "credential.issued", row.id, kind="emergency", officer=officer_id, incident=incident_id)
        tx.notify("credentials", site_id, row.id)
        return EmergencyCredential(row.id, self.emergency_token(row), row.valid_until)

    async def end_for_incident(self, tx: db.Tx, site_id: UUID, incident_id: UUID, *, actor: str, reason: str = "incident-resolved") -> int:
        """End every credential that was issued for an incident; how many."""
        ids = await store.end_incident(tx.conn, site_id, incident_id, reason, datetime.now(UTC))
        await self._told(tx, site_id, ids, actor, "credential.ended", reason=reason)
        return len(ids)

    async def end_one(self, tx: db.Tx, site_id: UUID, credential_id: UUID, reason: str, *, actor: str) -> None:
        """End one credential: an officer's phone was lost. Raises NoCredential when it has ended already or never was."""
        if not await store.end_one(tx.conn, site_id, credential_id, reason, datetime.now(UTC)):
            raise NoCredential("This credential has ended already.")
        await self._told(tx, site_id, [credential_id], actor, "credential.ended", reason=reason)

    def emergency_token(self, credential: Credential) -> str:
        """The text of an emergency credential's code; the same every time, so none is kept."""
        claims = Claims("emergency", credential.id, credential.site_id, credential.valid_from, credential.valid_until)
        return token_text(self._keys.sign(claims, credential.kid))

    # ── cards carried always ─────────────────────────────────────────────────────────────────────────────

    def identifier(self, card_format: str, bits: str) -> bytes:
        """The keyed hash by which a card is found again; its number is kept nowhere. Raises CardUnreadable."""
        return self._keys.digest("card", card_text(card_format, bits))

    async def add_standing(
        self, tx: db.Tx, *, site_id: UUID, card_format: str, bits: str, actor: str, officer_id: UUID | None = None,
        staff_id: UUID | None = None, valid_from: datetime | None = None, valid_until: datetime | None = None,
    ) -> Standing:
        """Give a card to an officer or a member of staff. `site_id` is whose audit tells of it (the hub's for an officer).

        Raises CardKnown when the card is in use, CardUnreadable, BadInput.
        """
        if (officer_id is None) == (staff_id is None):
            raise BadInput("A card belongs to one officer or one member of staff.")
        row = Standing(
            id=new_id(), officer_id=officer_id, staff_id=staff_id, site_id=site_id if staff_id else None, format=card_format.strip(),
            identifier=self.identifier(card_format, bits), valid_from=valid_from or datetime.now(UTC), valid_until=valid_until,
        )
        if not await store.add_standing(tx.conn, row):
            raise CardKnown("This card is given to somebody already. Revoke it there first.")
        await audit.record(tx, site_id, actor, "card.given", row.id, officer=officer_id, staff=staff_id, format=row.format)
        tx.notify("credentials", row.site_id or EVERYWHERE, row.id)
        return row

    async def revoke_standing(self, tx: db.Tx, standing_id: UUID, *, site_id: UUID, actor: str) -> None:
        """Take a card back, at once and everywhere. Raises UnknownCard when it is revoked already or never was."""
        known = await store.one_standing(tx.conn, standing_id)
        if not await store.revoke_standing(tx.conn, standing_id, datetime.now(UTC)):
            raise UnknownCard("There is no such card in use.")
        await audit.record(tx, site_id, actor, "card.revoked", standing_id)
        tx.notify("credentials", (known.site_id if known else None) or EVERYWHERE, standing_id)

    async def _told(self, tx: db.Tx, site_id: UUID, ids: Sequence[UUID], actor: str, action: str, **detail: object) -> None:
        for credential_id in ids:
            await audit.record(tx, site_id, actor, action, credential_id, **{k: v for k, v in detail.items() if v is not None})
            tx.notify("credentials", site_id, credential_id)

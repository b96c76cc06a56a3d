"""Credentials on a real database: states, cards by keyed hash, what the doors are told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.front_office import FrontOffice
from visitor import db
from visitor.accounts.models import Agency, Officer
from visitor.credentials.models import CardKnown, CardUnreadable, Credential, NoCredential, Standing, UnknownCard, card_text
from visitor.credentials.service import EVERYWHERE
from visitor.errors import BadInput
from visitor.ids import new_id
from visitor.keys import token_bytes


async def heard(office: FrontOffice) -> list[tuple[UUID, UUID]]:
    """From now on: (site, credential) of every notice to the doors, in order."""
    told: list[tuple[UUID, UUID]] = []

    async def note(event: db.Event) -> None:
        if event.topic == "credentials":
            told.append((event.site_id, event.subject))

    office.node.bus.on(note)
    return told


async def officer_at(office: FrontOffice) -> Officer:
    agency = Agency(new_id(), "Springfield Police")
    officer = Officer(new_id(), agency.id, None, "Officer Lee", "417", agency.name)
    async with office.node.db.transaction() as tx:
        await office.node.accounts.add(tx, agency)
        await office.node.accounts.add(tx, officer)
    return officer


async def incident_at(office: FrontOffice) -> UUID:
    incident = new_id()
    async with office.node.db.connection() as conn:
        await conn.execute(
            "insert into incidents (site_id, id, state, exercise, source, declared_by, declared_at, snapshot)"
            " values ($1, $2, 'lockdown', false, 'desk', 'system', now(), '{}')", office.site.id, incident,
        )
    return incident


# ── of a visit ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_credential_is_active_at_once_and_in_the_doors_rows(office: FrontOffice) -> None:
    visit = await office.visit()
    assert visit.badge is not None
    found = (await office.opens()).badges[visit.badge.id]
    assert (found.state, found.visit_id, found.zones, found.escorted) == ("active", visit.id, {office.office.id}, False)


async def test_a_credential_waits_for_its_escort_lives_and_ends(office: FrontOffice) -> None:
    visit = await office.visit(escorted=True)
    node, told = office.node, await heard(office)
    pending = await node.credentials.of_visit(office.site.id, visit.id)
    assert pending is not None and pending.state == "pending"
    async with node.db.transaction() as tx:
        await node.credentials.activate(tx, office.site.id, visit.id, actor="account:x")
    active = await node.credentials.of_visit(office.site.id, visit.id)
    assert active is not None and active.state == "active" and active.valid_from > pending.valid_from
    for _ in range(2):  # ending twice changes nothing
        async with node.db.transaction() as tx:
            await node.credentials.end(tx, office.site.id, visit.id, "checked_out", actor="account:x")
    ended = await node.credentials.of_visit(office.site.id, visit.id)
    assert ended is not None and ended.state == "ended"
    assert (await office.opens()).badges == {}
    assert told == [(office.site.id, pending.id)] * 2
    assert await office.audited(pending.id) == ["credential.issued", "credential.activated", "credential.ended"]
    with pytest.raises(NoCredential):
        async with node.db.transaction() as tx:
            await node.credentials.activate(tx, office.site.id, visit.id)


async def test_a_change_that_is_rolled_back_is_told_to_nobody(office: FrontOffice) -> None:
    visit = await office.visit()
    told = await heard(office)
    with pytest.raises(RuntimeError):
        async with office.node.db.transaction() as tx:
            await office.node.credentials.end(tx, office.site.id, visit.id, "checked_out")
            raise RuntimeError
    found = await office.node.credentials.of_visit(office.site.id, visit.id)
    assert found is not None and found.state == "active" and told == []


async def test_zones_and_end_of_a_visit_change_its_credential(office: FrontOffice) -> None:
    visit = await office.visit()
    later = datetime.now(UTC) + timedelta(hours=5)
    async with office.node.db.transaction() as tx:
        await office.node.credentials.change(tx, office.site.id, visit.id, zones=[office.gym.id], valid_until=later, actor="account:x")
    found = await office.node.credentials.of_visit(office.site.id, visit.id)
    assert found is not None and (found.zones, found.valid_until) == ((office.gym.id,), later)


# ── of an incident ───────────────────────────────────────────────────────────────────────────────────────────


async def test_an_emergency_credential_holds_at_most_four_hours_and_ends_with_its_incident(office: FrontOffice) -> None:
    officer, incident, node = await officer_at(office), await incident_at(office), office.node
    issue: Any = {"site_id": office.site.id, "officer_id": officer.id, "incident_id": incident, "reason": "entry", "actor": "account:x"}
    async with node.db.transaction() as tx:
        given = await node.credentials.issue_emergency(tx, **issue)
    claims = node.keys.verify(token_bytes(given.token))
    assert (claims.kind, claims.id, claims.site_id) == ("emergency", given.id, office.site.id)
    assert claims.expires_at - claims.issued_at == timedelta(hours=4) and given.until - datetime.now(UTC) <= timedelta(hours=4)
    assert given.token not in repr(given)
    [found] = (await office.opens()).emergency
    assert (found.id, found.incident_id, found.valid_until) == (given.id, incident, given.until)
    async with node.db.connection() as conn:
        row = await conn.fetchrow("select * from credentials where id = $1", given.id)
    kept = msgspec.convert({field: row[field] for field in Credential.__struct_fields__}, Credential)
    assert kept.officer_id == officer.id and node.credentials.emergency_token(kept) == given.token
    with pytest.raises(BadInput):
        async with node.db.transaction() as tx:
            await node.credentials.issue_emergency(tx, **issue, life=timedelta(hours=5))
    async with node.db.transaction() as tx:
        second = await node.credentials.issue_emergency(tx, **issue)
        await node.credentials.end_one(tx, office.site.id, second.id, "phone lost", actor="account:x")
    with pytest.raises(NoCredential):
        async with node.db.transaction() as tx:
            await node.credentials.end_one(tx, office.site.id, second.id, "again", actor="account:x")
    async with node.db.transaction() as tx:
        assert await node.credentials.end_for_incident(tx, office.site.id, incident, actor="account:x") == 1
    assert (await office.opens()).emergency == []


# ── cards carried always ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_card_is_found_by_its_hash_and_its_number_is_kept_nowhere(office: FrontOffice) -> None:
    node, bits, told = office.node, "10101010101010101010101010", await heard(office)
    async with node.db.transaction() as tx:
        card = await node.credentials.add_standing(
            tx, site_id=office.site.id, card_format="H10301", bits=bits, staff_id=office.brandt.id, actor="account:x"
        )
    cards = (await office.opens()).cards
    found = cards[node.credentials.identifier(" h10301", bits)]
    assert (found.id, found.site_id, found.staff_id) == (card.id, office.site.id, office.brandt.id)
    assert node.credentials.identifier("H10302", bits) not in cards
    assert told == [(office.site.id, card.id)] and bits not in repr(card)
    async with node.db.connection() as conn:
        kept = await conn.fetchval("select identifier from standing_credentials")
    assert bits.encode() not in kept and len(kept) == 32


async def test_a_card_in_use_is_not_given_twice_and_a_revoked_one_may_be(office: FrontOffice) -> None:
    node, officer, told = office.node, await officer_at(office), await heard(office)
    give: Any = {"site_id": office.site.id, "card_format": "PKOC", "bits": "04ab" * 8, "actor": "account:x"}
    async with node.db.transaction() as tx:
        card = await node.credentials.add_standing(tx, officer_id=officer.id, **give)
    assert card.site_id is None and told == [(EVERYWHERE, card.id)]
    with pytest.raises(CardKnown):
        async with node.db.transaction() as tx:
            await node.credentials.add_standing(tx, staff_id=office.brandt.id, **give)
    async with node.db.transaction() as tx:
        await node.credentials.revoke_standing(tx, card.id, site_id=office.site.id, actor="account:x")
    assert (await office.opens()).cards == {}
    with pytest.raises(UnknownCard):
        async with node.db.transaction() as tx:
            await node.credentials.revoke_standing(tx, card.id, site_id=office.site.id, actor="account:x")
    async with node.db.transaction() as tx:
        await node.credentials.add_standing(tx, staff_id=office.brandt.id, **give)
    assert await office.audited(card.id) == ["card.given", "card.revoked"]


async def test_a_retired_holders_card_opens_nothing(office: FrontOffice, postgres: Any) -> None:
    node = office.node
    async with node.db.transaction() as tx:
        await node.credentials.add_standing(
            tx, site_id=office.site.id, card_format="H10301", bits="1" * 26, staff_id=office.brandt.id, actor="account:x"
        )
        await tx.conn.execute("update staff set retired_at = now() where id = $1", office.brandt.id)
    assert (await office.opens()).cards == {}


@pytest.mark.parametrize("who", [{}, {"officer_id": UUID(int=1), "staff_id": UUID(int=2)}])
async def test_a_card_belongs_to_one_person(office: FrontOffice, who: dict[str, UUID]) -> None:
    with pytest.raises(BadInput):
        async with office.node.db.transaction() as tx:
            await office.node.credentials.add_standing(
                tx, site_id=office.site.id, card_format="H10301", bits="1" * 26, actor="account:x", **who  # type: ignore[arg-type]
            )


@pytest.mark.parametrize(
    ("card_format", "bits"),
    [
        ("", "1"), ("H10301", ""), ("H10301", "10 01"), ("x" * 33, "1"), ("H10301", "1" * 1025), ("a\0b", "1"), ("H10301", "1\0001"),
        ("ф", "1"), ("H10301", "١"),
    ],
)
def test_a_card_number_that_is_none_is_refused(card_format: str, bits: str) -> None:
    with pytest.raises(CardUnreadable):
        card_text(card_format, bits)


_NAMES = st.from_regex(r"[A-Za-z0-9]{1,12}", fullmatch=True)


@given(_NAMES, _NAMES, _NAMES, _NAMES)
def test_two_cards_have_one_spelling_only_when_they_are_the_same(f1: str, b1: str, f2: str, b2: str) -> None:
    same = (f1.lower(), b1.lower()) == (f2.lower(), b2.lower())
    assert (card_text(f1, b1) == card_text(f2, b2)) is same


def test_nothing_that_is_shown_of_a_card_is_its_hash() -> None:
    row = Standing(new_id(), None, new_id(), new_id(), "PIV", b"secret-hash", datetime.now(UTC), None)
    assert "secret" not in repr(row)


# ── giving cards ─────────────────────────────────────────────────────────────────────────────────────────────


async def admin_of(office: FrontOffice, site_id: UUID | None) -> dict[str, str]:
    async with office.node.db.transaction() as tx:
        return {"authorization": f"Bearer {await office.node.accounts.machine_token(tx, 'test', 'admin', site_id)}"}


async def test_an_administrator_gives_a_card_and_takes_it_back(office: FrontOffice, client: Any) -> None:
    here = await admin_of(office, office.site.id)
    body = {"format": "H10301", "bits": "01" * 13, "staff_id": str(office.brandt.id)}
    given = await client.post("/api/v1/cards", json=body, headers=here)
    assert given.status_code == 201, given.text
    card = given.json()["card"]
    assert (card["holder"], card["format"], card["site_id"]) == ("Ms. Brandt", "H10301", str(office.site.id))
    assert "bits" not in card and "0101" not in given.text
    assert (await client.post("/api/v1/cards", json=body, headers=here)).json()["type"] == "card-already-known"
    assert [c["id"] for c in (await client.get("/api/v1/cards", headers=here)).json()["cards"]] == [card["id"]]
    elsewhere = await admin_of(office, office.other.id)
    assert (await client.get("/api/v1/cards", headers=elsewhere)).json()["cards"] == []
    assert (await client.post(f"/api/v1/cards/{card['id']}/revoke", headers=elsewhere)).status_code == 404
    assert office.node.credentials.identifier("H10301", "01" * 13) in (await office.opens()).cards
    assert (await client.post(f"/api/v1/cards/{card['id']}/revoke", headers=here)).status_code == 204
    assert (await office.opens()).cards == {}
    assert (await client.post(f"/api/v1/cards/{card['id']}/revoke", headers=here)).json()["type"] == "unknown-card"


async def test_an_officers_card_takes_an_administrator_of_the_whole_district(office: FrontOffice, client: Any) -> None:
    officer = await officer_at(office)
    body = {"format": "PKOC", "bits": "04ab" * 8, "officer_id": str(officer.id)}
    assert (await client.post("/api/v1/cards", json=body, headers=await admin_of(office, office.site.id))).status_code == 403
    district = await admin_of(office, None)
    given = await client.post("/api/v1/cards", json=body, headers=district)
    assert given.status_code == 201, given.text
    card = given.json()["card"]
    assert (card["holder"], card["agency"], card["site_id"]) == ("Officer Lee", "Springfield Police", None)
    assert await office.audited(UUID(card["id"])) == ["card.given"]
    school = await admin_of(office, office.site.id)
    assert (await client.get("/api/v1/cards", headers=school)).json()["cards"] == []
    assert (await client.post(f"/api/v1/cards/{card['id']}/revoke", headers=school)).status_code == 403
    assert (await client.post(f"/api/v1/cards/{card['id']}/revoke", headers=district)).status_code == 204


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"bits": ""}, 400), ({"format": "no such thing"}, 400), ({"staff_id": None}, 400), ({"officer_id": str(UUID(int=9))}, 400),
        ({"staff_id": str(UUID(int=9))}, 404), ({"valid_until": "2020-01-01T00:00:00Z"}, 400), ({"number": 7}, 400),
    ],
)
async def test_a_card_that_cannot_be_given_is_refused(office: FrontOffice, client: Any, change: dict[str, Any], status: int) -> None:
    body = {"format": "H10301", "bits": "01" * 13, "staff_id": str(office.brandt.id)} | change
    answer = await client.post("/api/v1/cards", json=body, headers=await admin_of(office, None))
    assert answer.status_code == status, answer.text
    assert (await office.opens()).cards == {}

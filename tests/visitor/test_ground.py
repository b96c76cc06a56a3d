"""The ground: sign-in, tokens, set-up, problems, headers, key ring."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from visitor.accounts import store
from visitor.errors import NotFound, SetupError
from visitor.ids import new_id
from visitor.keys import Claims, KeyRing, TokenInvalid, base45_decode, base45_encode, token_bytes, token_text
from visitor.settings import load


async def test_the_set_up_link_makes_one_administrator_once(node: Any, client: Any) -> None:
    code = await node.accounts.setup_link()
    form = {"login": "ada", "name": "Ada", "password": "a long enough sentence"}
    assert (await client.get(f"/set-up/{code}")).status_code == 200
    weak = await client.post(f"/set-up/{code}", data={**form, "password": "short"})
    assert weak.status_code == 400 and "at least 10 characters" in weak.text
    assert (await client.post(f"/set-up/{code}", data=form)).status_code == 303
    assert (await client.post(f"/set-up/{code}", data=form)).status_code == 409
    assert await node.accounts.setup_link() is None


async def test_signing_in_needs_the_right_password_and_gives_a_session(node: Any, client: Any) -> None:
    async with node.db.transaction() as tx:
        await node.accounts.add_account(tx, "ada", "Ada", "a long enough sentence", [("admin", None)])
    wrong = await client.post("/sign-in", data={"login": "ada", "password": "another sentence"})
    assert wrong.status_code == 401 and "do not go together" in wrong.text
    right = await client.post("/sign-in", data={"login": "ADA", "password": "a long enough sentence", "next": "//evil.example"})
    assert right.status_code == 303 and right.headers["location"] == "/"
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie
    assert (await client.get("/metrics")).status_code == 200
    forged = await client.post("/sign-out", headers={"origin": "http://evil.example"})
    assert forged.status_code == 403


async def test_a_request_without_the_sessions_secret_is_not_carried_out(node: Any, client: Any) -> None:
    async with node.db.transaction() as tx:
        await node.accounts.add_account(tx, "ada", "Ada", "a long enough sentence", [("admin", None)])
    await client.post("/sign-in", data={"login": "ada", "password": "a long enough sentence"})
    assert (await client.post("/sign-out")).status_code == 403
    async with node.db.connection() as conn:
        csrf = await conn.fetchval("select csrf from sessions")
    assert (await client.post("/sign-out", data={"csrf": csrf})).status_code == 303


async def test_many_wrong_passwords_are_slowed_down(node: Any, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # The real one is slow on purpose: on a loaded machine a dozen may take the very minute in which they count.
    monkeypatch.setattr(node.accounts, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    answers = [(await client.post("/sign-in", data={"login": "bob", "password": f"wrong {i}"})).status_code for i in range(12)]
    assert answers[0] == 401 and answers[-1] == 429


async def test_who_changed_while_being_read_is_not_remembered_as_before(
    node: Any, oak_school: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, read = asyncio.Event(), asyncio.Event(), store.staff_member

    async def held_back(conn: Any, staff_id: UUID) -> Any:
        found = await read(conn, staff_id)
        begun.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(store, "staff_member", held_back)
    asked_before = asyncio.create_task(node.accounts.staff_member(oak_school.host))
    await begun.wait()
    async with node.db.transaction() as tx:
        await tx.conn.execute("update staff set retired_at = now() where id = $1", oak_school.host)
        tx.notify("staff", oak_school.oak, oak_school.host)
    go_on.set()
    assert (await asked_before).id == oak_school.host
    with pytest.raises(NotFound):
        await node.accounts.staff_member(oak_school.host)


async def test_a_wrong_token_is_a_problem_document(client: Any) -> None:
    answer = await client.get("/metrics", headers={"authorization": "Bearer vt_nonsense"})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "not-signed-in" and "unknown, expired or revoked" in answer.json()["detail"]


async def test_every_answer_carries_the_security_headers(client: Any) -> None:
    for path in ("/health", "/sign-in", "/static/tokens.css", "/nowhere"):
        headers = (await client.get(path)).headers
        assert "script-src 'self'" in headers["content-security-policy"] and "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


async def test_the_openapi_document_is_json_and_no_page_is_served(client: Any) -> None:
    answer = await client.get("/schema/openapi.json")
    assert answer.status_code == 200 and answer.json()["openapi"].startswith("3.")
    assert (await client.get("/schema")).status_code in (403, 404, 401)


async def test_another_key_ring_is_refused(node: Any) -> None:
    from visitor.app import check_key_ring

    with pytest.raises(SetupError, match="key ring"):
        await check_key_ring(node.db, KeyRing.new())


async def test_the_application_cannot_alter_the_audit(node: Any) -> None:
    import asyncpg

    for statement in ("delete from audit", "update audit set action = 'x'", "truncate audit", "drop table audit"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with node.db.connection() as conn:
                await conn.execute(statement)


async def test_every_table_has_the_kind_the_catalogue_shows(node: Any) -> None:
    from visitor import kinds

    async with node.db.connection() as conn:
        tables = [r["tablename"] for r in await conn.fetch("select tablename from pg_tables where schemaname = 'public'")]
        keys = {
            r["table"]: r["columns"]
            for r in await conn.fetch(
                "select c.conrelid::regclass::text as table, array_agg(a.attname::text) as columns from pg_constraint c"
                " join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any(c.conkey) where c.contype = 'p' group by 1"
            )
        }
        links = await conn.fetch(
            "select conrelid::regclass::text as source, confrelid::regclass::text as target, confdeltype::text as on_delete"
            " from pg_constraint where contype = 'f'"
        )
    assert set(tables) == set(kinds.TABLES)
    for table in tables:
        if kinds.of(table) in ("site", "shared"):
            assert "site_id" in keys[table], f"{table} lacks site_id in its key"
    for link in links:
        source, target = kinds.of(link["source"]), kinds.of(link["target"])
        assert source == target or target == "hub", f"{link['source']} ({source}) points to {link['target']} ({target})"
        assert source == target or link["on_delete"] in ("a", "r"), f"{link['source']} cascades across kinds"


@given(st.binary(max_size=200))
def test_base45_round_trips(data: bytes) -> None:
    assert base45_decode(base45_encode(data)) == data


def test_base45_matches_the_standards_examples() -> None:
    # RFC 9285 §4.3 and §4.4
    assert base45_encode(b"AB") == "BB8" and base45_encode(b"Hello!!") == "%69 VD92EX0" and base45_encode(b"base-45") == "UJCLQE7W581"
    assert base45_decode("QED8WEX0") == b"ietf!"
    for wrong in ("GGW", "A", ":::", "ab"):
        with pytest.raises(ValueError, match="base45"):
            base45_decode(wrong)


def _claims() -> Claims:
    now = datetime.now(UTC).replace(microsecond=0)
    return Claims("badge", new_id(), new_id(), now, now + timedelta(hours=1))


def test_a_token_says_its_claims_and_fits_a_small_code() -> None:
    ring, claims = KeyRing.new(), _claims()
    token = ring.sign(claims)
    assert ring.verify(token) == claims and token == ring.sign(claims)
    assert len(token) < 160 and ring.verify(token_bytes(token_text(token) + "\r\n")) == claims


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_an_altered_token_is_never_believed(position: int, flip: int) -> None:
    ring = KeyRing.new()
    token = bytearray(ring.sign(_claims()))
    token[position % len(token)] ^= flip
    with pytest.raises(TokenInvalid):
        ring.verify(bytes(token))


@given(st.binary(max_size=300))
def test_hostile_bytes_are_malformed_tokens(data: bytes) -> None:
    with pytest.raises(TokenInvalid):
        KeyRing.new().verify(data)


def test_another_districts_token_is_unknown() -> None:
    with pytest.raises(TokenInvalid, match="unknown-key"):
        KeyRing.new().verify(KeyRing.new().sign(_claims()))


def test_a_sealed_value_opens_only_in_its_place() -> None:
    from visitor.keys import KeyProblem

    ring = KeyRing.new()
    sealed = ring.seal(b"1985-03-14", "people.secrets:1")
    assert ring.open(sealed, ring.kid, "people.secrets:1") == b"1985-03-14"
    with pytest.raises(KeyProblem):
        ring.open(sealed, ring.kid, "people.secrets:2")


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Any) -> None:
    file = tmp_path / "keys.json"
    KeyRing.load_or_create(file)
    assert KeyRing.load_or_create(file).check() == KeyRing.load(file).check()
    file.chmod(0o644)
    with pytest.raises(SetupError, match="chmod 600"):
        KeyRing.load(file)


def test_keys_sort_by_the_time_they_were_made() -> None:
    made = [new_id() for _ in range(1000)]
    assert made == sorted(made) and len(set(made)) == 1000
    assert all(isinstance(k, UUID) and k.version == 7 for k in made)


def test_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(SetupError, match="Did you mean port"):
        load(environ={"VISITOR_PROT": "9000"})
    with pytest.raises(SetupError, match=r"screening\.max_age_hours"):
        load(environ={"VISITOR_SCREENING__MAX_AGE_HOUR": "9"})
    assert load(environ={"VISITOR_PORT": "9000", "VISITOR_SCREENING__MAX_AGE_HOURS": "12"}).screening.max_age_hours == 12

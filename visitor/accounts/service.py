"""Signing in, tokens, pairing, set-up; the authenticator behind every request.

Passwords are argon2id (RFC 9106, the library's defaults: 64 MiB, 3 passes) and checked off the event loop. Sessions,
device and machine tokens are random and kept as SHA-256 only. An unknown login takes as long as a wrong password.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from visitor import audit, db
from visitor.accounts import store
from visitor.accounts.models import Account, AccountRole, Agency, Officer, Staff, TokenRole, password_problem
from visitor.errors import BadInput, Conflict, Forbidden, NotFound, TooManyRequests, Unauthenticated, Unavailable
from visitor.ids import new_id
from visitor.keys import hash_secret, new_secret
from visitor.security import Grant, Principal, Role

SESSION_LIFE = timedelta(hours=12)
FRESH = timedelta(minutes=10)
_DOOR_SECONDS = 0.5  # how long a door waits for the database to vouch for its controller again
_CACHE_SECONDS = 2.0  # a revoked token lives this much longer at most


class WrongSignIn(Unauthenticated):
    type = "wrong-sign-in"
    title = "That login and password do not go together"


class LinkUsed(Conflict):
    type = "link-used"
    title = "This link was used already or is too old"


class Accounts:
    def __init__(self, database: db.Database, sign_ins_per_minute: int = 10) -> None:
        self._db = database
        self._hasher = PasswordHasher()
        self._dummy = ""
        self._tries: dict[str, deque[float]] = defaultdict(deque)
        self._per_minute = sign_ins_per_minute
        self._known_staff: dict[UUID, Staff] = {}
        self._staff_changed = 0  # how often they were said to have changed
        self._cache: dict[bytes, tuple[float, Principal]] = {}

    # ── the authenticator ────────────────────────────────────────────────────────────────────────────────

    async def by_token(self, token: str) -> Principal | None:
        """A machine's (`vt_…`) or a station's (`vs_…`) token."""
        hashed = hash_secret(token)
        cached = self._cache.get(hashed)
        if cached is not None and cached[0] > time.monotonic():
            return cached[1]
        found = None
        looking = asyncio.create_task(self._look_up(token, hashed))
        # A door controller must go on while the database is away or hangs: what its token was worth last counts then.
        door = cached is not None and cached[1].roles == {"doors"}
        await asyncio.wait({looking}, timeout=_DOOR_SECONDS if door else None)
        try:
            if looking.done():
                found = looking.result()
            elif cached is not None:
                looking.add_done_callback(_ignore)
                return cached[1]
        except Unavailable:
            if door and cached is not None:
                return cached[1]
            raise
        if found:
            if len(self._cache) > 10_000:
                self._cache.clear()
            self._cache[hashed] = (time.monotonic() + _CACHE_SECONDS, found)
        return found or None

    async def _look_up(self, token: str, hashed: bytes) -> Principal | None:
        async with self._db.connection() as conn:
            if token.startswith("vs_"):
                row = await store.queries.pairing(conn, token_hash=hashed)
                return row and Principal("station", row["station_id"], row["name"], (Grant("station", row["site_id"]),))
            row = await store.queries.token(conn, token_hash=hashed, now=datetime.now(UTC))
            return row and Principal("token", row["id"], row["name"], (Grant(cast(Role, row["role"]), row["site_id"]),))

    async def by_session(self, cookie: str) -> Principal | None:
        hashed, now = hash_secret(cookie), datetime.now(UTC)
        async with self._db.connection() as conn:
            session = await store.session(conn, hashed, now)
            if session is None:
                return None
            await store.queries.touch_session(conn, id_hash=hashed, now=now, expires_at=now + SESSION_LIFE)
            grants = await store.grants(conn, session.account_id)
        return Principal("account", session.account_id, session.name, grants, session.csrf, session.authenticated_at)

    # ── people who sign in ───────────────────────────────────────────────────────────────────────────────

    async def sign_in(self, login: str, password: str, source: str) -> str:
        """The session cookie's value. Raises WrongSignIn, TooManyRequests."""
        self._throttle(f"login {login.lower()}")
        self._throttle(f"source {source}")
        async with self._db.connection() as conn:
            account = await store.account_by_login(conn, login)
        if not self._dummy:
            self._dummy = await asyncio.to_thread(self._hasher.hash, new_secret())
        right = await asyncio.to_thread(self._verify, account.password_hash if account else self._dummy, password)
        if account is None or not right:
            raise WrongSignIn("That login and password do not go together. Check both, or ask your administrator for a new password.")
        async with self._db.transaction() as tx:
            return await self.open_session(tx, account.id)

    async def open_session(self, tx: db.Tx, account_id: UUID) -> str:
        """A session for somebody who has proved who they are; the cookie's value."""
        now, cookie = datetime.now(UTC), new_secret()
        await store.queries.end_old_sessions(tx.conn, now=now)
        await store.queries.add_session(
            tx.conn, id_hash=hash_secret(cookie), account_id=account_id, csrf=new_secret(), now=now, expires_at=now + SESSION_LIFE
        )
        return cookie

    async def sign_out(self, cookie: str) -> None:
        async with self._db.transaction() as tx:
            await store.queries.end_session(tx.conn, id_hash=hash_secret(cookie))

    async def confirm_password(self, principal: Principal, login_password: str, cookie: str) -> None:
        """A fresh authentication of a signed-in person, as issuing an emergency credential asks for."""
        self._throttle(f"confirm {principal.id}")
        async with self._db.connection() as conn:
            stored = await conn.fetchval("select password_hash from accounts where id = $1", principal.id)
        if stored is None or not await asyncio.to_thread(self._verify, stored, login_password):
            raise WrongSignIn("That password is not right.")
        async with self._db.transaction() as tx:
            await store.queries.reauthenticate(tx.conn, id_hash=hash_secret(cookie), now=datetime.now(UTC))

    @staticmethod
    def require_fresh(principal: Principal) -> None:
        """A person must have given the password within ten minutes. A machine's token stands for its own keeping."""
        if principal.kind == "account":
            at = principal.authenticated_at
            if at is None or datetime.now(UTC) - at > FRESH:
                raise Forbidden("Enter your password again to do this.", code="fresh-sign-in-needed")

    async def add_account(self, tx: db.Tx, login: str, name: str, password: str, grants: list[tuple[AccountRole, UUID | None]]) -> UUID:
        """Raises BadInput for a weak password, Conflict for a login already taken."""
        problem = password_problem(password, login)
        if problem:
            raise BadInput(problem)
        if not login.strip() or len(login) > 100 or not name.strip() or len(name) > 200:
            raise BadInput("Give a login (up to 100 characters) and a name (up to 200).")
        if await store.account_by_login(tx.conn, login) is not None:
            raise Conflict("That login is taken. Choose another.")
        account_id = new_id()
        hashed = await asyncio.to_thread(self._hasher.hash, password)
        await store.queries.add_account(
            tx.conn, id=account_id, login=login.strip(), name=name.strip(), password_hash=hashed, now=datetime.now(UTC)
        )
        for role, site_id in grants:
            await store.queries.add_role(tx.conn, id=new_id(), account_id=account_id, role=role, site_id=site_id)
        return account_id

    async def account(self, login: str, conn: db.Connection) -> Account | None:
        return await store.account_by_login(conn, login)

    async def set_password(self, tx: db.Tx, account_id: UUID, password: str) -> None:
        await store.queries.set_password(tx.conn, id=account_id, password_hash=await asyncio.to_thread(self._hasher.hash, password))

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    def _throttle(self, key: str) -> None:
        now, tries = time.monotonic(), self._tries[key]
        while tries and tries[0] < now - 60:
            tries.popleft()
        if len(tries) >= self._per_minute:
            raise TooManyRequests("Too many tries. Wait a minute and try again.", retry_after=60)
        tries.append(now)
        if len(self._tries) > 20_000:
            self._tries.clear()

    # ── set-up and pairing ───────────────────────────────────────────────────────────────────────────────

    async def setup_link(self) -> str | None:
        """A one-time code for the first administrator (24 h), or None when there is one already."""
        async with self._db.transaction() as tx:
            if await store.queries.administrators(tx.conn):
                return None
            return await self._link(tx, "administrator", None, timedelta(hours=24))

    async def pairing_code(self, tx: db.Tx, station_id: UUID) -> str:
        """A one-time code that pairs a device as a station (1 h)."""
        return await self._link(tx, "pairing", station_id, timedelta(hours=1))

    async def _link(self, tx: db.Tx, purpose: str, station_id: UUID | None, life: timedelta) -> str:
        now, code = datetime.now(UTC), new_secret()
        await store.queries.add_link(
            tx.conn, code_hash=hash_secret(code), purpose=purpose, station_id=station_id, now=now, expires_at=now + life
        )
        return code

    async def link_open(self, code: str, purpose: str) -> bool:
        async with self._db.connection() as conn:
            row = await store.queries.link(conn, code_hash=hash_secret(code), now=datetime.now(UTC))
        return row is not None and row["purpose"] == purpose

    async def set_up_administrator(self, code: str, login: str, name: str, password: str) -> UUID:
        """Use the set-up link. Raises LinkUsed, BadInput; a refused password leaves the link usable."""
        async with self._db.transaction() as tx:
            row = await store.queries.use_link(tx.conn, code_hash=hash_secret(code), now=datetime.now(UTC))
            if row is None or row["purpose"] != "administrator":
                raise LinkUsed("This set-up link was used already or is too old. Start the service again for a new one.")
            return await self.add_account(tx, login, name, password, [("admin", None)])

    async def pair(self, code: str) -> tuple[str, UUID]:
        """Use a pairing code: the device token and its station. Raises LinkUsed."""
        now, token = datetime.now(UTC), new_secret("vs_")
        async with self._db.transaction() as tx:
            row = await store.queries.use_link(tx.conn, code_hash=hash_secret(code), now=now)
            if row is None or row["purpose"] != "pairing":
                raise LinkUsed("This pairing code was used already or is too old. Ask the desk for a new one.")
            await self._pair(tx, row["station_id"], token, "pairing code")
        return token, row["station_id"]

    async def station_token(self, tx: db.Tx, station_id: UUID, created_by: str) -> str:
        """Pair without a code: for set-up scripts."""
        token = new_secret("vs_")
        await self._pair(tx, station_id, token, created_by)
        return token

    async def _pair(self, tx: db.Tx, station_id: UUID, token: str, created_by: str) -> None:
        pairing_id = new_id()
        await store.queries.add_pairing(
            tx.conn, id=pairing_id, station_id=station_id, token_hash=hash_secret(token), now=datetime.now(UTC), created_by=created_by
        )
        site_id = await tx.conn.fetchval("select site_id from stations where id = $1", station_id)
        await audit.record(tx, site_id, created_by if ":" in created_by else "system", "station.paired", station_id)

    async def machine_token(
        self, tx: db.Tx, name: str, role: TokenRole, site_id: UUID | None = None, life: timedelta | None = None
    ) -> str:
        token, now = new_secret("vt_"), datetime.now(UTC)
        await store.queries.add_token(
            tx.conn, id=new_id(), name=name, role=role, site_id=site_id, token_hash=hash_secret(token), now=now,
            expires_at=now + life if life is not None else None,
        )
        return token

    async def revoke_tokens(self, tx: db.Tx, name: str) -> None:
        """End the machine tokens of that name."""
        await store.queries.revoke_tokens_named(tx.conn, name=name, now=datetime.now(UTC))

    # ── staff and officers ───────────────────────────────────────────────────────────────────────────────

    async def staff(self, site_id: UUID | None = None) -> list[Staff]:
        async with self._db.connection() as conn:
            return await store.staff(conn, site_id)

    async def on_event(self, event: db.Event) -> None:
        """Staff are asked for at every check-in and change a few times a year: kept until somebody says they changed."""
        if event.topic in ("staff", "sync"):
            self._known_staff.clear()
            self._staff_changed += 1

    async def staff_member(self, staff_id: UUID, conn: db.Connection | None = None) -> Staff:
        """Raises NotFound. Inside a transaction (`conn`) the row itself is read."""
        if conn is None and (known := self._known_staff.get(staff_id)) is not None:
            return known
        if conn is not None:
            # Not kept: what this transaction sees may never be committed.
            found = await store.staff_member(conn, staff_id)
        else:
            changed = self._staff_changed
            async with self._db.connection() as own:
                found = await store.staff_member(own, staff_id)
            if found is not None and changed == self._staff_changed:
                self._known_staff[staff_id] = found
        if found is None:
            raise NotFound("There is no such member of staff.")
        return found

    async def staff_names(self, ids: Iterable[UUID]) -> dict[UUID, str]:
        """The names of these staff, in one query; who works here no longer is left out."""
        async with self._db.connection() as conn:
            return {row["id"]: row["name"] async for row in store.queries.staff_named(conn, ids=list(ids))}

    async def officers(self) -> list[Officer]:
        async with self._db.connection() as conn:
            return await store.officers(conn)

    async def officer(self, officer_id: UUID) -> Officer:
        for officer in await self.officers():
            if officer.id == officer_id:
                return officer
        raise NotFound("There is no such officer.")

    async def add(self, tx: db.Tx, row: Staff | Agency | Officer) -> None:
        await store.add(tx.conn, row)
        if isinstance(row, Staff):
            tx.notify("staff", row.site_id, row.id)


def _ignore(task: asyncio.Task[Principal | None]) -> None:
    """Retrieve a look-up's exception that nobody waits for any more."""
    if not task.cancelled():
        task.exception()

"""PostgreSQL: the pool, the transaction that carries its notices, migrations and named queries.

Only a slice's `store.py` (and this module) writes SQL; queries stand in `queries.sql` beside it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import aiosql
import asyncpg
import msgspec
from aiosql.adapters.asyncpg import AsyncPGAdapter

from visitor.errors import BadInput, SetupError, Unavailable

T = TypeVar("T")
Connection = Any  # asyncpg.Connection or its pool proxy: asyncpg ships no usable types
CHANNEL = "visitor"
_MIGRATION_LOCK = 0x56495349  # "VISI": one migrator at a time in a database
MIGRATIONS = Path(__file__).parent / "migrations"


class Event(msgspec.Struct, frozen=True):
    """Something changed: `topic` ("visits", "badges", "doors", "site_state", …), where, and which row. No personal data."""

    topic: str
    site_id: UUID
    subject: UUID


Statement = tuple[str, tuple[Any, ...]]  # SQL with $1 … and its values
_NOTIFY = "select pg_notify($1, payload) from unnest($2::text[]) as payload"
_MOST_WAITING = 16  # statements sent as one; each combination is a text that every connection prepares


class _Later:
    """`Tx.later`: a connection that can only be told to execute, and does it with the next statement that is sent."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def execute(self, sql: str, *values: Any) -> None:
        self._tx.waiting.append((sql, values))
        if len(self._tx.waiting) >= _MOST_WAITING:
            await self._tx.flush()


class _WithLater:
    """`Tx.with_later`: a connection whose statement takes along what waits."""

    def __init__(self, tx: Tx, conn: Connection) -> None:
        self._tx = tx
        self._conn = conn

    async def fetchval(self, sql: str, *values: Any) -> Any:
        text, everything = self._tx.joined((sql, values))
        return await self._conn.fetchval(text, *everything)


class _InOrder:
    """`Tx.conn`: the connection, where whatever is asked finds written what was told before."""

    def __init__(self, tx: Tx, conn: Connection) -> None:
        self._tx = tx
        self._conn = conn

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._conn, name)

        async def after_what_waits(*args: Any, **options: Any) -> Any:
            if self._tx.waiting:
                await self._tx.flush()
            return await method(*args, **options)

        return after_what_waits


class Tx:
    """An open transaction: its connection, what waits to be written, and what to tell others once it has committed.

    A check-in writes a dozen rows, and each round trip to PostgreSQL costs both processes more than the row does. Rows that
    the transaction does not read again are therefore given to `later` in place of `conn`: they are sent as one statement, at the
    commit, along with a statement of `with_later`, or before anything else is asked of `conn`. Such a statement's parts do not
    see each other, so what waits is inserts; foreign keys among them hold, since PostgreSQL checks those at the statement's end.
    """

    def __init__(self, conn: Connection, first: str = "") -> None:
        self._conn = conn
        self.first = first  # what was sent along with BEGIN
        self.conn: Connection = _InOrder(self, conn)
        self.later: Connection = _Later(self)
        self.with_later: Connection = _WithLater(self, conn)
        self.waiting: list[Statement] = []
        self.events: list[Event] = []
        # Rows of a statement that takes one array for each column (the audit's): however many, one statement.
        self.rows: dict[str, list[tuple[Any, ...]]] = {}

    def notify(self, topic: str, site_id: UUID, subject: UUID) -> None:
        """Tell this process (at once, after the commit) and the others (NOTIFY) that a row changed."""
        event = Event(topic, site_id, subject)
        if event not in self.events:
            self.events.append(event)

    def joined(self, last: Statement) -> Statement:
        """What waits, and `last` whose result is the answer, as one statement; nothing waits after it."""
        waiting, self.waiting = self.waiting, []
        parts = [*waiting, last]
        values = tuple(value for _, some in parts for value in some)
        return _one_statement(tuple((sql, len(some)) for sql, some in parts)), values

    async def flush(self) -> None:
        """Write what waits, now."""
        if self.waiting:
            sql, values = self.joined(self.waiting.pop())
            await self._conn.execute(sql, *values)

    async def finish(self, origin: str) -> None:
        """The last statement before the commit: what waits, the rows kept for now, and the notices."""
        self.waiting += [(sql, tuple(list(column) for column in zip(*rows, strict=True))) for sql, rows in self.rows.items()]
        self.rows = {}
        if self.events:
            payloads = [f"{origin} {event.topic} {event.site_id} {event.subject}" for event in self.events]
            self.waiting.append((_NOTIFY, (CHANNEL, payloads)))
        await self.flush()


_PARAMETER = re.compile(r"\$(\d+)")


def _renumbered(before: int, parameter: re.Match[str]) -> str:
    return f"${int(parameter[1]) + before}"


@lru_cache(500)
def _one_statement(parts: tuple[tuple[str, int], ...]) -> str:
    """`with w0 as (…), w1 as (…) …`: the parts before the last as common table expressions, parameters numbered through."""
    numbered, before = [], 0
    for sql, count in parts:
        text = sql.strip().rstrip(";")
        numbered.append(_PARAMETER.sub(partial(_renumbered, before), text))
        before += count
    *waiting, last = numbered
    if not waiting:
        return last
    clauses = ",\n".join(f"w{i} as (\n{text}\n)" for i, text in enumerate(waiting))
    return f"with {clauses}\n{last}"


class Database:
    """A pool as the application's role. `announce` is set by the event bus and awaited after each commit."""

    def __init__(self, pool: Any, url: str, origin: str) -> None:
        self.pool = pool
        self.url = url
        self.origin = origin
        self.announce: Callable[[list[Event]], Awaitable[None]] | None = None

    @classmethod
    async def connect(cls, url: str, *, origin: str, size: int = 12) -> Database:
        """Open the pool; raises SetupError when the server cannot be reached or refuses."""
        try:
            pool = await asyncpg.create_pool(
                url, min_size=2, max_size=size, init=_init, reset=_as_it_is,
                server_settings={"role": "visitor_app", "application_name": "visitor"},
            )
        except (OSError, asyncpg.PostgresError) as e:
            raise SetupError(f"PostgreSQL cannot be reached: {type(e).__name__}. Check that it runs and the address is right.") from e
        return cls(pool, url, origin)

    async def close(self) -> None:
        await self.pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for reads. Raises Unavailable while PostgreSQL is away, BadInput for text that it cannot hold."""
        try:
            async with self.pool.acquire(timeout=10) as conn:
                yield conn
        except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError) as e:
            raise Unavailable("The database is not answering. Nothing was changed; try again in a moment.") from e
        except (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError):
            # U+0000 is valid JSON and no valid PostgreSQL text. The driver's message quotes what was sent: not passed on.
            raise BadInput("The text holds a character that cannot be kept (NUL). Type it again.") from None

    @asynccontextmanager
    async def transaction(self, first: str = "") -> AsyncIterator[Tx]:
        """One unit of work: commits on leaving, rolls back on any exception; notices go out with the commit.

        `first` is a statement without parameters, sent along with BEGIN: a lock to hold before anything is looked at.
        """
        async with self.connection() as conn:
            tx = Tx(conn, first)
            try:
                await conn.execute(f"begin; {first}")
                yield tx
                await tx.finish(self.origin)
                await conn.execute("commit")
            except BaseException:
                await _roll_back(conn)
                raise
        if tx.events and self.announce is not None:
            await self.announce(tx.events)


async def _roll_back(conn: Connection) -> None:
    """Undo the transaction; a connection that cannot say that it did is closed, which undoes it too."""
    try:
        if not conn.is_closed():
            await conn.execute("rollback")
    except Exception:  # whatever was raised before it is what counts
        conn.terminate()


async def _init(conn: Connection) -> None:
    await conn.set_type_codec("jsonb", encoder=_encode_json, decoder=msgspec.json.decode, schema="pg_catalog")


async def _as_it_is(_conn: Connection) -> None:
    """Give a connection back without asking PostgreSQL to forget its session: a round trip after every query.

    Nothing here leaves anything in a session: settings are `set local`, whoever listens or holds a session's lock has a
    connection of its own or lets go in a `finally`, and transactions end with their block.
    """


def _encode_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


class _Adapter(AsyncPGAdapter):
    """aiosql's adapter for a connection that is already there.

    Its own asks at every query whether it was given a pool, by listing all attributes: 40 µs, twenty times a check-in.
    """

    def _ordered(self, query_name: str, parameters: Any) -> Any:
        return self.maybe_order_params(query_name, parameters)  # type: ignore[no-untyped-call]

    async def select(self, conn: Any, query_name: str, sql: str, parameters: Any, record_class: Any = None) -> AsyncIterator[Any]:
        for record in await conn.fetch(sql, *self._ordered(query_name, parameters)):
            yield record

    async def select_one(self, conn: Connection, query_name: str, sql: str, parameters: Any, record_class: Any = None) -> Any:
        return await conn.fetchrow(sql, *self._ordered(query_name, parameters))

    async def select_value(self, conn: Connection, query_name: str, sql: str, parameters: Any) -> Any:
        return await conn.fetchval(sql, *self._ordered(query_name, parameters))

    async def insert_update_delete(self, conn: Connection, query_name: str, sql: str, parameters: Any) -> Any:
        return await conn.execute(sql, *self._ordered(query_name, parameters))


def queries(beside: str) -> Any:
    """The named queries of `queries.sql` beside a module: `queries = db.queries(__file__)`."""
    adapter: Any = _Adapter
    return aiosql.from_path(Path(beside).parent / "queries.sql", adapter, mandatory_parameters=False)


def one(row: Mapping[str, Any] | None, cls: type[T]) -> T | None:
    """A record as a struct of `cls` (its columns are the struct's fields), or None."""
    return None if row is None else msgspec.convert(dict(row), cls)


async def each(rows: Any, cls: type[T]) -> list[T]:
    """The records of a named query (aiosql gives an async iterator) as structs."""
    return [msgspec.convert(dict(row), cls) async for row in rows]


async def migrate(url: str) -> list[str]:
    """Apply what is missing, in order, under an advisory lock; returns the names applied.

    Forward only. A file that changed after it was applied is an error: add a new one instead.
    Two processes that start at once both succeed; the second finds nothing to do.
    """
    conn = await asyncpg.connect(url)
    try:
        await conn.execute("select pg_advisory_lock($1)", _MIGRATION_LOCK)
        await _app_role(conn)
        await conn.execute(
            "create table if not exists schema_migrations ("
            " name text primary key, checksum text not null, applied_at timestamptz not null default now())"
        )
        done = {r["name"]: r["checksum"] for r in await conn.fetch("select name, checksum from schema_migrations")}
        files = sorted(MIGRATIONS.glob("*.sql"))
        unknown = set(done) - {f.name for f in files}
        if unknown:
            raise SetupError(
                f"This database was made by a newer version (it has {max(unknown)}). Start that version, or restore an older backup."
            )
        applied = []
        for file in files:
            text = file.read_text("utf-8")
            checksum = hashlib.sha256(text.encode()).hexdigest()
            if file.name in done:
                if done[file.name] != checksum:
                    raise SetupError(f"Migration {file.name} was changed after it was applied. Restore it and add a new one.")
                continue
            async with conn.transaction():
                await conn.execute(text)
                await conn.execute("insert into schema_migrations (name, checksum) values ($1, $2)", file.name, checksum)
            applied.append(file.name)
        return applied
    finally:
        await conn.close()  # releases the lock


async def _app_role(conn: Connection) -> None:
    """The application's role: no superuser, owns nothing. Roles belong to the cluster, so another database may have made it."""
    try:
        if not await conn.fetchval("select 1 from pg_roles where rolname = 'visitor_app'"):
            await conn.execute("create role visitor_app nologin nosuperuser nocreatedb nocreaterole")
        await conn.execute("grant visitor_app to current_user")
    except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
        pass  # made at this moment for another database of the cluster
    except asyncpg.InsufficientPrivilegeError as e:
        raise SetupError(
            "The database account may not make the role visitor_app. As a superuser run:"
            " create role visitor_app; grant visitor_app to <the account>;"
        ) from e


def dumps(value: Any) -> str:
    """Canonical JSON for digests: sorted keys, no blanks."""
    return json.dumps(msgspec.to_builtins(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

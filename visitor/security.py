"""Who asks, what they may do, and the checks every request passes.

- A person has a session (cookie), a machine a token, a station (kiosk, desk screen, exit) a device token.
- `access.py` is the one table of route × role; a route that is not in it answers nobody.
- Site by site: `Principal.require` is the one place that decides whether a caller may see a site's rows. What a caller may
  not know of is answered as not there.
"""

from __future__ import annotations

import hmac
import time
from datetime import datetime
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.exceptions import ClientException
from litestar.handlers.base import BaseRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from visitor.errors import Forbidden, NotFound, TooManyRequests, Unauthenticated

Role = Literal["station", "desk", "hall", "respond", "admin", "doors"]
SESSION_COOKIE = "visitor_session"
STATION_COOKIE = "visitor_station"
_SAFE = {"GET", "HEAD", "OPTIONS"}
_NOBODY = UUID(int=0)


class Grant(msgspec.Struct, frozen=True):
    """A role at one site, or at every site of the district (`site_id` None)."""

    role: Role
    site_id: UUID | None = None


class Principal(msgspec.Struct, frozen=True):
    kind: Literal["anonymous", "account", "token", "station"]
    id: UUID = _NOBODY
    name: str = ""
    grants: tuple[Grant, ...] = ()
    csrf: str = ""
    authenticated_at: datetime | None = None  # when a password was last given (accounts only)

    @property
    def actor(self) -> str:
        """How the audit names the caller."""
        return f"{self.kind}:{self.id}"

    @property
    def roles(self) -> frozenset[Role]:
        return frozenset(g.role for g in self.grants)

    def may(self, site_id: UUID, *roles: Role) -> bool:
        """Whether the caller has one of `roles` (any role, when none is named) at this site."""
        return any((not roles or g.role in roles) and g.site_id in (None, site_id) for g in self.grants)

    def require(self, site_id: UUID, *roles: Role) -> None:
        """Raise NotFound where the caller has no business at the site at all, Forbidden where the role is lacking."""
        if not self.may(site_id):
            raise NotFound("There is no such thing at a school of yours.")
        if not self.may(site_id, *roles):
            raise Forbidden()

    def sites(self, *roles: Role) -> frozenset[UUID] | None:
        """The sites where the caller has one of `roles`; None means every site."""
        found = {g.site_id for g in self.grants if not roles or g.role in roles}
        return None if None in found else frozenset(s for s in found if s is not None)


ANONYMOUS = Principal("anonymous")


class Authenticator(Protocol):
    """What knows tokens and sessions (accounts/service.py)."""

    async def by_token(self, token: str) -> Principal | None: ...
    async def by_session(self, cookie: str) -> Principal | None: ...


class RateLimit:
    """ASGI middleware: at most so many requests a minute from one address, counted in fixed windows.

    Ours, because Litestar's keeps every timestamp of the window in one serialised list: its cost grows with the traffic.
    """

    def __init__(self, app: ASGIApp, per_minute: int) -> None:
        self._app = app
        self._per_minute = per_minute
        self._window = 0
        self._counts: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            window = int(time.monotonic() // 60)
            if window != self._window:
                self._window, self._counts = window, {}
            client = scope.get("client")
            address = client[0] if client else ""
            count = self._counts[address] = self._counts.get(address, 0) + 1
            if count > self._per_minute:
                raise TooManyRequests("Too many requests from this address. Wait a minute.", retry_after=60)
        await self._app(scope, receive, send)


class Authentication:
    """ASGI middleware: puts the caller's Principal into the scope. A wrong token is refused, a stale cookie is nobody."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator) -> None:
        self._app = app
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            scope["user"] = await self._principal(ASGIConnection(scope))
            scope["auth"] = None
        await self._app(scope, receive, send)

    async def _principal(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Principal:
        header = connection.headers.get("authorization", "")
        if header:
            scheme, _, token = header.partition(" ")
            principal = await self._authenticator.by_token(token.strip()) if scheme.lower() == "bearer" else None
            if principal is None:
                connection.scope["visitor_bad_token"] = True  # type: ignore[typeddict-unknown-key]
            return principal or ANONYMOUS
        found = ANONYMOUS
        station = connection.cookies.get(STATION_COOKIE)
        if station and _as_station(connection):
            found = await self._authenticator.by_token(station) or ANONYMOUS
        if found is ANONYMOUS and (cookie := connection.cookies.get(SESSION_COOKIE)):
            found = await self._authenticator.by_session(cookie) or ANONYMOUS
        if found is ANONYMOUS and station:
            found = await self._authenticator.by_token(station) or ANONYMOUS
        return found


def _as_station(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """A kiosk's page acts as its station, even in a browser where somebody is signed in too: the lesser of the two."""
    path = connection.scope["path"]
    return path.startswith(("/kiosk", "/api/v1/stations/")) or "x-visitor-station" in connection.headers


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Litestar guard of the whole app: the route × role table, then cross-site request forgery."""
    from visitor.access import PUBLIC, allowed  # here, so that the table may name what it likes

    method = connection.scope["method"]  # type: ignore[typeddict-item]
    roles = allowed(method, template_of(handler, connection))
    principal: Principal = connection.scope["user"]
    if roles is PUBLIC:
        return
    if principal.kind == "anonymous":
        if connection.scope.get("visitor_bad_token"):
            raise Unauthenticated("The token is not valid here: unknown, expired or revoked.")
        raise Unauthenticated()
    if not principal.roles & roles:
        raise Forbidden()
    if method not in _SAFE and "authorization" not in connection.headers:
        await _check_forgery(connection, principal)


def template_of(handler: BaseRouteHandler, connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The route's path template without types ("/api/v1/visits/{visit_id}"), as the table spells it."""
    return str(connection.scope.get("path_template") or next(iter(handler.paths)))


async def _check_forgery(connection: ASGIConnection[Any, Any, Any, Any], principal: Principal) -> None:
    """Cookies come along with forged requests; our own origin and, for sessions, the session's secret do not."""
    origin = connection.headers.get("origin")
    if origin is not None and origin != "null":
        if urlsplit(origin).netloc != connection.headers.get("host"):
            raise Forbidden("This request came from another site and was not carried out.")
    elif connection.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("This request came from another site and was not carried out.")
    if principal.kind != "account":
        return  # a station's cookie is SameSite=Strict and the origin was checked
    sent = connection.headers.get("x-csrf-token", "")
    if not sent and connection.headers.get("content-type", "").startswith(("application/x-www-form-urlencoded", "multipart/form-data")):
        try:
            sent = str((await connection.form()).get("csrf", ""))  # type: ignore[attr-defined]
        except (ClientException, ValueError):
            sent = ""
    if not hmac.compare_digest(sent.encode(), principal.csrf.encode()):
        raise Forbidden("The page was too old or came from elsewhere. Reload it and try again.")

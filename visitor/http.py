"""HTTP's ground: problem documents (RFC 9457), security headers, live pages' events. Nothing here knows a slice."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from litestar import MediaType, Request, Response
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException, NotAuthorizedException, PermissionDeniedException, ValidationException
from litestar.response import Redirect, ServerSentEvent
from litestar.response.sse import ServerSentEventMessage
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from visitor.db import Event
from visitor.errors import TooManyRequests, Unauthenticated, VisitorError
from visitor.events import EventBus
from visitor.ids import new_id

log = logging.getLogger(__name__)
_BY_STATUS = {
    400: "bad-input", 401: "not-signed-in", 403: "not-allowed", 404: "not-found", 405: "method-not-allowed", 413: "too-large",
    415: "unsupported-media-type", 429: "too-many-requests",
}
_TITLES = {
    400: "The request cannot be used as it is", 401: "Sign in, or send a valid token", 403: "This account or token may not do that here",
    404: "There is no such thing here", 405: "This address does not take that method", 413: "What was sent is too large",
    415: "This address does not take that kind of content", 429: "Too many tries; wait a moment",
}
_DETAILS = {
    404: "There is no such address. The API is described at /schema/openapi.json.",
    405: "This address does not take that method; the Allow header says which it does.",
    413: "What was sent is larger than this address takes. Nothing was kept.",
}
HEARTBEAT_SECONDS = 15.0


def problem(status: int, type_: str, title: str, detail: str, extra: Mapping[str, Any] | None = None) -> Response[bytes]:
    """An `application/problem+json` response; `type` is a stable code, resolved against the API's own address."""
    body = {"type": type_, "title": title, "status": status, "detail": detail, **(extra or {})}
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/problem+json")


def on_visitor_error(request: Request[Any, Any, Any], error: VisitorError) -> Response[Any]:
    if isinstance(error, Unauthenticated) and wants_page(request) and not request.url.path.startswith("/kiosk"):
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return Redirect(f"/sign-in?next={quote(target, safe='')}", status_code=303)
    if error.status >= 500:
        log.error("%s: %s", type(error).__name__, error.type)
    if wants_page(request):
        return _page(request, error.status, error.title, error.detail)
    response = problem(error.status, error.type, error.title, error.detail, error.extra)
    if isinstance(error, TooManyRequests):
        response.headers["retry-after"] = str(error.retry_after)
    if error.status == 401:
        response.headers["www-authenticate"] = "Bearer"
    return response


def on_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Litestar's own refusals, in our words and without what was sent."""
    status = error.status_code
    extra: dict[str, Any] = {}
    detail = str(error.detail)
    if isinstance(error, ValidationException):
        fields = [str(e.get("key", "body")) for e in error.extra or [] if isinstance(e, dict)]
        extra = {"fields": sorted(set(fields))} if fields else {}
        messages = "; ".join(
            f"{e.get('key', 'body')}: {e.get('message', 'not valid')}" for e in error.extra or [] if isinstance(e, dict)
        )
        detail = messages or "The request's body or parameters do not have the form that this address takes."
    elif isinstance(error, NotAuthorizedException | PermissionDeniedException):
        detail = "This account or token may not do that here."
    detail = _DETAILS.get(status, detail)
    if wants_page(request):
        return _page(request, status, "That did not work", detail)
    title = _TITLES.get(status, "The request failed")
    response = problem(status, _BY_STATUS.get(status, "request-failed"), title, detail, extra)
    response.headers.update({k.lower(): str(v) for k, v in (error.headers or {}).items() if k.lower() in ("retry-after", "allow")})
    return response


def on_any_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """A defect of ours. The log gets the frames but not the message: a database's message may quote a value."""
    reference = new_id().hex[-12:]
    frames = "".join(traceback.format_tb(error.__traceback__)[-6:])
    log.error("defect %s: %s\n%s", reference, type(error).__qualname__, frames)
    detail = f"This is a defect on our side (reference {reference}). Nothing half-done was kept. Try again, or tell the administrator."
    if wants_page(request):
        return _page(request, 500, "Something went wrong", detail)
    return problem(500, "internal", "Something went wrong on our side", detail, {"reference": reference})


EXCEPTION_HANDLERS: dict[Any, Any] = {VisitorError: on_visitor_error, HTTPException: on_http_error, Exception: on_any_error}


def wants_page(request: Request[Any, Any, Any]) -> bool:
    path = request.url.path
    return not path.startswith(("/api/", "/health", "/metrics", "/schema", "/static/")) and "text/html" in request.headers.get("accept", "")


def _page(request: Request[Any, Any, Any], status: int, title: str, detail: str) -> Response[Any]:
    from litestar.response import Template

    context = {"status": status, "title": title, "detail": detail, "path": request.url.path}
    return Template("error.html", context=context, status_code=status, media_type=MediaType.HTML)


class SecurityHeaders:
    """ASGI middleware: a content security policy without inline script, and the usual companions, on every answer."""

    _CSP = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; "
        "media-src 'self' blob:; worker-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )

    def __init__(self, app: ASGIApp, https: bool) -> None:
        self._app = app
        headers = {
            "content-security-policy": self._CSP, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer",
            "x-frame-options": "DENY", "permissions-policy": "camera=(self), microphone=(), geolocation=()",
            "cross-origin-opener-policy": "same-origin", "cross-origin-resource-policy": "same-origin",
        }
        if https:
            headers["strict-transport-security"] = "max-age=31536000"
        self._headers = [(k.encode(), v.encode()) for k, v in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {k.lower() for k, _ in message["headers"]}
                extra = list(self._headers)
                if b"cache-control" not in present and not scope["path"].startswith("/static/"):
                    extra.append((b"cache-control", b"no-store"))
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == ScopeType.HTTP else send)


def live(bus: EventBus, wanted: Callable[[Event], bool]) -> ServerSentEvent:
    """Server-sent events that a page may hear of: `event: <topic>`, `data: <row id>`.

    Catch-up is by state, not by a log: the first message, and any after a gap, is `sync`, at which a page fetches its board
    again. A `beat` every 15 s lets a page show when it last heard from the server.
    """

    async def messages() -> AsyncIterator[ServerSentEventMessage]:
        async with bus.subscribe() as queue:
            yield ServerSentEventMessage(event="sync", data="", retry=1000)
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        event = await queue.get()
                except TimeoutError:
                    yield ServerSentEventMessage(event="beat", data="")
                    continue
                if event.topic == "sync":
                    yield ServerSentEventMessage(event="sync", data="")
                elif wanted(event):
                    yield ServerSentEventMessage(event=event.topic, data=str(event.subject))

    return ServerSentEvent(messages())

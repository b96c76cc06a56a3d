"""The service's errors: one tree, mapped to RFC 9457 problem documents in `http.py` and nowhere else.

    VisitorError
    ├── BadInput            400  what was sent cannot be used
    ├── Unauthenticated     401  nobody known is asking
    ├── Forbidden           403  somebody known, who may not
    ├── NotFound            404  not there, or not for this caller to know of
    ├── Conflict            409  right request, wrong moment
    ├── TooLarge            413
    ├── TooManyRequests     429  (`retry_after` seconds)
    ├── Unavailable         503  a part we need is down; what still works is in the detail
    └── SetupError          the program cannot start: printed by the command line, never served

A slice narrows one of these and gives its own stable `type`, for example
`class AlreadyOnSite(Conflict): type = "already-on-site"`. Messages reach people: they say what happened and what to
do next, and carry no personal data (they are logged).
"""

from __future__ import annotations

from typing import Any, ClassVar


class VisitorError(Exception):
    """Base of all errors that a caller may see.

    `type` is the stable code of the problem document, `status` its HTTP status, `title` the same for every
    occurrence; the argument is the detail for a person. `extra` members go into the document as they are.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(self, detail: str = "", **extra: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.extra = extra


class BadInput(VisitorError):
    status = 400
    type = "bad-input"
    title = "The request cannot be used as it is"


class Unauthenticated(VisitorError):
    status = 401
    type = "not-signed-in"
    title = "Sign in, or send a valid token"


class Forbidden(VisitorError):
    status = 403
    type = "not-allowed"
    title = "This account or token may not do that here"


class NotFound(VisitorError):
    status = 404
    type = "not-found"
    title = "There is no such thing here"


class Conflict(VisitorError):
    status = 409
    type = "conflict"
    title = "That cannot be done in the present state"


class TooLarge(VisitorError):
    status = 413
    type = "too-large"
    title = "What was sent is too large"


class TooManyRequests(VisitorError):
    status = 429
    type = "too-many-requests"
    title = "Too many tries; wait a moment"

    def __init__(self, detail: str = "", retry_after: int = 30, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.retry_after = retry_after


class Unavailable(VisitorError):
    status = 503
    type = "unavailable"
    title = "A part of the service is not available"


class SetupError(VisitorError):
    """The program cannot start or a command cannot run; the message says what to change."""

    type = "setup"

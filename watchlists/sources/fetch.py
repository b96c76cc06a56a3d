"""A registry's file by its URL: asked for only when it changed, resumed where it broke off, bounded, checked, and put in place whole.

    fetch("https://example.org/SDN.XML", Path("lists/sdn.xml"))  →  Fetched(path=…, sha256=…) | Unchanged(…)

Beside the target lie `….meta` (its validators and checksum) and, between attempts, `….part` with `….part.meta`. The target is replaced in
one step once the new file is whole: a reader sees the old list or the new one. All are readable by their owner only; lists hold names.

HTTP: RFC 9110 (conditional requests 13, ranges 14). Only strong validators resume a download: bytes of two revisions must never be joined.
"""

from __future__ import annotations

import contextlib
import email.message
import fcntl
import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Final

import msgspec

from watchlists.errors import SourceError
from watchlists.sources.base import MAX_BYTES
from watchlists.sources.opening import CHUNK

ATTEMPTS: Final = 4
TIMEOUT: Final = 30.0
"""Seconds without a byte before an attempt is given up."""
DEADLINE: Final = 3600.0
"""Seconds for all attempts together; a server that sends a byte a second does not hold a job for ever."""
MAX_REDIRECTS: Final = 5
_MAX_WAIT: Final = 60.0
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class FetchError(SourceError):
    """A file could not be had. `status` is the HTTP status, 0 where it did not come to one; `retry` says that later may help."""

    def __init__(self, message: str, *, url: str, status: int = 0, retry: bool = False, wait: float = 0.0) -> None:
        super().__init__(message, file=without_secrets(url))
        self.status = status
        self.retry = retry
        self.wait = wait


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A new file is in place."""

    path: str
    size: int
    sha256: str
    resumed_at: int = 0
    """The byte at which an earlier attempt's part was taken up; 0 when none was."""


class Unchanged(msgspec.Struct, frozen=True, kw_only=True):
    """The server says that the file in place is still the one it has."""

    path: str
    size: int
    sha256: str


class _Meta(msgspec.Struct):
    url: str
    etag: str = ""
    modified: str = ""
    sha256: str = ""
    size: int = 0


def fetch(
    url: str,
    target: Path,
    *,
    sha256: str = "",
    max_bytes: int = MAX_BYTES,
    headers: Mapping[str, str] | None = None,
    allow_http: bool = False,
    attempts: int = ATTEMPTS,
    timeout: float = TIMEOUT,
    deadline: float = DEADLINE,
    sleep: Callable[[float], None] = time.sleep,
) -> Fetched | Unchanged:
    """Get a file when it changed since it was last had.

    Args:
        target: where it is to lie; its folder must exist.
        sha256: what the file must hash to, in hexadecimal, where its publisher says.
        headers: sent to this host only, not to where it redirects (an `Authorization` stays at home).
        allow_http: allow unencrypted HTTP, for a server on this machine or network.

    Raises:
        FetchError: refused, too large, cut off at every attempt, or not of the checksum. What was in place still is.
    """
    check_url(url, allow_http)
    if sha256 and not re.fullmatch(r"[0-9A-Fa-f]{64}", sha256):
        raise FetchError("the checksum to compare with is not 64 hexadecimal digits", url=url)
    with _locked(target, url):
        began = time.monotonic()
        problem = FetchError("no attempt was made", url=url)
        for attempt in range(attempts):
            try:
                return _attempt(url, target, sha256.lower(), max_bytes, dict(headers or {}), allow_http, timeout, began + deadline)
            except FetchError as error:
                problem = error
            if not problem.retry or attempt + 1 == attempts:
                break
            wait = min(max(problem.wait, 2.0**attempt), _MAX_WAIT)
            if time.monotonic() + wait > began + deadline:
                break
            sleep(wait)
        raise problem


def check_url(url: str, allow_http: bool = False) -> None:
    """Refuse a URL that is not HTTPS (or HTTP, where allowed)."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise FetchError("this is no address that can be fetched", url="") from None  # it cannot be shown without what it may hold
    if parts.scheme == "http" and not allow_http:
        raise FetchError("unencrypted HTTP is not allowed: a list could be changed on its way", url=url)
    if parts.scheme not in ("http", "https") or not host:
        raise FetchError("only https:// addresses can be fetched", url=url)
    if parts.username is not None or parts.password is not None:
        raise FetchError("a password does not belong in an address; give the Authorization header", url=url)


def without_secrets(url: str) -> str:
    """A URL as it may be logged: without user, password, query and fragment, which can carry a key."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    with contextlib.suppress(ValueError):
        host += f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{parts.path}"


def _attempt(
    url: str, target: Path, sha256: str, max_bytes: int, headers: dict[str, str], allow_http: bool, timeout: float, until: float
) -> Fetched | Unchanged:
    part, part_meta_path, meta_path = (target.with_name(target.name + end) for end in (".part", ".part.meta", ".meta"))
    have, had = _load(meta_path), _load(part_meta_path)
    request = urllib.request.Request(url, headers={"Accept-Encoding": "identity", "User-Agent": "watchlists"})  # noqa: S310 - checked
    for key, value in headers.items():
        request.add_unredirected_header(key, value)
    offset = 0
    if had and had.url == url and _strong(had.etag) and part.is_file() and 0 < part.stat().st_size <= max_bytes:
        offset = part.stat().st_size
        request.add_header("Range", f"bytes={offset}-")
        request.add_header("If-Range", had.etag)
    elif have and have.url == url and _in_place(target, have) and (not sha256 or have.sha256 == sha256):
        if have.etag:
            request.add_header("If-None-Match", have.etag)
        elif have.modified:
            request.add_header("If-Modified-Since", have.modified)
    try:
        with _opener(allow_http).open(request, timeout=timeout) as response:
            return _receive(response, url, target, sha256, max_bytes, offset, until)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 304 and have is not None:
                return Unchanged(path=str(target), size=have.size, sha256=have.sha256)
            if error.code == 416 and offset:
                # The part is longer than the file now is: it is of another revision.
                _discard(part, part_meta_path)
                raise FetchError("the file changed while it was fetched", url=url, status=416, retry=True) from None
            retry = error.code in (408, 425, 429) or error.code >= 500
            words = f"the server answered {error.code} {error.reason}"
            raise FetchError(words, url=url, status=error.code, retry=retry, wait=_retry_after(error.headers)) from None
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise FetchError(f"the server was not reached: {reason}", url=url, retry=True) from None


def _receive(response: Any, url: str, target: Path, sha256: str, max_bytes: int, offset: int, until: float) -> Fetched:
    part, part_meta_path = target.with_name(target.name + ".part"), target.with_name(target.name + ".part.meta")
    headers: email.message.Message = response.headers
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise FetchError(f"the server sent it as {headers['Content-Encoding']}, which was not asked for", url=url)
    if response.status == 206:
        found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        if found is None or int(found[1]) != offset or not offset:
            _discard(part, part_meta_path)
            raise FetchError("the server sent another range than was asked for", url=url, status=206, retry=True)
        total = int(found[3]) if found[3] != "*" else None
    elif response.status == 200:
        offset = 0
        length = headers.get("Content-Length", "")
        total = int(length) if length.isdigit() else None
    else:
        raise FetchError(f"the server answered {response.status}, which is no file", url=url, status=response.status)
    if total is not None and total > max_bytes:
        raise FetchError(f"the file has {total:,} bytes, over the {max_bytes:,} allowed", url=url, status=response.status)
    meta = _Meta(url=url, etag=headers.get("ETag", ""), modified=headers.get("Last-Modified", ""))
    state = hashlib.sha256()
    with _open_part(part, keep=offset > 0) as stream:
        if offset:
            while chunk := stream.read(CHUNK):
                state.update(chunk)
        else:
            _save(part_meta_path, meta)
        size, cut = _copy(response, stream, state, offset, max_bytes, until, url)
        stream.flush()
        os.fsync(stream.fileno())
    if size > max_bytes:
        _discard(part, part_meta_path)
        raise FetchError(f"the file is larger than the {max_bytes:,} bytes allowed", url=url, status=response.status)
    if cut or (total is not None and size != total):
        if not _strong(meta.etag):
            _discard(part, part_meta_path)
        promised = f" of {total:,}" if total is not None else ""
        raise FetchError(f"the download was cut off after {size:,}{promised} bytes", url=url, status=response.status, retry=True)
    meta.sha256, meta.size = state.hexdigest(), size
    if sha256 and meta.sha256 != sha256:
        _discard(part, part_meta_path)
        raise FetchError("the file is not of the checksum it should have", url=url, status=response.status)
    if size == 0:
        _discard(part, part_meta_path)
        raise FetchError("the server sent an empty file", url=url, status=response.status)
    # The target's old validators go first: should we die between the two steps, the next fetch asks for the whole file again.
    target.with_name(target.name + ".meta").unlink(missing_ok=True)
    part.replace(target)
    _save(target.with_name(target.name + ".meta"), meta)
    part_meta_path.unlink(missing_ok=True)
    return Fetched(path=str(target), size=size, sha256=meta.sha256, resumed_at=offset)


def _copy(response: IO[bytes], stream: BinaryIO, state: Any, size: int, max_bytes: int, until: float, url: str) -> tuple[int, bool]:
    """Copy what comes; returns the size of the whole and whether it was cut off."""
    while True:
        if time.monotonic() > until:
            raise FetchError("the download took too long", url=url)
        try:
            chunk = response.read(CHUNK)
        except http.client.IncompleteRead as error:
            chunk, ended = error.partial, True
        except (OSError, http.client.HTTPException):
            return size, True
        else:
            ended = False
        size += len(chunk)
        if size > max_bytes:
            return size, True
        stream.write(chunk)
        state.update(chunk)
        if ended or not chunk:
            return size, ended


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to HTTPS only; the request's own (`unredirected`) headers stay behind."""

    max_redirections = MAX_REDIRECTS

    def __init__(self, allow_http: bool) -> None:
        self._allow_http = allow_http

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        check_url(newurl, self._allow_http)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(allow_http: bool) -> urllib.request.OpenerDirector:
    """HTTP and HTTPS, through the proxies of the environment; no file:, ftp: or data:."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(allow_http),
    ):
        opener.add_handler(handler)
    return opener


@contextmanager
def _locked(target: Path, url: str) -> Iterator[None]:
    """One fetch of a target at a time, across processes."""
    try:
        descriptor = os.open(target.with_name(target.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise FetchError(f"the folder cannot be written to: {error.strerror}", url=url) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FetchError("another process is fetching this file", url=url, retry=True) from None
        yield
    finally:
        os.close(descriptor)


def _open_part(path: Path, *, keep: bool) -> BinaryIO:
    flags = os.O_RDWR | os.O_CREAT | (0 if keep else os.O_TRUNC)
    return os.fdopen(os.open(path, flags, 0o600), "r+b")


def _load(path: Path) -> _Meta | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Meta)
    except (OSError, msgspec.DecodeError):
        return None


def _save(path: Path, meta: _Meta) -> None:
    # The URL may carry a key; so may nothing else here, but the file is its owner's alone like the list.
    beside = path.with_name(path.name + ".new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(msgspec.json.encode(meta))
    beside.replace(path)


def _in_place(target: Path, meta: _Meta) -> bool:
    """Whether the target still is what was put there: an edited or damaged file is fetched anew."""
    try:
        if target.stat().st_size != meta.size:
            return False
        with target.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == meta.sha256
    except OSError:
        return False


def _strong(etag: str) -> bool:
    return etag.startswith('"')


def _discard(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _retry_after(headers: email.message.Message) -> float:
    value = headers.get("Retry-After", "")
    return float(value) if value.isdigit() else 0.0

"""Fetching against a real HTTP server on this machine that breaks off, changes its mind and lies."""

from __future__ import annotations

import contextlib
import hashlib
import stat
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from watchlists.sources import fetch as module
from watchlists.sources.fetch import Fetched, FetchError, Unchanged, fetch, without_secrets

BODY = bytes(range(256)) * 4096  # 1 MiB
ETAG = '"one"'


class Server:
    """A file with an ETag, and what is to go wrong with it. `seen` has the headers of every request."""

    def __init__(self) -> None:
        self.body, self.etag, self.ranges = BODY, ETAG, True
        self.cuts: list[int] = []
        self.statuses: list[int] = []
        self.extra: dict[str, str] = {}
        self.redirect = ""
        self.length = True
        self.seen: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/list.csv"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        self.seen.append({key.lower(): value for key, value in to.headers.items()})
        asked = self.seen[-1]
        to.close_connection = True
        if self.redirect and to.path == "/list.csv":
            self.head(to, 302, {"Location": self.redirect, "Content-Length": "0"})
            return
        if self.statuses:
            self.head(to, self.statuses.pop(0), {"Content-Length": "0"})
            return
        if asked.get("if-none-match") == self.etag:
            self.head(to, 304, {"ETag": self.etag})
            return
        start, status, headers = 0, 200, {"ETag": self.etag, **self.extra}
        if self.ranges and "range" in asked and asked.get("if-range") == self.etag:
            start, status = int(asked["range"][6:-1]), 206
            if start >= len(self.body):
                self.head(to, 416, {"Content-Length": "0"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(self.body) - 1}/{len(self.body)}"
        body = self.body[start:]
        if self.length:
            headers["Content-Length"] = str(len(body))
        self.head(to, status, headers)
        with contextlib.suppress(ConnectionError):  # the client may hang up on a body it does not want
            to.wfile.write(body[: self.cuts.pop(0)] if self.cuts else body)

    @staticmethod
    def head(to: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
        to.send_response(status)
        for key, value in headers.items():
            to.send_header(key, value)
        to.end_headers()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


Get = Callable[..., Fetched | Unchanged]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "list.csv"


@pytest.fixture
def get(server: Server, target: Path) -> Get:
    def go(**options: Any) -> Fetched | Unchanged:
        return fetch(options.pop("url", server.url), target, allow_http=True, timeout=120, sleep=lambda _: None, **options)

    return go


def test_a_file_is_fetched_once_and_then_only_asked_about(server: Server, target: Path, get: Get) -> None:
    first = get()
    assert isinstance(first, Fetched) and first.sha256 == hashlib.sha256(BODY).hexdigest()
    assert target.read_bytes() == BODY
    again = get()
    assert isinstance(again, Unchanged) and again.sha256 == first.sha256
    assert server.seen[-1]["if-none-match"] == ETAG
    server.body, server.etag = b"new", '"two"'
    assert isinstance(get(), Fetched) and target.read_bytes() == b"new"


def test_lists_are_readable_by_their_owner_only(target: Path, get: Get) -> None:
    get()
    for path in target.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
    assert {p.name for p in target.parent.iterdir()} == {"list.csv", "list.csv.meta", "list.csv.lock"}


def test_a_download_cut_off_is_resumed_where_it_broke(server: Server, target: Path, get: Get) -> None:
    server.cuts = [300_000, 200_000]
    done = get()
    assert isinstance(done, Fetched) and done.resumed_at == 500_000
    assert target.read_bytes() == BODY
    assert [seen.get("range") for seen in server.seen] == [None, "bytes=300000-", "bytes=500000-"]


def test_a_part_left_by_an_earlier_process_is_taken_up(server: Server, target: Path, get: Get) -> None:
    server.cuts = [300_000]
    with pytest.raises(FetchError, match="cut off after 300,000 of 1,048,576 bytes"):
        get(attempts=1)
    assert not target.exists()
    done = get()
    assert isinstance(done, Fetched) and done.resumed_at == 300_000 and target.read_bytes() == BODY


def test_a_file_that_changed_in_between_is_not_joined_to_its_older_part(server: Server, target: Path, get: Get) -> None:
    server.cuts = [300_000]
    with pytest.raises(FetchError):
        get(attempts=1)
    server.body, server.etag = BODY[::-1], '"two"'
    done = get()
    assert isinstance(done, Fetched) and done.resumed_at == 0 and target.read_bytes() == BODY[::-1]


def test_without_a_strong_validator_a_part_is_thrown_away(server: Server, target: Path, get: Get) -> None:
    server.etag, server.cuts = 'W/"one"', [300_000]
    done = get()
    assert isinstance(done, Fetched) and done.resumed_at == 0 and target.read_bytes() == BODY
    assert not any("range" in seen for seen in server.seen)


def test_a_server_without_ranges_is_read_from_the_start(server: Server, target: Path, get: Get) -> None:
    server.ranges, server.cuts = False, [300_000]
    done = get()
    assert isinstance(done, Fetched) and done.resumed_at == 0 and target.read_bytes() == BODY


def test_a_part_longer_than_the_file_is_dropped(server: Server, target: Path, get: Get) -> None:
    server.cuts = [300_000]
    with pytest.raises(FetchError):
        get(attempts=1)
    server.body = BODY[:1000]
    assert isinstance(get(), Fetched) and target.read_bytes() == BODY[:1000]


def test_what_was_in_place_stays_when_the_new_file_does_not_come(server: Server, target: Path, get: Get) -> None:
    get()
    server.etag, server.cuts = '"two"', [10, 10, 10, 10]
    server.ranges = False
    with pytest.raises(FetchError, match="cut off after 10"):
        get()
    assert target.read_bytes() == BODY
    server.cuts = []
    assert isinstance(get(), Fetched)


def test_a_file_damaged_in_place_is_fetched_anew(server: Server, target: Path, get: Get) -> None:
    get()
    target.write_bytes(b"x" * len(BODY))
    assert isinstance(get(), Fetched) and target.read_bytes() == BODY


@pytest.mark.parametrize("length", [True, False])
def test_a_file_over_the_bound_is_refused(length: bool, server: Server, target: Path, get: Get) -> None:
    server.length = length
    with pytest.raises(FetchError, match=r"over the 1,000 allowed|larger than the 1,000 bytes") as caught:
        get(max_bytes=1000)
    assert not caught.value.retry and len(server.seen) == 1
    assert {path.name for path in target.parent.iterdir()} == {"list.csv.lock"}


def test_a_checksum_is_held_to(server: Server, target: Path, get: Get) -> None:
    with pytest.raises(FetchError, match="checksum"):
        get(sha256="00" * 32)
    assert not target.exists() and not target.with_name("list.csv.part").exists()
    assert isinstance(get(sha256=hashlib.sha256(BODY).hexdigest().upper()), Fetched)


def test_a_server_in_trouble_is_asked_again_and_a_refusal_is_not(server: Server, get: Get) -> None:
    server.statuses = [503, 429]
    assert isinstance(get(), Fetched) and len(server.seen) == 3
    server.etag, server.statuses = '"two"', [403]
    with pytest.raises(FetchError, match="answered 403") as caught:
        get()
    assert caught.value.status == 403 and len(server.seen) == 4


def test_an_encoding_nobody_asked_for_and_an_empty_file_are_refused(server: Server, target: Path, get: Get) -> None:
    server.extra = {"Content-Encoding": "gzip"}
    with pytest.raises(FetchError, match="gzip"):
        get()
    server.extra, server.body = {}, b""
    with pytest.raises(FetchError, match="empty"):
        get()
    assert not target.exists()


def test_a_redirect_is_followed_without_the_callers_secrets(server: Server, target: Path, get: Get) -> None:
    server.redirect = server.url.replace("list.csv", "moved.csv")
    assert isinstance(get(headers={"Authorization": "Bearer secret"}), Fetched)
    assert [seen.get("authorization") for seen in server.seen] == ["Bearer secret", None]
    server.redirect = server.url
    with pytest.raises(FetchError):
        get(attempts=1)


@pytest.mark.parametrize("to", ["file:///etc/hostname", "ftp://127.0.0.1/x"])
def test_a_redirect_leads_nowhere_but_to_the_web(to: str, server: Server, target: Path, get: Get) -> None:
    server.redirect = to
    with pytest.raises(FetchError):
        get(attempts=1)
    assert not target.exists()


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://example.org/x", "/etc/hostname", "http://example.org/list.csv"])
def test_only_https_addresses_are_fetched(url: str, target: Path) -> None:
    with pytest.raises(FetchError, match=r"https|unencrypted"):
        fetch(url, target)


def test_errors_do_not_repeat_what_a_url_may_hide(target: Path, get: Get) -> None:
    assert without_secrets("https://user:pw@example.org:8443/a/b?key=s#f") == "https://example.org:8443/a/b"
    with pytest.raises(FetchError) as caught:
        get(url="http://user:hunter2@127.0.0.1:1/list.csv?key=hunter2", attempts=1)
    assert "hunter2" not in str(caught.value)


def test_two_fetches_of_one_target_do_not_mix(target: Path, get: Get) -> None:
    with module._locked(target, "https://example.org/x"), pytest.raises(FetchError, match="another process"):
        get(attempts=1)


def test_a_server_that_drips_is_given_up(get: Get) -> None:
    with pytest.raises(FetchError, match="too long"):
        get(deadline=-1.0)

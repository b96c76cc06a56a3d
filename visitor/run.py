"""`visitor run`: the database, the node and the HTTP server, started in order and stopped in reverse.

Everything this process starts it stops, PostgreSQL included, on Ctrl-C, SIGTERM or an error of its own. After a `kill -9`
the next start adopts the database server that was left running.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TextIO

import msgspec

from visitor import db
from visitor.errors import SetupError
from visitor.keys import KeyRing
from visitor.postgres import EmbeddedPostgres, Lock
from visitor.settings import Settings, load

DEMO_FILE = "demo.json"


def default_data(demo: bool) -> Path:
    """Where data lies when nobody says: a system folder for root (PostgreSQL's account must reach it), else the user's own."""
    name = "visitor-demo" if demo else "visitor"
    if os.geteuid() == 0:
        return Path("/var/lib") / name
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / name


def settings_of(args: argparse.Namespace, demo: bool | None = None) -> Settings:
    """The settings of a command line; `--demo` binds to loopback only."""
    demo = bool(getattr(args, "demo", False)) if demo is None else demo
    overrides = {name: getattr(args, name, None) for name in ("data", "host", "port", "tls_cert", "tls_key")}
    overrides = {k: str(v) if isinstance(v, Path) else v for k, v in overrides.items()}
    settings = load(args.config, overrides={**overrides, "demo": demo or None})
    chosen = overrides["data"] or os.environ.get("VISITOR_DATA")
    if not chosen and settings.data == Path("var").absolute():
        # Another command on a machine that only ever ran the demo means the demo.
        home = default_data(settings.demo)
        if not settings.demo and not home.exists() and (default_data(True) / DEMO_FILE).exists():
            home = default_data(True)
        settings = msgspec.structs.replace(settings, data=home)
    if settings.demo and settings.host not in ("127.0.0.1", "::1", "localhost"):
        raise SetupError("The demo listens on this machine only (its passwords are printed on the screen). Leave --host out.")
    return settings


class Progress:
    """Steps for a person who waits: what happens now, and how long the last step took."""

    def __init__(self, out: TextIO = sys.stderr) -> None:
        self._out = out
        self._since = 0.0
        self._open = False

    def step(self, text: str) -> None:
        self.done()
        self._since, self._open = time.monotonic(), True
        print(f"  {text} …", end="", flush=True, file=self._out)

    def done(self, word: str = "") -> None:
        if self._open:
            print(f" {word or f'{time.monotonic() - self._since:.1f} s'}", flush=True, file=self._out)
            self._open = False


@asynccontextmanager
async def database(settings: Settings, progress: Progress | None = None) -> AsyncIterator[tuple[str, str]]:
    """A migrated database: (owner's URL, application's URL). Starts and stops the embedded server unless a URL is set."""
    step = progress.step if progress else (lambda _text: None)
    if settings.database_url:
        owner = settings.database_owner_url or settings.database_url
        step("Checking the database")
        try:
            await db.migrate(owner)
        except OSError as e:
            raise SetupError(f"The database of VISITOR_DATABASE_URL cannot be reached ({type(e).__name__}). Is it running?") from e
        yield owner, settings.database_url
        return
    server = EmbeddedPostgres(settings.data)
    step("Starting PostgreSQL" if server.cluster.exists() else "Making a PostgreSQL database")
    try:
        await server.start()
        step("Bringing its tables up to date")
        await db.migrate(server.owner_url())
        yield server.owner_url(), server.app_url()
    finally:
        await asyncio.to_thread(server.stop)


async def run(settings: Settings) -> int:
    """Serve until a signal. Returns the exit status."""
    import uvicorn

    from visitor.app import create_app, running_node

    # The demo's screen is for addresses and sign-ins; what goes wrong is still said.
    level = "WARNING" if settings.demo and settings.log_level == "info" else settings.log_level.upper()
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Addresses can hold one-time codes, so requests are not logged; counts are at /metrics.
    for noisy in ("httpx", "httpcore", "asyncio", "litestar"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    progress = Progress()
    listener = _listen(settings)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(listener.close)
        lock = Lock(settings.data)
        stack.callback(lock.release)
        _, app_url = await stack.enter_async_context(database(settings, progress))
        progress.step("Opening the key ring")
        keys = KeyRing.load_or_create(settings.key_file)
        if settings.demo:
            from visitor.bench import demo

            node, banner = await stack.enter_async_context(demo.node(settings, app_url, keys, progress))
        else:
            progress.step("Starting the node")
            node = await stack.enter_async_context(running_node(settings, app_url, keys))
            code = await node.accounts.setup_link()
            banner = _banner(settings, code)
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(node), log_config=None, log_level="warning", access_log=False, lifespan="off", server_header=False,
                ssl_certfile=str(settings.tls_cert) if settings.tls_cert else None,
                ssl_keyfile=str(settings.tls_key) if settings.tls_key else None,
                timeout_graceful_shutdown=3, timeout_keep_alive=30,
            )
        )
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # ours stop the whole stack
        _stop_on_signals(server)
        # What is alive now stays for good. Looking through all of it for garbage stopped the service for 0.2 s about once a
        # minute of traffic, and whoever checked in at that moment waited.
        gc.freeze()
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not serving.done():  # noqa: ASYNC110  uvicorn tells by a flag only
            await asyncio.sleep(0.02)
        progress.done()
        if server.started:
            print(banner, flush=True)
        await serving
        print("Stopping …", file=sys.stderr, flush=True)
    return 0


def _listen(settings: Settings) -> socket.socket:
    """Bind first: a port in use is said before anything is started."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as e:
        listener.close()
        raise SetupError(f"Port {settings.port} on {settings.host} cannot be used ({e.strerror}). Choose another with --port.") from e
    return listener


def _stop_on_signals(server: object) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if getattr(server, "should_exit", False):
            server.force_exit = True  # type: ignore[attr-defined]  # a second Ctrl-C does not wait for open connections
        server.should_exit = True  # type: ignore[attr-defined]

    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stop)


def _banner(settings: Settings, code: str | None) -> str:
    lines = ["", f"Visitor is running at {settings.url}", f"Data: {settings.data}"]
    if code:
        lines += ["", "Make the first administrator (this link works once, for 24 hours):", f"  {settings.url}/set-up/{code}"]
    return "\n".join([*lines, "", "Stop with Ctrl-C."])


def demo_info(settings: Settings, *, as_json: bool) -> int:
    """Print what the demo wrote into its private file."""
    file = settings.data / DEMO_FILE
    try:
        text = file.read_bytes()
    except OSError as e:
        raise SetupError(f"There is no demo in {settings.data}. Start it with: visitor run --demo --data {settings.data}") from e
    if as_json:
        sys.stdout.write(msgspec.json.format(text, indent=2).decode() + "\n")
        return 0
    from visitor.bench import demo

    print(demo.banner_of(text))
    return 0

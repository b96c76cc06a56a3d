"""Wiring: one `Node` holds every service; `create_app` puts HTTP around it. Nothing else builds services."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from litestar import Litestar, Request, Response, get
from litestar.di import NamedDependency, Provide
from litestar.middleware import DefineMiddleware
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.static_files import create_static_files_router
from litestar.template.config import TemplateConfig
from litestar.types import ASGIApp

from readers import DoorReader
from visitor import db, metrics
from visitor.accounts.service import Accounts
from visitor.badges import routes as badges_routes
from visitor.badges.service import Badges
from visitor.badges.worker import PrintWorker
from visitor.credentials import routes as credentials_routes
from visitor.credentials.cards import Cards
from visitor.credentials.service import Credentials
from visitor.doors import routes as doors_routes
from visitor.doors.bridge import Bridge
from visitor.doors.service import Doors
from visitor.emergency import routes as emergency_routes
from visitor.emergency.service import Emergency
from visitor.escorts import routes as escorts_routes
from visitor.escorts.service import Escorts
from visitor.events import EventBus
from visitor.hall import routes as hall_routes
from visitor.hall.service import Hall
from visitor.hardware import door_reader, reader_config, transport_for
from visitor.http import EXCEPTION_HANDLERS, SecurityHeaders
from visitor.ids import new_id
from visitor.keys import KeyRing
from visitor.people.service import People
from visitor.policies import routes as policies_routes
from visitor.policies.service import Policies
from visitor.registries import routes as registries_routes
from visitor.registries.service import Registries
from visitor.screening import routes as screening_routes
from visitor.screening.service import Screening
from visitor.security import Authentication, Principal, RateLimit, guard
from visitor.settings import Settings
from visitor.sites.service import Sites
from visitor.visits import routes as visits_routes
from visitor.visits.badge import BadgeContents
from visitor.visits.jobs import EndOfDay
from visitor.visits.readings import ReaderWatch, Readings
from visitor.visits.rescreening import Rescreening
from visitor.visits.service import Visits
from visitor.visits.views import Views
from visitor.web import routes as web_routes
from visitor.web import templating
from visitor.web.shell import Faces

log = logging.getLogger(__name__)
WEB = Path(__file__).parent / "web"


class Node:
    """A running node: its services by name, started left to right and stopped in reverse."""

    def __init__(self, settings: Settings, database: db.Database, keys: KeyRing, *, hardware: bool = True, bench: Any = None) -> None:
        """`hardware=False` for a command's short-lived node: it drives no printer, door or reader. `bench` is the demo's."""
        self.settings = settings
        self.hardware = hardware
        self.bench = bench
        self.db = database
        self.keys = keys
        self.bus = EventBus(database)
        self.sites = Sites(database, self.bus)
        self.accounts = Accounts(database, settings.limits.sign_in_per_minute)
        self.bus.on(self.accounts.on_event)
        self.people = People(database, keys)
        self.registries = Registries(database, self.bus, keys, self.sites, settings)
        self.screening = Screening(database, self.registries, keys)
        self.policies = Policies(database, self.bus, self.sites)
        self.credentials = Credentials(database, keys)
        self.cards = Cards(database, self.credentials, self.accounts, self.sites)
        self.badges = Badges(database, self.bus, keys, self.sites, self.credentials, transport_for)
        self.printing = PrintWorker(database, self.bus, self.sites, self.badges.produce, transport_for)
        self.escorts = Escorts(database, self.accounts)
        self.doors = Doors(database, self.bus, self.sites, keys, self.credentials.identifier, settings.data / "doors")
        # Readers that are not hardware, by name: the demo's bench puts its own here, then has the bridge look.
        self.virtual_doors: dict[str, DoorReader] = {}
        self.door_bridge = Bridge(self.doors, self.sites, self.bus, database, keys, self._door_reader)
        self.readings = Readings(self.bus)
        self.readers = ReaderWatch(self.readings)
        self.rescreening = Rescreening(database, self.bus, self.people, self.screening)
        self.visits = Visits(
            database, keys, self.sites, self.accounts, self.people, self.screening, self.policies, self.credentials,
            self.badges, self.escorts, self.readings, self.rescreening,
        )
        self.end_of_day = EndOfDay(database, self.visits)
        self.views = Views(self.sites, self.accounts, self.people, self.screening, self.badges)
        self.badges.content_of = BadgeContents(database, self.sites, self.accounts, self.people, self.policies).of
        self.hall = Hall(database, keys, self.sites)
        self.emergency = Emergency(database, self.sites, self.accounts, self.credentials, self.visits.open_at)
        self.faces = Faces(
            self.sites, self.accounts, self.people, self.registries, self.policies, self.badges, self.escorts, self.visits, self.views,
            self.hall, self.doors, self.emergency,
        )
        # Long-running parts: (start, stop), in order.
        self._parts: list[tuple[Callable[[], Awaitable[None]], Callable[[], Awaitable[None]]]] = [
            (self.policies.start, self.policies.stop),
            (self.registries.start, self.registries.stop),
            (self.badges.look, self.badges.close),
            (self._watch_readers, self.readers.stop),
        ]
        if hardware:
            self._parts.append((self.doors.start, self.doors.stop))
            self._parts.append((self.door_bridge.start, self.door_bridge.stop))
            self._parts.append((self.printing.start, self.printing.stop))
            self._parts.append((self.rescreening.start, self.rescreening.stop))
            self._parts.append((self.end_of_day.start, self.end_of_day.stop))
        # Anything with a problem says so here: name → a sentence for a person; served by /health.
        self.degraded: dict[str, Callable[[], str]] = {
            "doors": self.doors.trouble, "printers": self.badges.degraded,
            "watchlists": self.registries.trouble, "readers": self.readers.trouble,
        }

    def _door_reader(self, address: str, name: str, key: bytes | None) -> DoorReader:
        return door_reader(address, name=name, key=key, virtual=self.virtual_doors)

    def services(self) -> dict[str, Any]:
        """What route handlers may ask for by parameter name."""
        return {
            "node": self, "settings": self.settings, "bus": self.bus, "sites": self.sites, "accounts": self.accounts,
            "database": self.db, "people": self.people, "registries": self.registries, "screening": self.screening,
            "policies": self.policies, "visits": self.visits, "views": self.views,
            "credentials": self.credentials, "cards": self.cards, "badges": self.badges, "escorts": self.escorts,
            "doors": self.doors, "hall": self.hall, "emergency": self.emergency,
            "readings": self.readings, "faces": self.faces,
        }

    async def _watch_readers(self) -> None:
        """Follow the document readers that the configuration gives to stations."""
        if self.hardware and (found := reader_config(self.settings.hardware)) is not None:
            await self.readers.follow(*found)

    async def start(self) -> None:
        await check_key_ring(self.db, self.keys)
        await self.sites.load()
        await self.bus.start()
        for start, _ in self._parts:
            await start()

    async def stop(self) -> None:
        for _, stop in reversed(self._parts):
            with contextlib.suppress(asyncio.CancelledError):
                await stop()
        await self.bus.stop()


async def check_key_ring(database: db.Database, keys: KeyRing) -> None:
    """The first process writes what its ring proves, every other is held against it; signing keys become known."""
    from datetime import UTC, datetime

    from visitor.errors import SetupError

    async with database.transaction() as tx:
        await tx.conn.execute(
            "insert into node (id, role, key_check, created_at) values ($1, 'both', $2, $3) on conflict (one) do nothing",
            new_id(), keys.check(), datetime.now(UTC),
        )
        if await tx.conn.fetchval("select key_check from node") != keys.check():
            raise SetupError(
                "This key ring is not the one that the database was made with. Copy keys.json from the first data folder "
                "(or its backup) and name it with VISITOR_KEYS."
            )
        for kid, public_key in keys.public_keys().items():
            await tx.conn.execute(
                "insert into signing_keys (kid, public_key, created_at) values ($1, $2, $3) on conflict (kid) do nothing",
                kid, public_key, datetime.now(UTC),
            )
        for row in await tx.conn.fetch("select kid, public_key from signing_keys where retired_at is null"):
            keys.trust(row["kid"], row["public_key"])


@asynccontextmanager
async def running_node(
    settings: Settings, app_url: str, keys: KeyRing, *, hardware: bool = True, bench: Any = None
) -> AsyncIterator[Node]:
    """A started node on a migrated database."""
    database = await db.Database.connect(app_url, origin=secrets.token_hex(6))
    node = Node(settings, database, keys, hardware=hardware, bench=bench)
    try:
        await node.start()
        yield node
    finally:
        await node.stop()
        await database.close()


def _principal(request: Request[Any, Any, Any]) -> Principal:
    principal: Principal = request.user
    return principal


@get("/health", sync_to_thread=False, tags=["operations"])
def health(node: NamedDependency[Any]) -> Response[dict[str, Any]]:
    """200 when the node can serve, with what is degraded and what that means."""
    troubles = {name: sentence for name, check in node.degraded.items() if (sentence := check())}
    if not node.bus.listening:
        troubles["database"] = "PostgreSQL is not answering; visitors cannot be checked in until it is back."
        return Response({"status": "unavailable", "degraded": troubles}, status_code=503)
    return Response({"status": "degraded" if troubles else "ok", "degraded": troubles})


def create_app(node: Node) -> ASGIApp:
    """The HTTP face of a node that is already running. The headers stand outside: an unknown path has them too."""
    return SecurityHeaders(create_litestar(node), https=node.settings.tls_cert is not None)


def create_litestar(node: Node) -> Litestar:
    return Litestar(
        route_handlers=[
            health,
            metrics.metrics,
            create_static_files_router("/static", [WEB / "static"], cache_control=None),
            *policies_routes.HANDLERS,
            *registries_routes.HANDLERS,
            *screening_routes.HANDLERS,
            *credentials_routes.HANDLERS,
            *badges_routes.HANDLERS,
            *escorts_routes.HANDLERS,
            *visits_routes.HANDLERS,
            *doors_routes.HANDLERS,
            *hall_routes.HANDLERS,
            *emergency_routes.HANDLERS,
            *web_routes.HANDLERS,
            *(node.bench.handlers() if node.bench is not None else ()),
        ],
        dependencies={
            "principal": Provide(_principal, sync_to_thread=False),
            **{name: Provide(_constant(service), sync_to_thread=False) for name, service in node.services().items()},
        },
        guards=[guard],
        middleware=[
            DefineMiddleware(RateLimit, per_minute=node.settings.limits.requests_per_minute),
            DefineMiddleware(Authentication, authenticator=node.accounts),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        template_config=TemplateConfig(directory=WEB / "templates", engine=JinjaTemplateEngine, engine_callback=templating.install),
        openapi_config=OpenAPIConfig(
            # JSON only: the stock viewers load scripts from elsewhere.
            title="Visitor", version="1", path="/schema", render_plugins=[JsonRenderPlugin()],
            description="Visitor management and access credentials for school districts.",
        ),
        request_max_body_size=node.settings.limits.upload_bytes,
        logging_config=None,
        debug=False,
    )


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value

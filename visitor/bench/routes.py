"""The bench's page and its switches. Loopback only, and only for pages of our own: no other site may press them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import msgspec
from litestar import Response, Router, get, post
from litestar.connection import ASGIConnection
from litestar.enums import RequestEncodingType
from litestar.handlers.base import BaseRouteHandler
from litestar.params import Body, FromPath
from litestar.response import Redirect, Template

from visitor.bench import wallet
from visitor.bench.bench import png
from visitor.bench.demo import DemoFile
from visitor.errors import Forbidden, NotFound
from visitor.security import SESSION_COOKIE, STATION_COOKIE
from visitor.web.routes import session_cookie

if TYPE_CHECKING:
    from visitor.bench.bench import Bench

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
LOGINS = {"desk": "desk", "hall": "hall", "respond": "officer", "admin": "admin"}


class What(msgspec.Struct):
    what: str = ""


Form = Annotated[What, Body(media_type=RequestEncodingType.URL_ENCODED)]


async def only_here(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A page elsewhere could name this address (DNS rebinding) or post to it: both are refused."""
    host = urlsplit(f"//{connection.headers.get('host', '')}").hostname
    origin = connection.headers.get("origin")
    if host not in _LOOPBACK or (origin not in (None, "null") and urlsplit(origin).netloc != connection.headers.get("host")):
        raise Forbidden("The bench is used from this machine only.")


def handlers(bench: Bench) -> list[Any]:
    """The bench's routes, bound to it."""

    def context() -> dict[str, Any]:
        node = bench.running
        names = {p.id: f"{p.name}, {node.sites.site(p.site_id).name}" for p in node.sites.printers()}
        door = next(d for d in node.sites.doors() if d.reader)
        return {
            "bench": bench, "samples": list(wallet.samples().values()), "stations": [s for s in node.sites.stations() if s.kind == "kiosk"],
            "schools": {s.id: s.name for s in node.sites.schools()}, "door": door, "names": names,
            "last": node.doors.last_tap(door.id), "state": node.sites.state(bench.school), "info": info(),
        }

    def info() -> DemoFile:
        file = bench.running.settings.data / "demo.json"
        return msgspec.json.decode(file.read_bytes(), type=DemoFile)

    @get("/", include_in_schema=False)
    async def page() -> Template:
        return Template("bench/bench.html", context=context())

    @get("/state", include_in_schema=False)
    async def state() -> Template:
        return Template("bench/state.html", context=context())

    @get("/sample/{key:str}", include_in_schema=False, media_type="image/png")
    async def sample(key: FromPath[str]) -> Response[bytes]:
        if key not in wallet.samples() or wallet.samples()[key].kind != "license":
            raise NotFound("There is no such license in the drawer.")
        return Response(wallet.picture(key), media_type="image/png", headers={"cache-control": "max-age=3600"})

    @get("/printed/{number:int}/{count:int}", include_in_schema=False, media_type="image/png")
    async def printed(number: FromPath[int], count: FromPath[int]) -> Response[bytes]:
        if not 0 <= number < len(bench.printers) or not bench.printers[number].printed:
            raise NotFound("Nothing was printed there yet.")
        return Response(png(bench.printers[number].printed[-1].image), media_type="image/png")

    @post("/scan", include_in_schema=False, status_code=204)
    async def scan(data: Form) -> None:
        if data.what == "chip":
            await bench.insert_chip()
        elif data.what == "badge":
            bench.scan_badge()
        else:
            bench.scan(data.what)

    @post("/station", include_in_schema=False, status_code=204)
    async def station(data: Form) -> None:
        for one in bench.running.sites.stations():
            if str(one.id) == data.what:
                bench.station_id = one.id
                return
        raise NotFound("There is no such kiosk.")

    @post("/printer/{number:int}", include_in_schema=False, status_code=204)
    async def printer(number: FromPath[int], data: Form) -> None:
        bench.set_printer(number, data.what)

    @post("/tap", include_in_schema=False, status_code=204)
    async def tap(data: Form) -> None:
        await bench.tap(data.what)

    @post("/panic", include_in_schema=False, status_code=204)
    async def panic(data: Form) -> None:
        await bench.panic(exercise=data.what != "real")

    @get("/open/{face:str}", include_in_schema=False)
    async def open_face(face: FromPath[str]) -> Redirect:
        """Sign in as the face's demo account, or pair this browser as the kiosk, and go there."""
        node, demo = bench.running, info()
        if face == "kiosk":
            token = next(s["token"] for s in demo.stations if s["id"] == str(bench.station_id))
            return Redirect("/kiosk", status_code=303, cookies=[session_cookie(STATION_COOKIE, token, node.settings, days=365)])
        if face not in LOGINS:
            raise NotFound("There is no such face.")
        sign_in = next(s for s in demo.sign_ins if s.login == LOGINS[face])
        # Without the password: whoever can open the bench can read it on the screen, and trying faces is no guessing.
        async with node.db.transaction() as tx:
            account = await node.accounts.account(sign_in.login, tx.conn)
            if account is None:
                raise NotFound("That account of the demo is gone.")
            cookie = await node.accounts.open_session(tx, account.id)
        return Redirect(sign_in.face, status_code=303, cookies=[session_cookie(SESSION_COOKIE, cookie, node.settings)])

    routes = [page, state, sample, printed, scan, station, printer, tap, panic, open_face]
    return [Router("/bench", route_handlers=routes, guards=[only_here])]

"""Sign-in, set-up and pairing: the pages that need nobody signed in. `HANDLERS` gathers every page's handlers."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery
from litestar.response import Redirect, Template

from visitor.accounts.service import Accounts, LinkUsed, WrongSignIn
from visitor.errors import BadInput, Conflict, TooManyRequests
from visitor.security import SESSION_COOKIE, STATION_COOKIE, Principal
from visitor.settings import Settings
from visitor.web import admin, decode, desk, hall, kiosk, live, respond


class SignInForm(msgspec.Struct):
    login: str
    password: str
    next: str = "/"


class SetUpForm(msgspec.Struct):
    login: str
    name: str
    password: str


def session_cookie(name: str, value: str, settings: Settings, days: int | None = None) -> Cookie:
    return Cookie(
        key=name, value=value, path="/", httponly=True, samesite="strict" if name == STATION_COOKIE else "lax",
        secure=settings.tls_cert is not None, max_age=days * 86_400 if days else None,
    )


def safe_next(target: str) -> str:
    """A local path to go on to; anything that could lead elsewhere becomes the start page."""
    if target.startswith("/") and not target.startswith(("//", "/\\")) and "\n" not in target:
        return target
    return "/"


@get("/", include_in_schema=False)
async def start(principal: NamedDependency[Principal]) -> Redirect:
    """To the face that fits who is asking."""
    faces = {"desk": "/desk", "admin": "/admin", "respond": "/respond", "hall": "/hall", "station": "/kiosk"}
    for role, face in faces.items():
        if role in principal.roles:
            return Redirect(face, status_code=303)
    return Redirect("/sign-in", status_code=303)


@get("/sign-in", include_in_schema=False)
async def sign_in_page(next: FromQuery[str] = "/") -> Template:
    return Template("sign-in.html", context={"next": safe_next(next), "problem": "", "login": ""})


@post("/sign-in", include_in_schema=False)
async def sign_in(
    request: Request[Any, Any, Any],
    data: Annotated[SignInForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
    accounts: NamedDependency[Accounts],
    settings: NamedDependency[Settings],
) -> Response[Any]:
    source = request.client.host if request.client else "unknown"
    try:
        cookie = await accounts.sign_in(data.login[:100], data.password[:500], source)
    except (WrongSignIn, TooManyRequests) as e:
        context = {"next": safe_next(data.next), "problem": e.detail, "login": data.login[:100]}
        return Template("sign-in.html", context=context, status_code=e.status)
    return Redirect(safe_next(data.next), status_code=303, cookies=[session_cookie(SESSION_COOKIE, cookie, settings)])


@post("/sign-out", include_in_schema=False)
async def sign_out(request: Request[Any, Any, Any], accounts: NamedDependency[Accounts]) -> Redirect:
    await accounts.sign_out(request.cookies.get(SESSION_COOKIE, ""))
    response = Redirect("/sign-in", status_code=303)
    response.delete_cookie(SESSION_COOKIE)
    return response


@get("/set-up/{code:str}", include_in_schema=False)
async def set_up_page(code: FromPath[str], accounts: NamedDependency[Accounts]) -> Template:
    """The first administrator's page, from the link that the first start printed."""
    usable = await accounts.link_open(code, "administrator")
    return Template("set-up.html", context={"usable": usable, "problem": "", "login": "", "name": ""}, status_code=200 if usable else 409)


@post("/set-up/{code:str}", include_in_schema=False)
async def set_up(
    code: FromPath[str], data: Annotated[SetUpForm, Body(media_type=RequestEncodingType.URL_ENCODED)], accounts: NamedDependency[Accounts]
) -> Response[Any]:
    try:
        await accounts.set_up_administrator(code, data.login, data.name, data.password)
    except (BadInput, Conflict) as e:
        context = {"usable": not isinstance(e, LinkUsed), "problem": e.detail, "login": data.login[:100], "name": data.name[:200]}
        return Template("set-up.html", context=context, status_code=e.status)
    return Redirect("/sign-in?next=/admin", status_code=303)


@get("/pair/{code:str}", include_in_schema=False)
async def pair_page(code: FromPath[str], accounts: NamedDependency[Accounts]) -> Template:
    """Asks before pairing: a link that is merely looked at (a mail scanner, a preview) must not use the code up."""
    usable = await accounts.link_open(code, "pairing")
    return Template("pair.html", context={"usable": usable}, status_code=200 if usable else 409)


@post("/pair/{code:str}", include_in_schema=False)
async def pair(code: FromPath[str], accounts: NamedDependency[Accounts], settings: NamedDependency[Settings]) -> Redirect:
    token, _ = await accounts.pair(code)
    return Redirect("/kiosk", status_code=303, cookies=[session_cookie(STATION_COOKIE, token, settings, days=365)])


HANDLERS: list[Any] = [
    start, sign_in_page, sign_in, sign_out, set_up_page, set_up, pair_page, pair,
    *live.HANDLERS, *decode.HANDLERS, *kiosk.HANDLERS, *desk.HANDLERS, *hall.HANDLERS, *respond.HANDLERS, *admin.HANDLERS,
]

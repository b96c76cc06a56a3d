"""The kiosk's page: one for a paired station, with both languages and every screen in it."""

from __future__ import annotations

from typing import Any

from litestar import get
from litestar.di import NamedDependency
from litestar.response import Template

from visitor.accounts.service import Accounts
from visitor.policies.service import Policies
from visitor.security import Principal
from visitor.sites.service import Sites
from visitor.web.words import KIOSK


@get("/kiosk", include_in_schema=False)
async def kiosk(
    principal: NamedDependency[Principal], sites: NamedDependency[Sites], accounts: NamedDependency[Accounts],
    policies: NamedDependency[Policies],
) -> Template:
    return Template("kiosk/kiosk.html", context=await _context(principal, sites, accounts, policies))


@get("/kiosk/choices", include_in_schema=False)
async def choices(
    principal: NamedDependency[Principal], sites: NamedDependency[Sites], accounts: NamedDependency[Accounts],
    policies: NamedDependency[Policies],
) -> Template:
    """Purposes, hosts and the school's state, fetched again whenever one of them changed."""
    return Template("kiosk/choices.html", context=await _context(principal, sites, accounts, policies))


async def _context(principal: Principal, sites: Sites, accounts: Accounts, policies: Policies) -> dict[str, Any]:
    station = sites.station(principal.id)
    hosts = [h for h in await accounts.staff(station.site_id) if h.may_host]
    return {
        "station": station, "site": sites.site(station.site_id), "state": sites.state(station.site_id), "words": KIOSK,
        "purposes": (await policies.current()).purposes, "hosts": hosts,
    }


HANDLERS: list[Any] = [kiosk, choices]

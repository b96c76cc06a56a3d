"""What every page begins with: the services it composes, which school it is about, what state the school is in."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from visitor.accounts.service import Accounts
from visitor.badges.service import Badges
from visitor.doors.service import Doors
from visitor.emergency.service import Emergency
from visitor.errors import NotFound
from visitor.escorts.service import Escorts
from visitor.hall.service import Hall
from visitor.people.service import People
from visitor.policies.service import Policies
from visitor.registries.service import Registries
from visitor.security import Principal, Role
from visitor.sites.models import Site
from visitor.sites.service import Sites
from visitor.visits.service import Visits
from visitor.visits.views import Views


class Faces(msgspec.Struct, frozen=True):
    """The services that the pages compose, gathered once by the wiring so that a page's handler asks for one thing."""

    sites: Sites
    accounts: Accounts
    people: People
    registries: Registries
    policies: Policies
    badges: Badges
    escorts: Escorts
    visits: Visits
    views: Views
    hall: Hall
    doors: Doors
    emergency: Emergency

    def schools(self, principal: Principal, *roles: Role) -> list[Site]:
        """The schools at which the caller has one of `roles`, by name."""
        mine = principal.sites(*roles)
        return [s for s in self.sites.schools() if mine is None or s.id in mine]

    def school(self, principal: Principal, asked: UUID | None, *roles: Role) -> Site:
        """The school a page is about: the one asked for, else the caller's first. Raises NotFound, Forbidden."""
        if asked is not None:
            site = self.sites.site(asked)
            principal.require(site.id, *roles)
            return site
        mine = self.schools(principal, *roles)
        if not mine:
            raise NotFound("No school is set up for you yet. Ask the administrator.")
        return mine[0]

    def context(self, principal: Principal, site: Site, *roles: Role, **more: Any) -> dict[str, Any]:
        """A page's common context: `site`, `schools` to change to, `zone` for times, `state`, `me`, `csrf`."""
        return {
            "site": site, "schools": self.schools(principal, *roles), "zone": site.zone_info, "state": self.sites.state(site.id),
            "me": principal.name, "roles": principal.roles, "csrf": principal.csrf, **more,
        }

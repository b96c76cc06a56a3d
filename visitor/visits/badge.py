"""What a visit's badge says, asked when the badge is drawn: the print job itself holds only ids."""

from __future__ import annotations

from uuid import UUID

from printers import Category
from visitor import db
from visitor.accounts.service import Accounts
from visitor.badges.models import BadgeContent
from visitor.errors import NotFound
from visitor.people.service import People
from visitor.policies.service import Policies
from visitor.sites.service import Sites
from visitor.visits import store

# Purpose → the shape that hall staff know from afar; a purpose of the district's own is a visitor.
CATEGORIES: dict[str, Category] = {category.value: category for category in Category}


class BadgeContents:
    def __init__(self, database: db.Database, sites: Sites, accounts: Accounts, people: People, policies: Policies) -> None:
        self._db = database
        self._sites = sites
        self._accounts = accounts
        self._people = people
        self._policies = policies

    async def of(self, site_id: UUID, visit_id: UUID) -> BadgeContent:
        """Raises NotFound for a visit that is not this site's."""
        async with self._db.connection() as conn:
            visit = await store.visit(conn, visit_id)
        if visit is None or visit.site_id != site_id:
            raise NotFound("There is no such visit at this school.")
        person = await self._people.person(site_id, visit.person_id)
        host = place = ""
        if visit.host_id is not None:
            try:
                member = await self._accounts.staff_member(visit.host_id)
                host, place = member.name, member.place
            except NotFound:
                host = ""
        purpose = (await self._policies.version(visit.policy_id)).purpose(visit.purpose)
        return BadgeContent(
            name=person.name, host=f"{host}, {place}" if host and place else host, zones=tuple(self._sites.zone_names(visit.zones)),
            escort=visit.escort_required, purpose=purpose.label_en if purpose else visit.purpose,
            category=CATEGORIES.get(visit.purpose, Category.VISITOR), category_label=purpose.label_en if purpose else "",
            photo=await self._people.photo(site_id, visit.person_id),
        )

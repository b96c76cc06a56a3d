"""A month of past visits of invented people, so that a newcomer sees boards and reports as they look in use."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from visitor.app import Node
from visitor.ids import new_id
from visitor.people.models import PersonFacts
from visitor.sites.models import Site
from watchlists.testing import subjects

DAYS, PEOPLE, A_DAY = 30, 140, 24
_WEIGHTS = {"meeting": 38, "pickup": 30, "volunteer": 14, "delivery": 10, "contractor": 8}


async def make(node: Node, seed: int = 7) -> int:
    """Write past visits of every school, all ended; returns how many. One transaction, so a cut-short start leaves none."""
    chance = random.Random(seed)
    policy = await node.policies.current()
    minutes = {p.key: p.minutes for p in policy.purposes}
    rows: list[tuple[Any, ...]] = []
    screenings: list[tuple[Any, ...]] = []
    async with node.db.transaction() as tx:
        for number, site in enumerate(node.sites.schools()):
            people = await _people(node, tx, site, seed * 100 + number)
            hosts = [s.id for s in await node.accounts.staff(site.id)]
            station = next(s for s in node.sites.stations(site.id) if s.kind == "kiosk")
            zones = node.sites.zones_named(site.id, ["Office", "Main building"])
            for began in _times(chance, site):
                purpose = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
                ended = min(began + timedelta(minutes=chance.randrange(5, minutes[purpose])), began.replace(hour=23, minute=50))
                visit_id, refused = new_id(), chance.random() < 0.012
                status = "refused" if refused else "presumed_left" if chance.random() < 0.03 else "checked_out"
                rows.append(
                    (
                        site.id, visit_id, chance.choice(people), station.id, chance.choice(hosts), purpose, policy.id, status,
                        {"kind": "driver_license", "issuer": "TX", "verification": "none", "warnings": [], "expiry_date": None},
                        zones, purpose == "contractor", began, began + timedelta(minutes=minutes[purpose]), began, "system",
                        "refused by the front office" if refused else "cleared by policy", ended, "system",
                    )
                )
                screenings.append((site.id, new_id(), visit_id, "clear", {}, [], began))
        await tx.conn.executemany(
            "insert into visits (site_id, id, person_id, station_id, host_id, purpose, policy_id, status, document, zones, escort_required,"
            " checked_in_at, valid_until, decided_at, decided_by, decision_reason, ended_at, ended_by)"
            " values ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18)",
            rows,
        )
        await tx.conn.executemany(
            "insert into screenings (site_id, id, visit_id, outcome, revisions, matches, screened_at) values ($1,$2,$3,$4,$5,$6,$7)",
            screenings,
        )
    return len(rows)


async def _people(node: Node, tx: Any, site: Site, seed: int) -> list[UUID]:
    made = []
    for number, subject in enumerate(subjects(PEOPLE, seed=seed)):
        facts = PersonFacts(
            family_name=subject.name.family, given_name=subject.name.given, middle_names=subject.name.middle, birth_date=subject.birth_date,
            sex=subject.sex, document_issuer="TX", document_number=f"DEMO{seed:04d}{number:05d}",
        )
        made.append((await node.people.find_or_make(tx, site.id, facts, None)).id)
    return made


def _times(chance: random.Random, site: Site) -> list[datetime]:
    """Arrivals of past school days, with the rush at 8:05 and at the end of school."""
    found = []
    today = datetime.now(UTC).astimezone(site.zone_info).date()
    for back in range(1, DAYS + 1):
        day: date = today - timedelta(days=back)
        if day.weekday() >= 5:
            continue
        for _ in range(chance.randrange(A_DAY - 8, A_DAY + 8)):
            hour = chance.choices((8, 9, 10, 11, 12, 13, 14, 15), (30, 10, 8, 8, 8, 8, 18, 10))[0]
            minute = chance.randrange(0, 25) if hour == 8 else chance.randrange(60)
            found.append(datetime.combine(day, time(hour, minute, chance.randrange(60)), site.zone_info).astimezone(UTC))
    return sorted(found)

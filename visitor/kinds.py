"""Every table's kind: who writes it and where its rows flow (one place, held against the catalogue by a test).

| kind | written | flows |
|---|---|---|
| hub | at the hub | to all sites |
| site | at one site | to the hub |
| shared | at one site | through the hub to the other sites |
| local | on one node | nowhere |
"""

from __future__ import annotations

from typing import Literal

Kind = Literal["hub", "site", "shared", "local"]

TABLES: dict[str, Kind] = {
    "sites": "hub",
    "zones": "hub",
    "printers": "hub",
    "stations": "hub",
    "doors": "hub",
    "accounts": "hub",
    "account_roles": "hub",
    "staff": "hub",
    "agencies": "hub",
    "officers": "hub",
    "standing_credentials": "hub",
    "signing_keys": "hub",
    "policies": "hub",
    "watchlists": "hub",
    "watchlist_revisions": "hub",
    "watchlist_entries": "hub",
    "people": "site",
    "visits": "site",
    "screenings": "site",
    "badges": "site",
    "credentials": "site",
    "escorts": "site",
    "door_events": "site",
    "badge_checks": "site",
    "challenges": "site",
    "incidents": "site",
    "site_states": "site",
    "audit": "site",
    "barred_entries": "shared",
    "custody_orders": "shared",
    "clearances": "shared",
    "endings": "shared",
    "node": "local",
    "sessions": "local",
    "device_pairings": "local",
    "api_tokens": "local",
    "setup_links": "local",
    "idempotency_keys": "local",
    "print_jobs": "local",
    "print_lines": "local",
    "schema_migrations": "local",
}


def of(table: str) -> Kind:
    """The kind of a table; KeyError where none was declared."""
    return TABLES[table]

"""Rows between nodes, by PostgreSQL's own logical replication (≥ 16, for `origin`): no sync protocol of ours.

    hub → site   `hub_rows`            every hub-owned table, whole
    hub → site   `shared_for_<site>`   shared tables where site_id <> that site; subscribed with origin = any, so that what
                                       other sites wrote and the hub received is passed on
    site → hub   `site_rows`           site-owned and shared tables where site_id = this site; subscribed with origin = none

No row has two writers and no publication sends a row back to its writer, so nothing conflicts and nothing loops. What flows is
decided by a table's kind (kinds.py) and nothing else. Replication applies rows without checking foreign keys, which is why
those stay inside a kind or point to hub-owned rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from visitor import db, kinds


def tables(*wanted: kinds.Kind) -> list[str]:
    """The tables of these kinds, sorted."""
    return sorted(t for t, kind in kinds.TABLES.items() if kind in wanted)


def _publication(name: str, table_names: Iterable[str], where: str = "") -> str:
    clause = f" where ({where})" if where else ""
    return f"create publication {name} for table " + ", ".join(f"{t}{clause}" for t in table_names)


def _slug(site_id: UUID) -> str:
    return site_id.hex[-12:]


async def publish_as_hub(conn: db.Connection, sites: Iterable[UUID]) -> None:
    """At the hub: what every site receives, and for each site the shared rows of the others. Needs the owner's connection."""
    await conn.execute(_publication("hub_rows", tables("hub")))
    for site_id in sites:
        # A UUID's text holds hexadecimal digits and hyphens only: publications take no parameters.
        await conn.execute(_publication(f"shared_for_{_slug(site_id)}", tables("shared"), f"site_id <> '{site_id}'"))


async def publish_as_site(conn: db.Connection, site_id: UUID) -> None:
    """At a site: its own rows and no other's, whatever else it received."""
    await conn.execute(_publication("site_rows", tables("site", "shared"), f"site_id = '{site_id}'"))


async def subscribe_to_hub(conn: db.Connection, site_id: UUID, hub: str) -> None:
    """At a site: follow the hub, whose address is a libpq connection string."""
    slug = _slug(site_id)
    await conn.execute(
        f"create subscription hub_rows_at_{slug} connection '{_quoted(hub)}' publication hub_rows with (origin = none)"
    )
    await conn.execute(
        f"create subscription shared_at_{slug} connection '{_quoted(hub)}' publication shared_for_{slug} with (origin = any)"
    )


async def subscribe_to_site(conn: db.Connection, site_id: UUID, site: str) -> None:
    """At the hub: follow a site."""
    await conn.execute(
        f"create subscription site_rows_of_{_slug(site_id)} connection '{_quoted(site)}' publication site_rows with (origin = none)"
    )


def _quoted(text: str) -> str:
    return text.replace("'", "''")

"""The one table of route × role. A route that is not here answers nobody; a test walks every row.

PUBLIC needs nobody known. `station` is a paired device (kiosk, desk screen, exit), `doors` a door controller's token.
Roles hold at the sites they were granted for; the services check the site (`Principal.require`).
"""

from __future__ import annotations

from typing import Final

from visitor.security import Role

PUBLIC: Final[frozenset[Role]] = frozenset()
_NOBODY: Final[frozenset[Role]] = frozenset({"nobody"})  # type: ignore[arg-type]  # a role that is never granted

DESK: Final[frozenset[Role]] = frozenset({"desk", "admin"})
STAFF: Final[frozenset[Role]] = frozenset({"desk", "hall", "admin"})
HALL: Final[frozenset[Role]] = frozenset({"hall", "desk", "respond", "admin"})
RESPOND: Final[frozenset[Role]] = frozenset({"respond", "desk", "admin"})
EVERY_ROLE: Final[frozenset[Role]] = frozenset({"desk", "hall", "respond", "admin"})
STATION: Final[frozenset[Role]] = frozenset({"station", "desk", "admin"})
ADMIN: Final[frozenset[Role]] = frozenset({"admin"})
DOORS: Final[frozenset[Role]] = frozenset({"doors"})

TABLE: dict[tuple[str, str], frozenset[Role]] = {
    # ── the ground ───────────────────────────────────────────────────────────────────────────────────────────
    ("GET", "/"): PUBLIC,
    ("GET", "/health"): PUBLIC,
    ("GET", "/metrics"): ADMIN,
    ("GET", "/schema/openapi.json"): PUBLIC,
    ("GET", "/static/{file_path}"): PUBLIC,
    ("GET", "/sign-in"): PUBLIC,
    ("POST", "/sign-in"): PUBLIC,
    ("POST", "/sign-out"): EVERY_ROLE,
    ("GET", "/set-up/{code}"): PUBLIC,
    ("POST", "/set-up/{code}"): PUBLIC,
    ("GET", "/pair/{code}"): PUBLIC,
    ("POST", "/pair/{code}"): PUBLIC,
    # ── visits ───────────────────────────────────────────────────────────────────────────────────────────────
    ("POST", "/api/v1/check-ins"): STATION,
    ("POST", "/api/v1/check-outs"): STATION,
    ("GET", "/api/v1/stations/{station_id}/readings/{reading_id}"): STATION,
    ("GET", "/api/v1/visits"): DESK,
    ("GET", "/api/v1/visits/{visit_id}"): STATION,
    ("GET", "/api/v1/visits/{visit_id}/photo"): EVERY_ROLE,
    ("POST", "/api/v1/visits/{visit_id}/approve"): DESK,
    ("POST", "/api/v1/visits/{visit_id}/refuse"): DESK,
    ("POST", "/api/v1/visits/{visit_id}/cancel"): DESK,
    ("POST", "/api/v1/visits/{visit_id}/remove"): DESK,
    ("POST", "/api/v1/visits/{visit_id}/escort/accept"): STAFF,
    ("POST", "/api/v1/visits/{visit_id}/escort/hand-over"): STAFF,
    ("POST", "/api/v1/visits/{visit_id}/check-out"): STATION,
    # ── lists, screening, purposes ───────────────────────────────────────────────────────────────────────────
    ("GET", "/api/v1/purposes"): EVERY_ROLE | {"station"},
    ("PUT", "/api/v1/purposes"): ADMIN,
    ("GET", "/api/v1/watchlists"): DESK,
    ("PUT", "/api/v1/watchlists/{name}"): ADMIN,
    ("POST", "/api/v1/watchlists/{name}/retire"): ADMIN,
    ("POST", "/api/v1/watchlists/{name}/imports"): ADMIN,
    ("POST", "/api/v1/watchlists/{name}/imports/preview"): ADMIN,
    ("GET", "/api/v1/barred-entries"): DESK,
    ("POST", "/api/v1/barred-entries"): DESK,
    ("POST", "/api/v1/barred-entries/{entry_id}/lift"): DESK,
    ("GET", "/api/v1/custody-orders"): DESK,
    ("POST", "/api/v1/custody-orders"): DESK,
    ("POST", "/api/v1/custody-orders/{entry_id}/lift"): DESK,
    ("POST", "/api/v1/screenings/{screening_id}/decision"): DESK,
    ("POST", "/api/v1/clearances/{clearance_id}/revoke"): DESK,
    # ── cards ────────────────────────────────────────────────────────────────────────────────────────────────
    ("GET", "/api/v1/cards"): ADMIN,
    ("POST", "/api/v1/cards"): ADMIN,
    ("POST", "/api/v1/cards/{card_id}/revoke"): ADMIN,
    # ── badges and printers ──────────────────────────────────────────────────────────────────────────────────
    ("GET", "/api/v1/visits/{visit_id}/badge.png"): DESK,
    ("POST", "/api/v1/visits/{visit_id}/badge/reprint"): DESK,
    ("GET", "/api/v1/sites/{site_id}/printers"): DESK,
    ("GET", "/api/v1/sites/{site_id}/print-jobs"): DESK,
    ("POST", "/api/v1/printers/{printer_id}/hold"): DESK,
    ("POST", "/api/v1/printers/{printer_id}/resume"): DESK,
    ("POST", "/api/v1/printers/{printer_id}/use"): DESK,
    ("POST", "/api/v1/print-jobs/{job_id}/settle"): DESK,
    ("POST", "/api/v1/print-jobs/{job_id}/cancel"): DESK,
    ("POST", "/api/v1/print-jobs/{job_id}/again"): DESK,
    # ── doors ────────────────────────────────────────────────────────────────────────────────────────────────
    ("POST", "/api/v1/doors/{door_id}/taps"): DOORS,
    ("GET", "/api/v1/doors"): EVERY_ROLE,
    ("GET", "/api/v1/door-events"): RESPOND,
    ("PUT", "/api/v1/doors/{door_id}/reader"): ADMIN,
    # ── hall ─────────────────────────────────────────────────────────────────────────────────────────────────
    ("POST", "/api/v1/badge-checks"): HALL,
    ("POST", "/api/v1/challenges"): HALL,
    ("GET", "/api/v1/challenges"): HALL,
    ("POST", "/api/v1/challenges/{challenge_id}/close"): RESPOND,
    # ── emergency ────────────────────────────────────────────────────────────────────────────────────────────
    ("POST", "/api/v1/incidents"): EVERY_ROLE | {"station"},
    ("GET", "/api/v1/incidents"): EVERY_ROLE,
    ("GET", "/api/v1/incidents/{incident_id}"): RESPOND,
    ("POST", "/api/v1/incidents/{incident_id}/state"): EVERY_ROLE,
    ("POST", "/api/v1/incidents/{incident_id}/resolve"): RESPOND,
    ("POST", "/api/v1/officers/{officer_id}/emergency-credential"): frozenset({"respond", "admin"}),
    ("POST", "/api/v1/incidents/{incident_id}/credentials/{credential_id}/end"): RESPOND,
    ("GET", "/api/v1/sites/{site_id}/on-site"): RESPOND,
    # ── pages and what they listen to ────────────────────────────────────────────────────────────────────────
    ("GET", "/api/v1/sites/{site_id}/events"): EVERY_ROLE,
    ("GET", "/api/v1/stations/{station_id}/events"): STATION,
    ("POST", "/api/v1/decode"): STATION | EVERY_ROLE,
    ("GET", "/kiosk"): frozenset({"station"}),
    ("GET", "/kiosk/choices"): frozenset({"station"}),
    ("GET", "/desk"): DESK,
    ("GET", "/desk/board"): DESK,
    ("GET", "/desk/summary"): DESK,
    ("GET", "/desk/banner"): DESK,
    ("GET", "/desk/nothing"): DESK,
    ("GET", "/desk/visits/{visit_id}"): DESK,
    ("GET", "/desk/printers"): DESK,
    ("GET", "/desk/incident"): DESK,
    ("POST", "/desk/find"): DESK,
    ("GET", "/hall"): HALL,
    ("GET", "/hall/requests"): HALL,
    ("GET", "/respond"): RESPOND,
    ("GET", "/respond/board"): RESPOND,
    ("GET", "/admin"): ADMIN,
    ("GET", "/admin/lists"): ADMIN,
    ("GET", "/admin/purposes"): ADMIN,
    ("GET", "/admin/devices"): ADMIN,
    ("POST", "/admin/stations/{station_id}/pairing"): ADMIN,
    ("GET", "/admin/people"): ADMIN,
    ("GET", "/admin/audit"): ADMIN,
    ("GET", "/admin/export/{what}"): ADMIN,
    ("POST", "/respond/credential"): frozenset({"respond", "admin"}),
    # ── the demo's bench: on loopback only, and guarded by its own address check ───────────────────────────────
    ("GET", "/bench"): PUBLIC,
    ("GET", "/bench/state"): PUBLIC,
    ("GET", "/bench/sample/{key}"): PUBLIC,
    ("GET", "/bench/printed/{number}/{count}"): PUBLIC,
    ("GET", "/bench/open/{face}"): PUBLIC,
    ("POST", "/bench/scan"): PUBLIC,
    ("POST", "/bench/station"): PUBLIC,
    ("POST", "/bench/printer/{number}"): PUBLIC,
    ("POST", "/bench/tap"): PUBLIC,
    ("POST", "/bench/panic"): PUBLIC,
}


def allowed(method: str, template: str) -> frozenset[Role]:
    """The roles that may use a route; PUBLIC (by identity) for everybody, an empty set for nobody."""
    if method == "HEAD":
        method = "GET"
    return TABLE.get((method, template), _NOBODY)

"""What Prometheus reads at /metrics. Labels are codes and site-free counts: no names, no ids."""

from __future__ import annotations

from litestar import Response, get
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

CHECK_INS = Counter("visitor_check_ins_total", "Check-ins by first outcome", ["outcome"])
SCREENINGS = Counter("visitor_screenings_total", "Screenings by outcome", ["outcome"])
SCREEN_SECONDS = Histogram(
    "visitor_screening_seconds", "Time to screen one visitor", buckets=(0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 3)
)
PRINTS = Counter("visitor_badges_printed_total", "Print jobs by end", ["outcome"])
PRINT_AGE = Gauge("visitor_print_queue_oldest_seconds", "Age of the oldest waiting print job")
TAPS = Counter("visitor_door_taps_total", "Door taps by verdict", ["verdict"])
TAP_SECONDS = Histogram(
    "visitor_door_tap_seconds", "From a tap to its decision being on disk", buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.2, 1)
)
DOOR_READERS = Gauge("visitor_door_readers", "Door readers by state as this process sees them", ["state"])
JOURNAL_WAITING = Gauge("visitor_door_journal_bytes", "Door events on this machine's disk that PostgreSQL does not have yet")
BADGE_CHECKS = Counter("visitor_badge_checks_total", "Badge checks in the hall by verdict", ["verdict"])
CHALLENGES = Counter("visitor_challenges_total", "Reports of people without a badge")
INCIDENTS = Counter("visitor_incidents_total", "Incidents declared", ["kind"])
LIST_AGE = Gauge("visitor_watchlist_age_seconds", "Age of the revision in force", ["list"])


@get("/metrics", sync_to_thread=False, tags=["operations"])
def metrics() -> Response[bytes]:
    """Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

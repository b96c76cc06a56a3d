"""Visits: the journey from a scan to a check-out. Composes people, screening, policies, badges, credentials and escorts."""

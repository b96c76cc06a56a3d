"""Incidents: declared and resolved in one transaction each; officers' emergency credentials; who is on site."""

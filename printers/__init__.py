"""Badges out; usable without the service."""

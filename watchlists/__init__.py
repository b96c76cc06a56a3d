"""Registries and matching; usable without the service."""

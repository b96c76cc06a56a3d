"""Registries: the lists that visitors are screened against, imported as revisions, indexed aside, exchanged in service."""

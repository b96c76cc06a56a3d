"""Credentials: what opens doors. Visit and emergency credentials, and the cards that staff and officers carry always."""

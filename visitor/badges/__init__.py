"""Badges: numbered, signed, printed once, void when a visit ends or another is printed; the printers' lines and their states."""

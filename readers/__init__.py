"""Identity and door hardware in; usable without the service."""

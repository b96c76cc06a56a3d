"""Accounts: who signs in, machines' tokens, paired stations, and the district's staff and officers."""

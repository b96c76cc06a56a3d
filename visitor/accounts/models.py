"""Accounts, staff and officers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

AccountRole = Literal["desk", "hall", "respond", "admin"]
TokenRole = Literal["desk", "hall", "respond", "admin", "doors"]


class Account(msgspec.Struct, frozen=True):
    id: UUID
    login: str
    name: str
    password_hash: str


class Staff(msgspec.Struct, frozen=True):
    """A member of a school's staff: whom visitors come to see, and who may escort them."""

    id: UUID
    site_id: UUID
    account_id: UUID | None
    name: str
    title: str
    place: str
    may_host: bool
    may_escort: bool


class Agency(msgspec.Struct, frozen=True):
    id: UUID
    name: str


class Officer(msgspec.Struct, frozen=True):
    id: UUID
    agency_id: UUID
    account_id: UUID | None
    name: str
    badge_number: str
    agency: str


class Session(msgspec.Struct, frozen=True):
    account_id: UUID
    name: str
    csrf: str
    authenticated_at: datetime
    expires_at: datetime


def password_problem(password: str, login: str) -> str:
    """Why a password will not do, or "" (NIST SP 800-63B §3.1.1.2: length counts, composition rules do not)."""
    if len(password) < 10:
        return "Use at least 10 characters. A sentence is easy to remember and hard to guess."
    if len(password) > 200:
        return "Use at most 200 characters."
    if password.lower() in (login.lower(), "visitor1234", "1234567890", "password12", "passwordpassword"):
        return "That password is easy to guess. Use a sentence of your own."
    return ""

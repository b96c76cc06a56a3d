"""Identity and door hardware in; usable without the service."""

from .aamva import parse_aamva
from .document import (
    Address,
    BadgeToken,
    CardNumber,
    DocumentWarning,
    IdDocument,
    InvitationToken,
    Reading,
)
from .errors import (
    ApduError,
    CardError,
    CardRejected,
    CardRemoved,
    ConfigError,
    DocumentError,
    ImageError,
    ReaderError,
    ReaderLost,
    ReaderUnavailable,
)
from .mrz import parse_mrz
from .recognize import parse

__all__ = [
    "Address",
    "ApduError",
    "BadgeToken",
    "CardError",
    "CardNumber",
    "CardRejected",
    "CardRemoved",
    "ConfigError",
    "DocumentError",
    "DocumentWarning",
    "IdDocument",
    "ImageError",
    "InvitationToken",
    "ReaderError",
    "ReaderLost",
    "ReaderUnavailable",
    "Reading",
    "parse",
    "parse_aamva",
    "parse_mrz",
]

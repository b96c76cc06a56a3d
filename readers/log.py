"""The TRAFFIC log level: raw bytes of devices, below DEBUG, redacted unless somebody insists.

``logging.getLogger("readers").setLevel(TRAFFIC)`` shows lengths and directions. Contents are shown only for the first
bytes that carry no personal data (an APDU's header, a status word).
"""

from __future__ import annotations

import logging

__all__ = ["TRAFFIC", "log_traffic", "logger"]

TRAFFIC = 5
logging.addLevelName(TRAFFIC, "TRAFFIC")
logger = logging.getLogger("readers")


def log_traffic(device: str, direction: str, data: bytes, shown: int = 0) -> None:
    """Log that ``data`` passed; only its first ``shown`` bytes, which the caller knows to be harmless, in the clear."""
    if logger.isEnabledFor(TRAFFIC):
        head = data[:shown].hex(" ")
        logger.log(TRAFFIC, "%s %s %s%d bytes", device, direction, f"{head} … " if head else "", len(data))

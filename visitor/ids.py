"""UUIDv7 keys (RFC 9562 §5.7), made here because Python has them only from 3.14.

Time-ordered, so that primary keys stay local in the index, and unique across nodes without a sequence.
"""

from __future__ import annotations

import secrets
import threading
import time
from uuid import UUID

_lock = threading.Lock()
_last = 0


def new_id() -> UUID:
    """A UUIDv7, strictly increasing within this process (RFC 9562 §6.2, method 3: sub-millisecond fraction)."""
    global _last
    with _lock:
        # 48 bits of milliseconds and 12 bits of fraction: about 244 ns a step.
        now = time.time_ns() * 4096 // 1_000_000
        _last = now = max(now, _last + 1)
    value = (now >> 12) << 80 | 0x7 << 76 | (now & 0xFFF) << 64 | 0b10 << 62 | secrets.randbits(62)
    return UUID(int=value)

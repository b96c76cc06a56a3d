"""The printing part of a node, that kills its own process (SIGKILL) at a named step of a job; run by test_print_faults.py.

    python print_worker.py DATABASE_URL KEY_FILE STEP

STEP "none" prints on until it is ended from outside. A line "printing" on standard output says that it has begun.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[2]))

from printers import NetworkTransport, Policy, Timeouts, Transport
from visitor.badges.drawing import Drawing
from visitor.badges.jobs import PgJobStore
from visitor.badges.models import BadgeContent
from visitor.badges.service import Badges
from visitor.badges.worker import PrintWorker
from visitor.credentials.service import Credentials
from visitor.db import Database
from visitor.events import EventBus
from visitor.keys import KeyRing
from visitor.sites.service import Sites

QUICK = Policy(poll=0.1, ask_idle=1.0, back_off=0.05, back_off_most=0.2)


def reach(step: str) -> None:
    if step == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)


class Store(PgJobStore):
    async def claim(self, printer: str, worker: str, lease: float) -> Any:
        found = await super().claim(printer, worker, lease)
        if found is not None:
            reach("claimed")
        return found

    async def sending(self, job_id: str, worker: str, lease: float) -> None:
        reach("before sending is noted")
        await super().sending(job_id, worker, lease)
        reach("sending is noted")

    async def finish(self, job_id: str, worker: str, state: Any, **more: Any) -> None:
        reach("before the outcome is noted")
        await super().finish(job_id, worker, state, **more)
        reach("the outcome is noted")


class Slowly(NetworkTransport):
    """Reaches its steps within a job; the bytes before a step have left this machine when it is reached."""

    async def _prepare(self, wire: Any) -> None:
        reach("connected")
        await super()._prepare(wire)

    async def _write(self, wire: Any, data: bytes) -> None:
        half = len(data) // 2
        await super()._write(wire, data[:half])
        reach("half is sent")
        await super()._write(wire, data[half:])
        reach("all is sent")


def transport_for(address: str, profile: str) -> Transport:
    parts = urlsplit(address)
    assert parts.hostname and parts.port
    return Slowly(parts.hostname, parts.port, profile=profile, timeouts=Timeouts(answer=30.0))


async def content(site_id: Any, visit_id: Any) -> BadgeContent:
    reach("drawing")
    return BadgeContent(name="María García-Núñez", host="Ms. Brandt", purpose="Meeting")


async def main() -> None:
    url, key_file = sys.argv[1:3]
    database = await Database.connect(url, origin="another")
    bus, keys = EventBus(database), KeyRing.load(Path(key_file))
    sites = Sites(database, bus)
    badges = Badges(database, bus, keys, sites, Credentials(database, keys), transport_for, Drawing(workers=1))
    badges.content_of = content
    worker = PrintWorker(database, bus, sites, badges.produce, transport_for, policy=QUICK, failover_after=None)
    worker._store = Store(database)
    await sites.load()
    await bus.start()
    await worker.start()
    while not worker.printing:
        await asyncio.sleep(0.01)
    print("printing", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())

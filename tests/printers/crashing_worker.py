"""A spool over a file store that kills its own process (SIGKILL) at a named step of a job; run by test_crash.py.

    python crashing_worker.py STORE PORT STEP [NTH]

STEP "none" prints all there is and ends. NTH: at the how manieth time the step is reached.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from jobkit import PATIENT, strip  # noqa: E402  found by the line above

from printers import FileJobStore, Job, NetworkTransport, Policy, Printer, Spool, State  # noqa: E402

STORE, PORT, STEP = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
left = int(sys.argv[4]) if len(sys.argv) > 4 else 1


def reach(step: str) -> None:
    global left
    if step == STEP:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Store(FileJobStore):
    async def claim(self, printer, worker, lease):
        found = await super().claim(printer, worker, lease)
        if found is not None:
            reach("claimed")
        return found

    async def sending(self, job_id, worker, lease):
        reach("before sending is noted")
        await super().sending(job_id, worker, lease)
        reach("sending is noted")

    async def finish(self, job_id, worker, state, **more):
        reach("before the outcome is noted")
        await super().finish(job_id, worker, state, **more)
        reach("the outcome is noted")

    def _append(self, line):
        if STEP == "half a line is written" and b'"sending"' in line:
            if left == 1:
                self._file.write(line[: len(line) // 2])
                self._file.flush()
            reach("half a line is written")
        super()._append(line)


class Transport(NetworkTransport):
    async def _prepare(self, wire):
        reach("connected")
        await super()._prepare(wire)

    async def _write(self, wire, data):
        half = len(data) // 2
        await super()._write(wire, data[:half])
        reach("half is sent")
        await super()._write(wire, data[half:])
        reach("all is sent")

    async def _finish(self, wire, total, waiting):
        receipt = await super()._finish(wire, total, waiting)
        reach("the printer has confirmed")
        return receipt


async def draw(job: Job, printer: Printer) -> bytes:
    reach("drawing")
    return strip(int(job.ref), rows=200)


async def main() -> None:
    store = Store(STORE)
    transport = Transport("127.0.0.1", PORT, profile="epson-tm", timeouts=PATIENT)
    desk = Printer(name="desk", title="Front desk", transport=transport)
    spool = Spool(store, [desk], draw, worker="one", policy=Policy(poll=0.02, back_off=0.02))
    running = asyncio.create_task(spool.run())
    while await store.waiting("desk"):
        await asyncio.sleep(0.01)
    spool.stop()
    await running
    for job in await store.jobs():
        assert job.state in (State.PRINTED, State.DOUBTFUL), job
        print(job.ref, job.state)
    store.close()


asyncio.run(main())

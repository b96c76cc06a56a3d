"""Doors when PostgreSQL is killed and when the service is: open for whom they should be, and nothing lost or doubled."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.door_school import School
from tests.processes import free_port
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]


def _lives(pid: str) -> bool:
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_doors_work_on_while_postgresql_is_dead_and_tell_it_everything_afterwards(tmp_path: Path) -> None:
    from visitor import db
    from visitor.app import create_app, running_node
    from visitor.keys import KeyRing
    from visitor.postgres import EmbeddedPostgres
    from visitor.settings import Settings

    folder = tmp_path / "pg"
    folder.mkdir()
    for parent in (folder, *tmp_path.parents[:3], tmp_path):
        if parent != Path("/tmp"):
            parent.chmod(0o755)
    server = EmbeddedPostgres(folder)
    await server.start()
    try:
        await db.migrate(server.owner_url())
        async with running_node(Settings(data=tmp_path / "data"), server.app_url(), KeyRing.new()) as node:
            transport = httpx.ASGITransport(app=create_app(node))  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://visitor.test", timeout=30) as client:
                school = await School(node, client).build()
                visit = await school.visit(zones=["Office"])
                path = f"/api/v1/doors/{school.office_door.id}/taps"
                assert (await school.post(path, {"token": visit.token}, role="doors")).json()["verdict"] == "granted"
                await school.drained()

                postmaster = server._running_pid() or 0
                backends = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
                os.kill(postmaster, signal.SIGKILL)
                # Its processes go one after the other: one that has not noticed yet would still answer.
                await until(lambda: not any(_lives(pid) for pid in backends) and not node.bus.listening)
                for _ in range(3):
                    answer = await school.post(path, {"token": visit.token}, role="doors")
                    assert answer.status_code == 200 and answer.json()["verdict"] == "granted"
                assert (await client.get("/health")).status_code == 503
                assert (await school.get(f"/api/v1/doors?site={school.site.id}", role="desk")).status_code == 503
                assert node.doors.journal.waiting > 0

                await server.start()
                await until(lambda: node.bus.listening and not node.doors.journal.waiting, 180)
                async with node.db.connection() as conn:
                    assert await conn.fetchval("select count(*) from door_events where verdict = 'granted'") == 4
                await school.end(visit)
                assert (await school.post(path, {"token": visit.token}, role="doors")).json()["reason"] == "ended"
    finally:
        server.stop()


async def test_every_tap_answered_before_kill_9_is_in_the_record_once(
    school: Any, postgres: Any, database_name: str, tmp_path: Path
) -> None:
    """A whole `visitor run` is killed amid taps, and started again on the same folder."""
    node = school.node
    visit = await school.visit(zones=["Office"])
    node.keys.save(tmp_path / "keys.json")
    port = free_port()
    environment = {
        **os.environ, "VISITOR_KEYS": str(tmp_path / "keys.json"), "VISITOR_DATABASE_URL": postgres.app_url(database_name),
        "VISITOR_DATABASE_OWNER_URL": postgres.owner_url(database_name),
    }

    async def start() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "visitor.cli", "run", "--data", str(tmp_path / "run"), "--port", str(port), cwd=ROOT,
            env=environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )

    headers = {"authorization": f"Bearer {school.tokens['doors']}"}
    path = f"/api/v1/doors/{school.office_door.id}/taps"
    answered: Counter[str] = Counter()
    process = await start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as http:
            await _up(http)

            async def taps(token: str) -> None:
                while True:
                    try:
                        answer = await http.post(path, json={"token": token})
                    except httpx.HTTPError:
                        return
                    assert answer.status_code == 200, answer.text
                    answered[answer.json()["reason"]] += 1

            running = [asyncio.create_task(taps(t)) for t in (visit.token, visit.token, "nonsense", "nonsense")]
            await until(lambda: sum(answered.values()) >= 60, 180)
            process.kill()
            await process.wait()
            await asyncio.gather(*running)
        process = await start()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as http:
            await _up(http)
            rows: Counter[str] = Counter()
            logged = 0

            async def everything_is_there() -> bool:
                nonlocal rows, logged
                # At one moment: what was kept and not answered may still be on its way.
                async with node.db.connection() as conn, conn.transaction(isolation="repeatable_read"):
                    rows = Counter({r["reason"]: r["n"] for r in await conn.fetch("select reason, count(*) n from door_events group by 1")})
                    logged = await conn.fetchval("select count(*) from audit where action like 'door.%'")
                return not answered - rows

            await until(everything_is_there, 180)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
    # At most the four taps in flight were kept and not answered.
    assert not answered - rows and sum((rows - answered).values()) <= 4
    assert logged == sum(rows.values())


async def _up(http: httpx.AsyncClient) -> None:
    async def answers() -> bool:
        try:
            return (await http.get("/health")).status_code == 200
        except httpx.HTTPError:
            return False

    await until(answers, 180)


@pytest.fixture
async def school(node: Any, client: Any) -> School:
    return await School(node, client).build()

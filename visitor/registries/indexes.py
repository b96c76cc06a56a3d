"""Index files of this node, and the process aside that makes them.

    data/index/<revision id>.wli       the index of one revision
    data/index/work-…/                 what a running process is making; its lock is held as long as the process lives

All of it is private (0600 in 0700: an index holds names). Index files are a cache of what PostgreSQL holds: a missing or
damaged one is made again. A file is put in place before its revision is committed, so that the exchange needs only an
mmap; one whose revision never came to be, and what a killed process was making, are swept away at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import shutil
import sys
import time
from pathlib import Path
from uuid import UUID

import msgspec

import visitor
from visitor.registries.build import Job
from visitor.registries.models import ImportFailed, Staged
from watchlists import Index

_TIMEOUT_SECONDS = 3600.0
_SETTLED_SECONDS = 3600.0  # a file younger than this may belong to a revision that another process is about to commit
_ROOT = Path(visitor.__file__).parent.parent


class IndexFiles:
    def __init__(self, data: Path) -> None:
        self.folder = data / "index"
        self.work = self.folder / f"work-{os.getpid()}-{secrets.token_hex(4)}"
        self._lock: int | None = None

    def prepare(self) -> None:
        """Make this process's own folder, and clear away those of processes that are gone (a command may run beside the service)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        for left in self.folder.glob("work-*"):
            with contextlib.suppress(OSError):
                fd = os.open(left / "lock", os.O_RDWR | os.O_CREAT, 0o600)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(left)
                finally:
                    os.close(fd)
        # Locked before it has its name, so that nobody finds it unlocked.
        fresh = self.folder / f".{self.work.name}"
        fresh.mkdir(mode=0o700)
        self._lock = os.open(fresh / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        fresh.rename(self.work)

    def close(self) -> None:
        """Take the work folder away."""
        if self._lock is not None:
            shutil.rmtree(self.work, ignore_errors=True)
            os.close(self._lock)
            self._lock = None

    def sweep(self, keep: set[UUID]) -> None:
        """Delete index files of revisions that are not in force. What is mapped stays readable until it is let go."""
        names = {f"{one}.wli" for one in keep}
        for file in self.folder.glob("*.wli"):
            with contextlib.suppress(FileNotFoundError):
                if file.name not in names and time.time() - file.stat().st_mtime > _SETTLED_SECONDS:
                    file.unlink()

    def path(self, revision_id: UUID) -> Path:
        return self.folder / f"{revision_id}.wli"

    def part(self, what: str) -> Path:
        """A new name for something on its way."""
        return self.work / f"{secrets.token_hex(8)}.{what}"

    async def open(self, revision_id: UUID) -> Index:
        """Map a saved index. Raises watchlists.IndexFileError."""
        return await asyncio.to_thread(Index.open, self.path(revision_id))

    async def build(self, job: Job) -> Staged:
        """Run a job in a process of its own. Raises ImportFailed when the process does not come to an end."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "visitor.registries.build", env=environment,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            out, _ = await asyncio.wait_for(process.communicate(msgspec.json.encode(job)), _TIMEOUT_SECONDS)
        except TimeoutError:
            raise ImportFailed("Reading the list took longer than an hour and was stopped.") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode != 0:
            raise ImportFailed(f"The process that reads the list ended early (code {process.returncode}). Is there memory and disk enough?")
        return msgspec.json.decode(out, type=Staged)

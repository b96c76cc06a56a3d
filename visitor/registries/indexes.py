"""Index files of this node, and the process aside that makes them.

`data/index/<revision id>.wli` (0600 in 0700: an index holds names) is the index of one revision. It is a cache of what
PostgreSQL holds: a missing or damaged one is made again. A file is put in place before its revision is committed, so that
the exchange needs only an mmap; one whose revision never came to be is swept away at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from uuid import UUID

import msgspec

import visitor
from visitor.registries.build import Job
from visitor.registries.models import ImportFailed, Staged
from watchlists import Index

_TIMEOUT_SECONDS = 3600.0
_ROOT = Path(visitor.__file__).parent.parent


class IndexFiles:
    def __init__(self, data: Path) -> None:
        self.folder = data / "index"
        self.uploads = data / "uploads"

    def prepare(self) -> None:
        """Make the folders, and clear away what an import that was cut off left behind."""
        for folder in (self.folder, self.uploads):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        for left in (*self.folder.glob("*.part*"), *self.folder.glob(".*.part"), *self.uploads.iterdir()):
            left.unlink(missing_ok=True)

    def sweep(self, keep: set[UUID]) -> None:
        """Delete index files of revisions that are not in force. What is mapped stays readable until it is let go."""
        names = {f"{one}.wli" for one in keep}
        for file in self.folder.glob("*.wli"):
            if file.name not in names:
                file.unlink(missing_ok=True)

    def path(self, revision_id: UUID) -> Path:
        return self.folder / f"{revision_id}.wli"

    def part(self, revision_id: UUID, what: str) -> Path:
        """A file on its way: `<revision id>.part-<what>`."""
        return self.folder / f"{revision_id}.part-{what}"

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

"""The doors' journal: what was decided, on this machine's disk before a lock moves, drained to PostgreSQL exactly once.

One append-only file of lines, each `crc32 json`; a line counts once its bytes are on the disk (`fdatasync`). Taps that arrive
while a flush runs share the next one. A last line torn by a power cut or `kill -9` was never acted upon: it is cut off at the
next start. `drained` says up to which byte the rows are in the database; losing it only means inserting again what is there
already, which the events' own keys make harmless.

Errors: `JournalFull` when the bytes cannot be kept (disk full, read-only, gone); nothing was acknowledged then.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from visitor.doors.models import DoorEvent

_COMPACT_AT = 1_000_000  # bytes drained, after which the file starts anew


class JournalFull(Exception):
    """The event could not be kept on this machine's disk."""


class Journal:
    """One process's journal. Only `append` may be called concurrently; draining is one task's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "journal"
        self._mark = folder / "journal.drained"
        self._fd = -1
        self._size = 0  # bytes known to be whole lines on the disk
        self._drained = 0
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._arrived = asyncio.Event()
        self.damaged_lines = 0  # whole lines that did not check at the start: disk damage, never a torn write
        self.trouble = ""  # why the last append failed, for /health; "" once one went well

    def open(self) -> None:
        """Open or create the journal, cutting a torn last line. Raises JournalFull when the folder cannot be used."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._fd = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            # Another process on the same data folder would cut what this one is writing.
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = os.fstat(self._fd).st_size
            self._size = _whole(self._fd, size)
            if self._size != size:
                os.ftruncate(self._fd, self._size)
                os.fsync(self._fd)
            with contextlib.suppress(FileNotFoundError, ValueError):
                self._drained = min(int(self._mark.read_text("ascii")), self._size)
            self._note()
        except OSError as e:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
            words = "another process uses this data folder" if isinstance(e, BlockingIOError) else _words(e)
            raise JournalFull(words) from e
        if self._size > self._drained:
            self._arrived.set()

    async def close(self) -> None:
        if self._writer is not None:
            await self._writer
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # ── appending ────────────────────────────────────────────────────────────────────────────────────────

    async def append(self, event: DoorEvent) -> None:
        """Return once the event is on the disk. Raises JournalFull when it is not."""
        body = msgspec.json.encode(event)
        line = b"%08x %s\n" % (zlib.crc32(body), body)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((line, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(), name="door-journal")
        await done

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            data = b"".join(line for line, _ in batch)
            try:
                await asyncio.to_thread(self._flush, data)
            except OSError as e:
                self.trouble = _words(e)
                for _, done in batch:
                    if not done.done():
                        done.set_exception(JournalFull(self.trouble))
            else:
                self.trouble = ""
                self._arrived.set()
                for _, done in batch:
                    if not done.done():
                        done.set_result(None)

    def _flush(self, data: bytes) -> None:
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self._fd, data[written:], self._size + written)
            os.fdatasync(self._fd)
        except OSError:
            # Half a batch must not be found by the next start: those taps were refused.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
            raise
        self._size += len(data)

    # ── draining ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def position(self) -> int:
        """The byte up to which the events are in the database."""
        return self._drained

    @property
    def waiting(self) -> int:
        """Bytes not drained yet."""
        return self._size - self._drained

    async def arrived(self) -> None:
        """Return as soon as there is something to drain."""
        await self._arrived.wait()

    def batch(self, limit: int = 200) -> tuple[Sequence[DoorEvent], int]:
        """The oldest events not drained, and the byte to hand to `drained` once they are in the database."""
        data = os.pread(self._fd, min(self._size - self._drained, limit * 600), self._drained)
        events: list[DoorEvent] = []
        at = 0
        while len(events) < limit and (end := data.find(b"\n", at)) >= 0:
            event = _decode(data[at:end])
            if event is None:
                self.damaged_lines += 1
            else:
                events.append(event)
            at = end + 1
        return events, self._drained + at

    def drained(self, position: int) -> None:
        """Everything before `position` is in the database."""
        self._drained = position
        if self._drained == self._size:
            self._arrived.clear()
        idle = not self._waiting and (self._writer is None or self._writer.done())
        if idle and self._drained == self._size > _COMPACT_AT:
            # The mark goes first: after a crash in between, the old lines are inserted again, and found to be there.
            self._drained = 0
            self._note()
            os.ftruncate(self._fd, 0)
            self._size = 0
        else:
            with contextlib.suppress(OSError):  # a mark that stays behind costs inserting again, no more
                self._note()

    def _note(self) -> None:
        new = self._mark.with_suffix(".new")
        try:
            with new.open("w", encoding="ascii") as f:
                f.write(str(self._drained))
                f.flush()
                os.fsync(f.fileno())  # a mark newer or older than the file it speaks of must not appear after a power cut
            new.replace(self._mark)
        except OSError as e:
            self.trouble = _words(e)
            raise


def _decode(line: bytes) -> DoorEvent | None:
    try:
        if int(line[:8], 16) == zlib.crc32(line[9:]):
            return msgspec.json.decode(line[9:], type=DoorEvent)
    except (ValueError, msgspec.DecodeError):
        pass
    return None


def _whole(fd: int, size: int) -> int:
    """How many bytes are whole lines that check: a flush torn in the middle may leave several bad lines at the end."""
    data = os.pread(fd, size, 0)
    end = data.rfind(b"\n") + 1
    while end:
        start = data.rfind(b"\n", 0, end - 1) + 1
        if _decode(data[start : end - 1]) is not None:
            break
        end = start
    return end


def _words(error: OSError) -> str:
    return error.strerror or type(error).__name__

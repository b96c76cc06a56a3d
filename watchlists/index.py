"""An index: one registry, immutable, ready to be screened against, saved to one file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from . import score
from .errors import CapacityError, EntryError, IndexFileError
from .prepare import Partial, PreparedEntry, Row, prepare_entry
from .records import Entry, Name, Subject
from .reference import Raw, ReferenceIndex

MAGIC = b"WLINDEX\0"
VERSION = 1
REFERENCE_LIMIT = 20_000  # names the plain-Python scorer still answers in about a second


class Index:
    """One registry's entries as they are compared. Immutable; safe to use from several threads."""

    def __init__(self, core: ReferenceIndex, revision: str) -> None:
        self._core = core
        self.revision = revision

    @classmethod
    def build(cls, entries: Iterable[Entry]) -> Index:
        """Make an index of `entries`.

        Raises EntryError for an entry without id or name, an impossible birth date or an id that came before, and
        CapacityError for a list too large for the plain-Python scorer where there is no compiled kernel.
        """
        prepared: list[PreparedEntry] = []
        seen: set[str] = set()
        rows = 0
        for entry in entries:
            if entry.id in seen:
                raise EntryError("its id came before in this list", entry_id=entry.id)
            seen.add(entry.id)
            one = prepare_entry(entry)
            rows += len(one.rows)
            if rows > REFERENCE_LIMIT:
                raise CapacityError(f"more than {REFERENCE_LIMIT} names, and the compiled kernel is not installed")
            prepared.append(one)
        return cls._of(prepared)

    @classmethod
    def _of(cls, prepared: list[PreparedEntry]) -> Index:
        digest = hashlib.blake2b(digest_size=16)
        for one in sorted(prepared, key=lambda p: p.id):
            digest.update(one.id.encode() + b"\0" + one.digest)
        return cls(ReferenceIndex(prepared), digest.hexdigest())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to `path` (mode 0600: it holds names), in one step: readers see the old file or the new."""
        body = msgspec.msgpack.encode(self._core.entries)
        head = MAGIC + VERSION.to_bytes(4, "little") + len(body).to_bytes(8, "little")
        target = Path(path)
        partial = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(head + hashlib.blake2b(body, digest_size=16).digest() + body)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Index:
        """Open a saved index. Raises IndexFileError for a file that is damaged, cut short or of another version."""
        name = os.fspath(path)
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise IndexFileError(error.strerror or "can not be read", file=name) from error
        if data[:8] != MAGIC or len(data) < 36:
            raise IndexFileError("is not an index", file=name)
        version = int.from_bytes(data[8:12], "little")
        if version != VERSION:
            raise IndexFileError(f"is of version {version}, this program reads {VERSION}; build it again", file=name)
        body = data[36:]
        if len(body) != int.from_bytes(data[12:20], "little"):
            raise IndexFileError("is cut short", file=name)
        if hashlib.blake2b(body, digest_size=16).digest() != data[20:36]:
            raise IndexFileError("is damaged: its checksum does not fit", file=name)
        return cls._of(msgspec.msgpack.decode(body, type=list[PreparedEntry]))

    def __len__(self) -> int:
        return len(self._core.entries)

    @property
    def names(self) -> int:
        """Names (with the birth dates they come with) that are compared."""
        return len(self._core.rows)

    def entry_ids(self) -> Iterator[str]:
        """The ids of all entries."""
        return (entry.id for entry in self._core.entries)

    def __repr__(self) -> str:
        return f"<Index of {len(self)} entries, revision {self.revision[:8]}>"

    # What the matcher asks; bits are eighths throughout.

    def screen_raw(self, subject: Subject, threshold: int) -> list[Raw]:
        return self._core.screen(subject, threshold)

    def entry_id(self, entry: int) -> str:
        return self._core.entries[entry].id

    def entry_digest(self, entry: int) -> bytes:
        return self._core.entries[entry].digest

    def row_name(self, row: int) -> Name:
        """The name of a row, folded, as it was compared."""
        found = self._row(row)
        return Name(f"{found.s1} {found.s2}".strip(), found.g1, found.g2, "")

    def row_birth_date(self, row: int) -> str:
        """The birth date of a row as EDTF, empty where there is none."""
        found = self._row(row)
        if found.bucket < score.DAYS:
            year, rest = divmod(found.bucket, 372)
            month, day = divmod(rest, 31)
            return f"{year + score.FIRST_YEAR:04d}-{month + 1:02d}-{day + 1:02d}"
        return partial_text(found.partial)

    def _row(self, row: int) -> Row:
        return self._core.rows[row][1]


def partial_text(partial: Partial | None) -> str:
    """A partial birth date as EDTF."""
    if partial is None:
        return ""
    if partial.month:
        return f"{partial.first:04d}-{partial.month:02d}"
    return f"{partial.first:04d}" if partial.first == partial.last else f"{partial.first:04d}/{partial.last:04d}"

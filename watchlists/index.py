"""An index: one registry, immutable, ready to be screened against, saved to one file."""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import msgspec

from . import compiled, score
from .errors import CapacityError, EntryError, IndexFileError
from .known import Known
from .prepare import PreparedEntry, prepare_entry, revision_of
from .records import Entry, Name, Subject
from .reference import ReferenceIndex

REFERENCE_VERSION = 1
REFERENCE_LIMIT = 20_000  # names the plain-Python scorer still answers in about a second

# (entry, row, total, parts in the order of reference.FIELDS), eighths of a bit
RawMatch = tuple[int, int, int, tuple[int, ...]]
# (entry, first surname, second, given, middle, day bucket, first year, last year, month)
RowFacts = tuple[int, str, str, str, str, int, int, int, int]


class _Core(Protocol):
    """What both implementations answer."""

    entries: int
    rows: int
    revision: bytes

    def screen(self, subject: Subject, threshold: int) -> list[RawMatch]: ...
    def screen_part(self, known: Known, part: int, start: int, stop: int, threshold: int) -> list[tuple[int, list[RawMatch]]]: ...
    def entry_id(self, entry: int) -> str: ...
    def entry_digest(self, entry: int) -> bytes: ...
    def row(self, row: int) -> RowFacts: ...
    def file(self) -> list[bytes | memoryview]: ...


class _Mapped:
    """The file an image was mapped from, held open to see whether somebody has written into it since."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.file, self.name = file, name
        self._as_opened = self._now()

    def _now(self) -> tuple[int, int]:
        stat = os.fstat(self.file.fileno())
        return stat.st_size, stat.st_mtime_ns

    def check(self) -> None:
        """Raises IndexFileError. What is read between this and the next check could still be torn: one microsecond
        buys nearly all of the safety; a file that is replaced, not written into, is never at risk."""
        if self._now() != self._as_opened:
            raise IndexFileError("was written into while in use; open it again, and replace such files by a rename", file=self.name)

    def __del__(self) -> None:
        self.file.close()


class _Compiled:
    """The kernel's image."""

    def __init__(self, image: Any, mapped: _Mapped | None = None) -> None:
        self.image, self.mapped = image, mapped
        info = image.info()
        self.entries: int = info["entries"]
        self.rows: int = info["rows"]
        self.revision: bytes = info["revision"]
        self.entry_id = image.entry_id
        self.entry_digest = image.entry_digest
        self.row = image.row

    def screen(self, subject: Subject, threshold: int) -> list[RawMatch]:
        if self.mapped is not None:
            self.mapped.check()
        found: list[RawMatch] = self.image.screen(subject, threshold)
        return found

    def screen_part(self, known: Known, part: int, start: int, stop: int, threshold: int) -> list[tuple[int, list[RawMatch]]]:
        if self.mapped is not None:
            self.mapped.check()
        found: list[tuple[int, list[RawMatch]]] = self.image.screen_batch(known.packed, part, start, stop, threshold)
        if self.mapped is not None and found:
            self.mapped.check()
        return found

    def file(self) -> list[bytes | memoryview]:
        return [self.image.bytes()]


class _Reference:
    """The plain-Python scorer over prepared entries."""

    def __init__(self, prepared: list[PreparedEntry]) -> None:
        self.index = ReferenceIndex(prepared)
        self.entries = len(prepared)
        self.rows = len(self.index.rows)
        self.revision = revision_of(one.digest for one in prepared)

    def screen(self, subject: Subject, threshold: int) -> list[RawMatch]:
        return [(raw.entry, raw.row, raw.total, raw.parts) for raw in self.index.screen(subject, threshold)]

    def screen_part(self, known: Known, part: int, start: int, stop: int, threshold: int) -> list[tuple[int, list[RawMatch]]]:
        mine = known.members(part, start, stop)
        return [(i, raw) for i in mine if (raw := self.screen(known.subjects[i], threshold))]

    def entry_id(self, entry: int) -> str:
        return self.index.entries[entry].id

    def entry_digest(self, entry: int) -> bytes:
        return self.index.entries[entry].digest[:8]

    def row(self, row: int) -> RowFacts:
        entry, found = self.index.rows[row]
        first, last, month = found.partial or (0, 0, 0)
        return entry, found.s1, found.s2, found.g1, found.g2, found.bucket, first, last, month

    def file(self) -> list[bytes | memoryview]:
        body = msgspec.msgpack.encode(self.index.entries)
        head = compiled.MAGIC + REFERENCE_VERSION.to_bytes(4, "little") + len(body).to_bytes(8, "little")
        return [head, hashlib.blake2b(body, digest_size=16).digest(), body]


class Index:
    """One registry's entries as they are compared. Immutable; safe to use from several threads."""

    def __init__(self, core: _Core) -> None:
        self._core = core
        self.revision = core.revision.hex()

    @classmethod
    def build(cls, entries: Iterable[Entry], *, reference: bool = False) -> Index:
        """Make an index of `entries`; with `reference`, or without the compiled kernel, for the plain-Python scorer.

        Raises EntryError for an entry without id or name, an impossible birth date or an id that came before, and
        CapacityError for a list too large for the plain-Python scorer.
        """
        if compiled.available() and not reference:
            return cls(_Compiled(compiled.build(entries)))
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
                raise CapacityError(
                    f"more than {REFERENCE_LIMIT} names for the plain-Python scorer; install a C compiler and reinstall for the kernel"
                )
            prepared.append(one)
        return cls(_Reference(prepared))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to `path` (mode 0600: it holds names), in one step: readers see the old file or the new,
        and those who have the old one mapped keep it."""
        target = Path(path)
        partial = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                for piece in self._core.file():
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Index:
        """Map a saved index; processes that open the same file share its memory.

        Raises IndexFileError for a file that is damaged, cut short or of another version; and so does screening once
        somebody has written into the file instead of replacing it by `save` or a rename.
        """
        name = os.fspath(path)
        try:
            with contextlib.ExitStack() as closing:
                file = closing.enter_context(Path(path).open("rb"))
                head = file.read(12)
                if head[:8] != compiled.MAGIC or len(head) < 12:
                    raise IndexFileError("is not an index", file=name)
                version = int.from_bytes(head[8:12], "little")
                if version == REFERENCE_VERSION:
                    return cls(_Reference(_read_reference(head + file.read(), name)))
                if version != compiled.VERSION:
                    known = f"{REFERENCE_VERSION} and {compiled.VERSION}"
                    raise IndexFileError(f"is of version {version}, this program reads {known}; build it again", file=name)
                if not compiled.available():
                    raise IndexFileError("was made by the compiled kernel, which is not installed here; build it again", file=name)
                mapped = _Mapped(file, name)
                core = _Compiled(compiled.attach(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)), mapped)
                closing.pop_all()  # it stays open as long as it is mapped
                return cls(core)
        except OSError as error:
            raise IndexFileError(error.strerror or "can not be read", file=name) from error
        except ValueError as error:
            raise IndexFileError(str(error), file=name) from None

    def __len__(self) -> int:
        return self._core.entries

    @property
    def names(self) -> int:
        """Names (with the birth dates they come with) that are compared."""
        return self._core.rows

    @property
    def compiled(self) -> bool:
        """Whether the compiled kernel answers; without it the plain-Python scorer does, a thousand times slower."""
        return isinstance(self._core, _Compiled)

    def entry_ids(self) -> Iterator[str]:
        """The ids of all entries."""
        return map(self._core.entry_id, range(len(self)))

    def __repr__(self) -> str:
        return f"<Index of {len(self)} entries, revision {self.revision[:8]}>"

    # What the matcher asks; evidence is in eighths of a bit.

    def screen_raw(self, subject: Subject, threshold: int) -> list[RawMatch]:
        return self._core.screen(subject, threshold)

    def matching_raw(
        self, known: Known, threshold: int, part: int = 0, start: int = 0, stop: int = sys.maxsize
    ) -> list[tuple[int, list[RawMatch]]]:
        """Of the subjects [start, stop) of a part those that match anything, in any order: their place in `known` and what they
        match. Most match nothing: what is not made for them need not be looked at by the garbage collector, which would cost
        more than the screening."""
        return self._core.screen_part(known, part, start, stop, threshold)

    def screen_many_raw(self, subjects: list[Subject], threshold: int) -> list[list[RawMatch]]:
        found = dict(self.matching_raw(Known(subjects, parts=1), threshold))
        return [found.get(i, []) for i in range(len(subjects))]

    def entry_id(self, entry: int) -> str:
        return self._core.entry_id(entry)

    def entry_digest(self, entry: int) -> bytes:
        return self._core.entry_digest(entry)

    def row_facts(self, row: int) -> tuple[Name, str]:
        """The name of a row, folded as it was compared, and its birth date as EDTF (empty where there is none)."""
        _, s1, s2, given, middle, bucket, first, last, month = self._core.row(row)
        name = Name(f"{s1} {s2}".strip(), given, middle)
        if bucket < score.DAYS:
            year, rest = divmod(bucket, 372)
            return name, f"{year + score.FIRST_YEAR:04d}-{rest // 31 + 1:02d}-{rest % 31 + 1:02d}"
        if not last:
            return name, ""
        if month:
            return name, f"{first:04d}-{month:02d}"
        return name, f"{first:04d}" if first == last else f"{first:04d}/{last:04d}"


def _read_reference(data: bytes, name: str) -> list[PreparedEntry]:
    body = data[36:]
    if len(data) < 36 or len(body) != int.from_bytes(data[12:20], "little"):
        raise IndexFileError("is cut short", file=name)
    if hashlib.blake2b(body, digest_size=16).digest() != data[20:36]:
        raise IndexFileError("is damaged: its checksum does not fit", file=name)
    return msgspec.msgpack.decode(body, type=list[PreparedEntry])

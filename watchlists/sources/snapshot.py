"""What a reading of a list held, what changed since the last, and whether to believe it.

A snapshot keeps a digest an entry, never the entry: it can lie beside an index or in a log without naming anybody but by the list's own
ids. The steps of an import are: `tally = Tally(); staged = [... for entry in tally.over(read(...))]`, `after = tally.snapshot()`,
`check(before, after)`, and only when that is `Accepted`, the swap.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from watchlists.errors import SourceError
from watchlists.records import Entry
from watchlists.sources.opening import CHUNK

DIGEST_BYTES: Final = 16
_VERSION: Final = 1
_ENCODER: Final = msgspec.json.Encoder(order="sorted")


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How much a list holds, counted so that a list which lost a table (its aliases, its birth dates) is seen to have shrunk."""

    entries: int = 0
    names: int = 0
    weak_names: int = 0
    birth_dates: int = 0
    with_birth_date: int = 0
    with_address: int = 0
    with_photo: int = 0


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of a list: its counts and a digest an entry."""

    counts: Counts
    digests: dict[str, str]
    """Entry id → `digest` of its content, in hexadecimal."""
    checksum: str
    """SHA-256 over ids and digests in the order of ids: equal for equal content, in whatever order or format it came."""
    file_sha256: str = ""
    """Of the file it was read from, where there was one."""
    version: int = _VERSION

    def __repr__(self) -> str:
        return f"<Snapshot {self.counts.entries} entries, {self.checksum[:12]}>"

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Snapshot:
        """The snapshot of some entries."""
        tally = Tally()
        for _ in tally.over(entries):
            pass
        return tally.snapshot()

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        beside = path.with_name(path.name + ".new")
        beside.write_bytes(msgspec.json.encode(self))
        beside.replace(path)

    @classmethod
    def load(cls, path: Path) -> Snapshot:
        """Read one back.

        Raises:
            SourceError: it cannot be read, is none, or does not agree with its own checksum.
        """
        try:
            found = msgspec.json.decode(path.read_bytes(), type=cls)
        except OSError as error:
            raise SourceError(f"the snapshot cannot be read: {error.strerror}", file=str(path)) from error
        except msgspec.DecodeError:
            raise SourceError("this is no snapshot of a list", file=str(path)) from None
        if found.version != _VERSION:
            raise SourceError(f"the snapshot is of version {found.version}, not {_VERSION}", file=str(path))
        if found.checksum != _checksum(found.digests):
            raise SourceError("the snapshot is damaged: its checksum is another", file=str(path))
        return found


class Tally:
    """Counts and digests entries on their way from a source to wherever they are staged."""

    def __init__(self) -> None:
        self._digests: dict[str, str] = {}
        self._counts: dict[str, int] = dict.fromkeys(Counts.__struct_fields__, 0)

    def over(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Pass entries through, counting them."""
        for entry in entries:
            self.add(entry)
            yield entry

    def add(self, entry: Entry) -> str:
        """Count one entry; returns its digest.

        Raises:
            SourceError: its id was counted before.
        """
        if entry.id in self._digests:
            raise SourceError(f"the id {entry.id!r} is there twice")
        made = self._digests[entry.id] = digest(entry)
        counts = self._counts
        counts["entries"] += 1
        counts["names"] += len(entry.names)
        counts["weak_names"] += sum(name.kind == "weak" for name in entry.names)
        counts["birth_dates"] += len(entry.birth_dates)
        counts["with_birth_date"] += bool(entry.birth_dates)
        counts["with_address"] += bool(entry.addresses)
        counts["with_photo"] += bool(entry.photo)
        return made

    def snapshot(self, file_sha256: str = "") -> Snapshot:
        """What was counted so far."""
        digests = dict(self._digests)
        return Snapshot(counts=Counts(**self._counts), digests=digests, checksum=_checksum(digests), file_sha256=file_sha256)


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """What changed between two revisions, as entry ids in order."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: int = 0

    @property
    def empty(self) -> bool:
        """Nothing changed."""
        return not (self.added or self.removed or self.changed)

    def __repr__(self) -> str:
        return f"<Diff +{len(self.added)} -{len(self.removed)} ~{len(self.changed)} ={self.unchanged}>"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a list may shrink from one revision to the next without a person's word.

    More than `share` of what was there *and* more than `at_least` in number is refused; a list emptied altogether always is. The share
    is taken of entries removed, names, and birth dates: `sdn.csv` uploaded without its aliases keeps every entry and loses two names in
    five.
    """

    share: float = 0.10
    at_least: int = 3


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The revision may be put in force."""

    diff: Diff


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The revision shrank too much; the last good one stays in force.

    To put it in force all the same a person repeats the import with `acknowledged=refusal.token`. The token stands for these two
    revisions only: if the file changes again, the question is asked again.
    """

    what: str
    """`entries`, `names` or `birth_dates`."""
    before: int
    after: int
    lost: int
    allowed: int
    token: str
    diff: Diff

    @property
    def reason(self) -> str:
        """One sentence with the numbers, for the person who decides."""
        words = self.what.replace("_", " ")
        if self.what == "entries" and self.after == 0:
            return f"The list would be emptied: it had {self.before:,} entries and has none."
        share = self.lost / self.before
        return (
            f"The list would lose {self.lost:,} of {self.before:,} {words} ({share:.0%}); "
            f"up to {self.allowed:,} may go without a person's word. It would hold {self.after:,}."
        )


def digest(entry: Entry) -> str:
    """The digest of an entry's content: BLAKE2b of 16 bytes over its JSON with sorted keys, in hexadecimal.

    The order of aliases, birth dates, addresses and hashes does not count: lists are written in another order without a change in them.
    """
    primary = entry.names[:1]
    unordered = msgspec.structs.replace(
        entry,
        names=primary + tuple(sorted(entry.names[1:], key=msgspec.structs.astuple)),
        birth_dates=tuple(sorted(entry.birth_dates)),
        addresses=tuple(sorted(entry.addresses, key=msgspec.structs.astuple)),
        id_hashes=tuple(sorted(entry.id_hashes)),
    )
    return hashlib.blake2b(_ENCODER.encode(unordered), digest_size=DIGEST_BYTES).hexdigest()


def diff(before: Snapshot | Mapping[str, str], after: Snapshot | Mapping[str, str]) -> Diff:
    """What was added, removed and changed, by the digest of each entry id."""
    old = before.digests if isinstance(before, Snapshot) else before
    new = after.digests if isinstance(after, Snapshot) else after
    added, changed = [], []
    for id_, content in new.items():
        if id_ not in old:
            added.append(id_)
        elif old[id_] != content:
            changed.append(id_)
    removed = [id_ for id_ in old if id_ not in new]
    return Diff(
        added=tuple(sorted(added)),
        removed=tuple(sorted(removed)),
        changed=tuple(sorted(changed)),
        unchanged=len(new) - len(added) - len(changed),
    )


def check(before: Snapshot | None, after: Snapshot, limits: Limits | None = None, *, acknowledged: str = "") -> Accepted | Refused:
    """The shrink guard: whether a revision may follow the last one.

    Args:
        before: the revision in force; None for the first import.
        acknowledged: the token of a refusal that a person has read and overruled.
    """
    limits = limits or Limits()
    if before is None:
        return Accepted(diff=diff({}, after))
    change = diff(before, after)
    old, new = before.counts, after.counts
    token = hashlib.sha256(f"shrink {before.checksum} {after.checksum}".encode()).hexdigest()[:16]
    losses = (
        ("entries", old.entries, new.entries, len(change.removed)),
        ("names", old.names, new.names, old.names - new.names),
        ("birth_dates", old.birth_dates, new.birth_dates, old.birth_dates - new.birth_dates),
    )
    for what, had, has, lost in losses:
        allowed = max(limits.at_least, int(had * limits.share))
        emptied = had > 0 and has == 0 and what == "entries"
        if (lost > allowed or emptied) and acknowledged != token:
            return Refused(what=what, before=had, after=has, lost=lost, allowed=allowed, token=token, diff=change)
    return Accepted(diff=change)


def file_sha256(stream: BinaryIO) -> str:
    """SHA-256 of a seekable stream from its first byte, which it is returned to."""
    stream.seek(0)
    state = hashlib.sha256()
    while chunk := stream.read(CHUNK):
        state.update(chunk)
    stream.seek(0)
    return state.hexdigest()


def _checksum(digests: Mapping[str, str]) -> str:
    state = hashlib.sha256()
    for id_ in sorted(digests):
        state.update(f"{len(id_)}:{id_}={digests[id_]};".encode("utf-8", "surrogatepass"))
    return state.hexdigest()

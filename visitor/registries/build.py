"""A process of its own that reads a list and builds its index: `python -m visitor.registries.build`, told what to do on stdin.

Aside on purpose: reading and indexing a million entries takes a minute of one core and more memory than the service has in
all, and both are gone with the process. It knows no database. One job:

    {"kind": "import", "source": …, "format": …, "staged": …, "index": …, "key": …}     file → rows for COPY, and index
    {"kind": "rebuild", "source": …, "index": …}                                        rows as COPY wrote them → index

It answers one JSON object (`models.Staged`) on stdout. Nothing it prints holds an entry's data.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from visitor.ids import new_id
from visitor.registries.models import Staged
from watchlists import CapacityError, Entry, EntryError, Index, SourceError
from watchlists.sources import Report, keyed_hash, read
from watchlists.sources.snapshot import digest

_CHUNK = 1 << 20
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_LONGEST_ID = 500  # a row of PostgreSQL's index holds 2,704 bytes
_PROBLEMS = 20  # told to the person who imports; the rest is counted


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: Literal["import", "rebuild"]
    source: str
    index: str
    format: str = ""
    name: str = ""
    staged: str = ""
    mapping: str = ""
    key: bytes = b""

    def __repr__(self) -> str:
        return f"<Job {self.kind}>"


def run(job: Job) -> Staged:
    """Do a job; what is wrong with the list is told, not raised."""
    try:
        return _import(job) if job.kind == "import" else _rebuild(job)
    except SourceError as e:
        # The file's path is ours and says nothing to the person who sent it.
        return Staged(error="list-unreadable", detail=e.reason, line=e.line, column=e.column)
    except EntryError as e:
        return Staged(error="list-unreadable", detail=str(e))
    except OverflowError:
        return Staged(error="list-unreadable", detail="an entry has a number that is too large to be anybody's")
    except CapacityError as e:
        return Staged(error="list-too-large", detail=str(e))
    except OSError as e:
        return Staged(error="import-failed", detail=f"The list could not be read or written: {e.strerror or type(e).__name__}.")
    except Exception as e:  # a defect of ours, or a file that found one; its message may quote a value, so only the kind is told
        return Staged(error="import-failed", detail=f"Reading the list came upon a defect of this program ({type(e).__name__}).")


def _import(job: Job) -> Staged:
    report, entries, names, birth_dates = Report(), 0, 0, 0
    found = read(
        job.source, job.format, name=job.name or "the list", report=report, hash_id=keyed_hash(job.key) if job.key else None,
        mapping=job.mapping or None,
    )

    def staged() -> Iterator[Entry]:
        nonlocal entries, names, birth_dates
        with _private(job.staged) as out:
            for entry in found:
                if len(entry.id) > _LONGEST_ID:
                    raise SourceError(f"an entry's id has more than {_LONGEST_ID} characters", line=report.line)
                entry, text = _storable(entry)
                # JSON writes every control character as an escape: only its backslashes are left to double.
                row = text.replace("\\", "\\\\")
                fields = (str(new_id()), entry.id.translate(_ESCAPES), "\\\\x" + digest(entry), row)
                out.write(("\t".join(fields) + "\n").encode())
                entries += 1
                names += len(entry.names)
                birth_dates += len(entry.birth_dates)
                yield entry

    Index.build(staged()).save(job.index)
    return Staged(
        entries=entries, names=names, birth_dates=birth_dates, refused=report.refused, dropped=report.dropped_values,
        checksum=_sha256(job.source),
        problems=tuple(str(p) for p in report.problems[:_PROBLEMS]),
    )


def _rebuild(job: Job) -> Staged:
    decoder, count = msgspec.json.Decoder(Entry), 0

    def entries() -> Iterator[Entry]:
        nonlocal count
        with Path(job.source).open("rb") as rows:
            for row in rows:
                # JSON writes every control character as an escape, so COPY had only backslashes to double.
                yield decoder.decode(row.replace(b"\\\\", b"\\"))
                count += 1

    Index.build(entries()).save(job.index)
    return Staged(entries=count)


def _storable(entry: Entry) -> tuple[Entry, str]:
    """The entry and its JSON as jsonb takes it: PostgreSQL knows no NUL character."""
    text = msgspec.json.encode(entry).decode()
    if "\\u0000" in text:
        entry = msgspec.convert(_without_nul(msgspec.to_builtins(entry)), Entry)
        text = msgspec.json.encode(entry).decode()
    return entry, text


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict):
        return {_without_nul(k): _without_nul(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nul(v) for v in value]
    return value


def _private(path: str) -> Any:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", _CHUNK)


def _sha256(path: str) -> str:
    """Of a file, or of a folder's files in the order of their names."""
    source, state = Path(path), hashlib.sha256()
    for one in sorted(source.iterdir()) if source.is_dir() else (source,):
        if one.is_file():
            with one.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    state.update(chunk)
    return state.hexdigest()


def main() -> None:
    os.nice(10)  # visitors at the desk come first
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")  # and where memory runs out, this process goes before the service
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(run(job)))


if __name__ == "__main__":
    main()

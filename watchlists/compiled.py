"""The one importer of the compiled kernel (`kernel/`, built when the package is installed)."""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Any, Final, NoReturn

from . import names, normalize, prepare, score
from .errors import EntryError
from .records import Entry, Name, Subject

kernel: types.ModuleType | None
try:
    from . import _kernel as kernel  # type: ignore[attr-defined, no-redef, unused-ignore]
except ImportError:  # no compiler at install time: reference.py serves small lists
    kernel = None


def _refuse_entry(entry: Entry) -> NoReturn:
    prepare.prepare_entry(entry)
    raise EntryError("can not be read", entry_id=entry.id)


def _refuse_duplicate(entry_id: str) -> NoReturn:
    raise EntryError("its id came before in this list", entry_id=entry_id)


def configure() -> None:
    """Hand the kernel the weights of `score` as they are now."""
    if kernel is not None:
        kernel.configure(score)


if kernel is not None:
    kernel.connect(
        fold=normalize.fold,
        parse_birth_date=prepare.parse_birth_date_flat,
        entry_fields=prepare.entry_fields,
        subject_fields=prepare.subject_fields,
        entry_digest=prepare.entry_digest,
        refuse_entry=_refuse_entry,
        refuse_duplicate=_refuse_duplicate,
        spellings=names.transliterations(),
        nicknames=names.nicknames(),
        particles=dict.fromkeys(normalize.PARTICLES, 1),
        suffixes=normalize.SUFFIXES,
    )
    configure()


def available() -> bool:
    """Whether the compiled kernel is installed."""
    return kernel is not None


def build(entries: Iterable[Entry]) -> Any:
    """An image of `entries`."""
    assert kernel is not None
    return kernel.build(entries, *names.background())


def gather(subjects: list[Subject], parts: int) -> tuple[Any, tuple[int, ...]]:
    """The subjects packed, to be screened against any image, and how many are in each part. Raises TypeError."""
    assert kernel is not None
    packed, sizes = kernel.gather(subjects, parts)
    return packed, sizes


def members(batch: Any, part: int, start: int, stop: int) -> list[int]:
    """The numbers of the subjects [start, stop) of a part of what `gather` packed."""
    assert kernel is not None
    found: list[int] = kernel.members(batch, part, start, stop)
    return found


def tokens(name: Name) -> tuple[str | int, ...] | None:
    """What `normalize.name_tokens` makes of a name; None without the kernel."""
    return kernel.tokens(name) if kernel is not None else None


def attach(data: object) -> Any:
    """An image over saved bytes; ValueError says what is wrong with them."""
    assert kernel is not None
    return kernel.attach(data)


MAGIC: Final = b"WLINDEX\0"
VERSION: Final = int(kernel.VERSION) if kernel is not None else 0  # of its files; the reference's are version 1

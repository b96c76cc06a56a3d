"""Zip and gzip around a list: one file inside for most formats, OFAC's four tables for `ofac-csv`.

What is inside is unpacked to an unnamed temporary file, counted as it grows: the sizes a zip declares are not believed.
"""

from __future__ import annotations

import contextlib
import gzip
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Final, cast

from watchlists.sources.base import Document
from watchlists.sources.mapping import parse
from watchlists.sources.opening import CHUNK

MAX_MEMBERS: Final = 1000
_IN_MEMORY: Final = 8 << 20
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile, NotImplementedError, RuntimeError, ValueError)


@contextmanager
def unpacked(document: Document) -> Iterator[Document]:
    """The document itself, or the one file in it when it is a zip or gzip.

    Raises:
        SourceError: the archive is damaged, encrypted, too large inside, or holds several files.
    """
    document.stream.seek(0)
    magic = document.stream.read(4)
    document.stream.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        with gzip.GzipFile(fileobj=document.stream) as inside, _spooled(document, document.name, inside) as found:
            yield found
    elif is_zip(magic):
        names = [name for name in member_names(document) if not _is_clutter(name)]
        if len(names) != 1:
            raise document.fault(f"the zip holds {len(names)} files where one is wanted")
        with member(document, names[0]) as found:
            yield found
    else:
        yield document


def is_zip(magic: bytes) -> bool:
    return magic.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def member_names(document: Document) -> list[str]:
    """Names of the files in a zip, folders left out.

    Raises:
        SourceError: damaged or cut off (a zip's directory is at its end), or over `MAX_MEMBERS` files.
    """
    try:
        with zipfile.ZipFile(document.stream) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except _DAMAGED:
        raise document.fault("the zip is damaged or was cut off") from None
    if len(names) > MAX_MEMBERS:
        raise document.fault(f"the zip holds over {MAX_MEMBERS} files")
    return names


@contextmanager
def member(document: Document, name: str) -> Iterator[Document]:
    """One file of a zip, unpacked, as a document of its own named `archive.zip/name`."""
    try:
        archive = zipfile.ZipFile(document.stream)
    except _DAMAGED:
        raise document.fault("the zip is damaged or was cut off") from None
    with archive:
        try:
            inside = archive.open(name)
        except (KeyError, *_DAMAGED):
            raise document.fault(f"{PurePosixPath(name).name} in the zip cannot be opened: damaged, or encrypted") from None
        with inside, _spooled(document, f"{document.name}/{name}", inside) as found:
            yield found


@contextmanager
def tables_of(document: Document, folder: Path | None, wanted: tuple[str, ...]) -> Iterator[Callable[[str], Document | None]]:
    """Find several named tables in a zip or a folder, whatever their case and folder; without either the document is the first."""
    with contextlib.ExitStack() as stack:

        def pick(name: str) -> Document | None:
            if folder is not None:
                path = next((p for p in sorted(folder.iterdir()) if p.name.lower() == name), None)
                if path is None:
                    return None
                stream = stack.enter_context(path.open("rb"))
                return replace(document, stream=cast(BinaryIO, stream), name=str(path))
            document.stream.seek(0)
            if not is_zip(document.stream.read(4)):
                return document if name == wanted[0] else None
            full = next((n for n in member_names(document) if PurePosixPath(n).name.lower() == name and not _is_clutter(n)), None)
            return None if full is None else stack.enter_context(member(document, full))

        yield pick


@contextmanager
def with_mapping(document: Document) -> Iterator[Document]:
    """A table with the mapping that came with it in a zip; otherwise as `unpacked`."""
    document.stream.seek(0)
    magic = document.stream.read(4)
    names = [name for name in member_names(document) if not _is_clutter(name)] if is_zip(magic) else []
    tomls = [name for name in names if name.lower().endswith(".toml")]
    if not tomls or document.mapping is not None:
        with unpacked(document) as found:
            yield found
        return
    tables = [name for name in names if name not in tomls]
    if len(tomls) != 1 or len(tables) != 1:
        raise document.fault(f"the zip holds {len(tomls)} mappings (.toml) and {len(tables)} tables where one of each is wanted")
    with member(document, tomls[0]) as toml:
        mapping = parse(toml.stream, toml.name)
    with member(document, tables[0]) as table:
        yield replace(table, mapping=mapping)


@contextmanager
def _spooled(document: Document, name: str, inside: IO[bytes] | gzip.GzipFile) -> Iterator[Document]:
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spooled:
        size = 0
        while True:
            try:
                chunk = inside.read(CHUNK)
            except _DAMAGED:
                raise document.fault("the compressed file is damaged or was cut off") from None
            if not chunk:
                break
            size += len(chunk)
            if size > document.max_bytes:
                raise document.fault(f"unpacked, the file is larger than the {document.max_bytes:,} bytes allowed")
            spooled.write(chunk)
        spooled.seek(0)
        yield replace(document, stream=cast(BinaryIO, spooled), name=name)


def _is_clutter(name: str) -> bool:
    """What macOS and Windows put into zips by themselves."""
    parts = PurePosixPath(name)
    return "__MACOSX" in parts.parts or parts.name.startswith(".") or parts.name.lower() in {"thumbs.db", "desktop.ini"}

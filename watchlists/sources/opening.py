"""From a path or an uploaded file to a bounded, seekable stream, and from its bytes to lines of text in a known encoding."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

from watchlists.errors import SourceError
from watchlists.sources.base import Document

CHUNK: Final = 1 << 16
MAX_LINE: Final = 1 << 20
"""Characters in one physical line. The longest real one, of OpenSanctions, has some 60,000."""
_IN_MEMORY: Final = 8 << 20

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark begins with that of UTF-16 LE
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_CP1252: Final = frozenset(b"\x81\x8d\x8f\x90\x9d")
_MULTIBYTE: Final = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")

Readable = str | os.PathLike[str] | BinaryIO


@contextmanager
def opened(source: Readable, name: str | None, max_bytes: int) -> Iterator[tuple[BinaryIO, str]]:
    """Open a path, or make an uploaded stream seekable, and give it with the name that errors will show.

    A stream is read from its first byte and left open. One that cannot seek is spooled to an unnamed temporary file.

    Raises:
        SourceError: the file is empty, missing, or larger than `max_bytes`.
    """
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        try:
            with path.open("rb") as stream:
                _check_size(stream, name or str(path), max_bytes)
                yield stream, name or str(path)
        except OSError as error:
            # A body's own OSError names another file or none; only ours is turned into an error about this one.
            if error.filename is None or Path(os.fsdecode(error.filename)) != path:
                raise
            raise SourceError(f"the file cannot be read: {error.strerror}", file=name or str(path)) from error
        return
    if isinstance(cast(object, source), io.TextIOBase):
        raise TypeError("a source is read from bytes: open the file in binary mode")
    upload = source
    shown = name or _stream_name(upload)
    if upload.seekable():
        _check_size(upload, shown, max_bytes)
        yield upload, shown
        return
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spooled:
        size = 0
        while chunk := upload.read(CHUNK):
            size += len(chunk)
            if size > max_bytes:
                raise _too_large(shown, max_bytes)
            spooled.write(chunk)
        whole = cast(BinaryIO, spooled)
        _check_size(whole, shown, max_bytes)
        yield whole, shown


def lines(document: Document) -> Iterator[str]:
    """The document's physical lines with their line ends, decoded; ends at a Ctrl-Z, as DOS files do.

    The encoding is the one asked for, or is found by `detect_encoding`, and is left in the report.

    Raises:
        SourceError: undecodable, NUL bytes, or a line over `MAX_LINE` characters.
    """
    encoding = document.encoding or detect_encoding(document.stream, document.name)
    document.report.encoding = encoding
    document.stream.seek(0)
    try:
        text = io.TextIOWrapper(document.stream, encoding=encoding, newline="")
    except LookupError:
        raise document.fault(f"there is no encoding {encoding!r}") from None
    number = 0
    try:
        while True:
            number += 1
            try:
                line = text.readline(MAX_LINE + 1)
            except UnicodeError as error:
                raise document.fault(f"the text is not {encoding}: {error.__class__.__name__}", line=number) from None
            if len(line) > MAX_LINE:
                raise document.fault(f"a line is longer than {MAX_LINE:,} characters: not a table", line=number)
            if "\0" in line:
                raise document.fault("there is a NUL character: a binary file, or UTF-16 without its mark", line=number)
            body, ctrl_z, _ = line.partition("\x1a")
            if not ctrl_z and not line:
                return
            if not ctrl_z or body.strip():
                yield body if ctrl_z else line
            if ctrl_z:
                return
    finally:
        # A reading given up half-way may be collected after its stream was closed; there is nothing to detach from then.
        with contextlib.suppress(ValueError):
            text.detach()


def detect_encoding(stream: BinaryIO, name: str) -> str:
    """`utf-8`, `utf-8-sig`, `utf-16`, `utf-32` or `cp1252`; reads the stream through once.

    Text that is no UTF-8 anywhere is taken for Windows-1252, what Excel's plain "CSV" is in the United States. Text that is UTF-8 in
    one place and not in another is damaged or pasted together, and is refused: reading it either way garbles names.

    Raises:
        SourceError: neither, with the line of the first byte that is wrong.
    """
    stream.seek(0)
    head = stream.read(4)
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    stream.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, good, broken_at = 1, 0, 0
    no_cp1252: int | None = None
    tail = b""
    while chunk := stream.read(CHUNK):
        if broken_at == 0:
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                # `error.object` begins with what the decoder held back of the chunk before; it holds no line end.
                broken_at = line + error.object[: error.start].count(b"\n")
        if broken_at or not chunk.isascii() or tail:
            joined = tail + chunk
            good += len(_MULTIBYTE.findall(joined))
            # A sequence may straddle two chunks: carry at most three of its bytes, and only where one can have begun.
            cut = _open_sequence(joined)
            tail = joined[len(joined) - cut :] if cut else b""
            if no_cp1252 is None and not _NOT_CP1252.isdisjoint(chunk):
                at = next(i for i, byte in enumerate(chunk) if byte in _NOT_CP1252)
                no_cp1252 = line + chunk[:at].count(b"\n")
        line += chunk.count(b"\n")
    if broken_at == 0:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            raise SourceError("the text ends inside a character: the file was cut off", file=name, line=line) from None
        return "utf-8"
    if good:
        words = "the text is UTF-8 in one place and not in another: it is damaged; save it as UTF-8, or name its encoding"
        raise SourceError(words, file=name, line=broken_at)
    if no_cp1252 is not None:
        words = "the text is neither UTF-8 nor Windows-1252; save it as UTF-8, or name its encoding"
        raise SourceError(words, file=name, line=no_cp1252)
    return "cp1252"


def size_of(stream: BinaryIO) -> int:
    """Bytes of a seekable stream, which is left at its first byte."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    return size


def _open_sequence(data: bytes) -> int:
    """How many bytes at the end could be the beginning of a multi-byte character."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC2:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if needed > back else 0
        if byte < 0x80:
            return 0
    return 0


def _check_size(stream: BinaryIO, name: str, max_bytes: int) -> None:
    size = size_of(stream)
    if size == 0:
        raise SourceError("the file is empty", file=name)
    if size > max_bytes:
        raise _too_large(name, max_bytes)


def _too_large(name: str, max_bytes: int) -> SourceError:
    return SourceError(f"the file is larger than the {max_bytes:,} bytes allowed", file=name)


def _stream_name(stream: object) -> str:
    name = getattr(stream, "name", None)
    return name if isinstance(name, str) and name else "<upload>"

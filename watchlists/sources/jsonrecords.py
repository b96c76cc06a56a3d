"""A long array in a JSON object, given element by element: no more than one of them is ever held."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from watchlists.errors import SourceError
from watchlists.sources.base import Document
from watchlists.sources.opening import CHUNK

MAX_ELEMENT: Final = 1 << 20
"""Bytes of one element, or of any other value in the object. A real offender takes some 2,000."""
MAX_DEPTH: Final = 64
MAX_KEYS: Final = 1000

_BLANK: Final = re.compile(rb"[ \t\r\n]*")
_BRACKET: Final = re.compile(rb'["{}\[\]]')
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_SCALAR_END: Final = re.compile(rb"[\s,\]}]")


class Elements:
    """Iterate for (line, raw JSON) of each element of the array at `key`; `rest` has the object's other values when that is done.

    Raises:
        SourceError: not an object with such an array, damaged, cut off, not UTF-8 at its head, or an element over `MAX_ELEMENT`.
    """

    def __init__(self, document: Document, key: str) -> None:
        self.document = document
        self.rest: dict[str, Any] = {}
        self._key = key
        self._data = b""
        self._at = 0
        self._line = 1
        self._ended = False

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        self.document.stream.seek(0)
        head = self.document.stream.read(4)
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise self._fault("JSON is read in UTF-8, and this is UTF-16")
        self._data = head.removeprefix(b"\xef\xbb\xbf")
        if self._peek() == b"<":
            raise self._fault("this is HTML or XML, not JSON: a web page, not the list")
        self._expect(b"{")
        found = False
        if self._peek() == b"}":
            self._take(1)
        else:
            for _ in range(MAX_KEYS):
                if self._peek() != b'"':
                    raise self._broken("a key")
                key = self._decode(self._value())
                self._expect(b":")
                if key == self._key and self._peek() == b"[" and not found:
                    found = True
                    yield from self._array()
                elif key == self._key and found:
                    raise self._fault(f"{self._key!r} is there twice")
                else:
                    self.rest[str(key)] = self._decode(self._value())
                if self._peek() == b",":
                    self._take(1)
                    continue
                self._expect(b"}")
                break
            else:
                raise self._fault(f"the object has over {MAX_KEYS} keys")
        if self._peek():
            raise self._fault("there is something after the end of the JSON")
        if not found:
            raise self._fault(f"there is no array {self._key!r} in it")

    def _array(self) -> Iterator[tuple[int, bytes]]:
        self._expect(b"[")
        if self._peek() == b"]":
            self._take(1)
            return
        while True:
            self._peek()
            line = self._line
            yield line, self._value()
            if self._peek() == b",":
                self._take(1)
                continue
            self._expect(b"]")
            return

    def _value(self) -> bytes:
        """Take the next value whole, without looking into it but for its brackets and strings."""
        self._peek()
        end, depth = 0, 0
        while True:
            byte = self._byte(end)
            if byte == b'"':
                end = self._string_end(end)
            elif byte in (b"{", b"["):
                depth += 1
                end += 1
                if depth > MAX_DEPTH:
                    raise self._fault(f"values are nested over {MAX_DEPTH} deep")
            elif byte in (b"}", b"]"):
                depth -= 1
                end += 1
                if depth < 0:
                    raise self._broken("a value")
            elif depth == 0:
                end = self._find(_SCALAR_END, end)
                if end == 0:
                    raise self._broken("a value")
            else:
                end = self._find(_BRACKET, end)
                continue
            if depth == 0:
                return self._take(end)

    def _string_end(self, start: int) -> int:
        while True:
            if found := _STRING.match(self._data, self._at + start):
                return found.end() - self._at
            self._more(need=True)

    def _find(self, pattern: re.Pattern[bytes], start: int) -> int:
        searched = start
        while True:
            if found := pattern.search(self._data, self._at + searched):
                return found.start() - self._at
            searched = len(self._data) - self._at
            if not self._more(need=pattern is _BRACKET):
                return searched

    def _byte(self, offset: int) -> bytes:
        while self._at + offset >= len(self._data):
            self._more(need=True)
        return self._data[self._at + offset : self._at + offset + 1]

    def _peek(self) -> bytes:
        """Pass over white space; the byte after it, or nothing at the end."""
        while True:
            found = _BLANK.match(self._data, self._at)
            if found is not None:
                self._line += self._data.count(b"\n", self._at, found.end())
                self._at = found.end()
            if self._at < len(self._data):
                return self._data[self._at : self._at + 1]
            if not self._more(need=False):
                return b""

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        self._line += taken.count(b"\n")
        self._at += count
        return taken

    def _expect(self, byte: bytes) -> None:
        if self._peek() != byte:
            raise self._broken(repr(byte.decode()))
        self._take(1)

    def _more(self, *, need: bool) -> bool:
        chunk = b"" if self._ended else self.document.stream.read(CHUNK)
        if not chunk:
            self._ended = True
            if need:
                raise self._fault("the JSON ends too early: the file was cut off")
            return False
        self._data = self._data[self._at :] + chunk
        self._at = 0
        if len(self._data) > MAX_ELEMENT + CHUNK:
            raise self._fault(f"a value is longer than {MAX_ELEMENT:,} bytes")
        return True

    def _decode(self, raw: bytes) -> Any:
        try:
            return msgspec.json.decode(raw)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            raise self._fault("the JSON is damaged") from None

    def _broken(self, wanted: str) -> SourceError:
        if self._ended and self._at >= len(self._data):
            return self._fault("the JSON ends too early: the file was cut off")
        return self._fault(f"the JSON is damaged: {wanted} is wanted here")

    def _fault(self, words: str) -> SourceError:
        return self.document.fault(words, line=self._line)

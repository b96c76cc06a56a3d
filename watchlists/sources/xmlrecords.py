"""XML read record by record with the standard library's expat, safely.

A document type declaration is refused: neither list has one, and entities (the "billion laughs", files read by `SYSTEM`) can only be
declared there. What a record may weigh is bounded, so a file of one endless element cannot fill the memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
from xml.etree.ElementTree import Element
from xml.parsers import expat

from watchlists.errors import SourceError
from watchlists.sources.base import Document
from watchlists.sources.opening import CHUNK

MAX_DEPTH: Final = 32
MAX_RECORD_ELEMENTS: Final = 50_000
MAX_RECORD_TEXT: Final = 4 << 20
"""Characters of text and attributes in one record. The fullest real one has some 30,000."""


class Records:
    """The records of one XML file. Iterate for (line, element); `root` is the root's attributes once the first came.

    Elements are without namespaces. Text directly in the root's other children (a publication date, a count) is in `head`.
    """

    def __init__(self, document: Document, root: str, tags: frozenset[str], hints: Mapping[str, str] | None = None) -> None:
        """`hints` say what a file of another root is."""
        self.document = document
        self._hints = {"html": "a web page, not the list", **(hints or {})}
        self.root: dict[str, str] = {}
        self.head: dict[str, str] = {}
        self.sections: set[str] = set()
        """Names of every element outside records that was met: tells an empty section from one that is not there."""
        self._root_tag = root
        self._tags = tags
        self._path: list[str] = []
        self._stack: list[Element] = []
        self._text: list[str] = []
        self._line = 0
        self._elements = 0
        self._characters = 0
        self._done: list[tuple[int, Element]] = []
        self._parser = expat.ParserCreate(namespace_separator="}")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters_came
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.EntityDeclHandler = self._entity

    def __iter__(self) -> Iterator[tuple[int, Element]]:
        stream = self.document.stream
        stream.seek(0)
        while True:
            chunk = stream.read(CHUNK)
            try:
                self._parser.Parse(chunk, not chunk)
            except expat.ExpatError as error:
                raise self._explain(error, cut_off=not chunk) from None
            done, self._done = self._done, []
            yield from done
            if not chunk:
                return

    def _explain(self, error: expat.ExpatError, *, cut_off: bool) -> SourceError:
        reason = expat.ErrorString(error.code)
        words = f"the XML cannot be read: {reason}"
        if cut_off:
            words = f"the XML ends too early ({reason}): the file was cut off"
        return self.document.fault(words, line=error.lineno, column=error.offset + 1)

    def _fault(self, words: str) -> SourceError:
        return self.document.fault(words, line=self._parser.CurrentLineNumber, column=self._parser.CurrentColumnNumber + 1)

    def _doctype(self, *_: object) -> None:
        raise self._fault("there is a document type declaration; it could declare entities, and no list needs one")

    def _entity(self, *_: object) -> None:
        raise self._fault("an entity is declared; no list needs one")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition("}")[2]
        if not self._path:
            if tag != self._root_tag:
                hint = self._hints.get(tag) or self._hints.get(tag.lower())
                raise self._fault(f"the root is <{tag[:40]}> where <{self._root_tag}> is wanted" + (f": {hint}" if hint else ""))
            self.root = dict(attributes)
        self._path.append(tag)
        if len(self._path) > MAX_DEPTH:
            raise self._fault(f"elements are nested over {MAX_DEPTH} deep")
        if not self._stack and tag not in self._tags:
            self.sections.add(tag)
            if len(self.sections) > MAX_RECORD_ELEMENTS:
                raise self._fault("there are too many kinds of element")
        if self._stack or tag in self._tags:
            self._flush()
            element = Element(tag, {key.rpartition("}")[2]: value for key, value in attributes.items()})
            self._elements += 1
            self._weigh(sum(len(key) + len(value) for key, value in attributes.items()))
            if self._elements > MAX_RECORD_ELEMENTS:
                raise self._fault(f"a record has over {MAX_RECORD_ELEMENTS:,} elements")
            if self._stack:
                self._stack[-1].append(element)
            else:
                self._line = self._parser.CurrentLineNumber
            self._stack.append(element)
        else:
            self._text.clear()

    def _end(self, _: str) -> None:
        tag = self._path.pop()
        if not self._stack:
            if text := "".join(self._text).strip():
                self.head.setdefault(tag, text)
            self._text.clear()
            self._characters = 0
            return
        self._flush()
        element = self._stack.pop()
        if not self._stack:
            self._done.append((self._line, element))
            self._elements = self._characters = 0

    def _characters_came(self, text: str) -> None:
        if self._stack or not text.isspace():
            self._weigh(len(text))
            self._text.append(text)

    def _flush(self) -> None:
        """Give the text gathered so far to the open element; mixed content is joined, as no list means anything by it."""
        if self._stack and self._text:
            self._stack[-1].text = (self._stack[-1].text or "") + "".join(self._text)
        self._text.clear()

    def _weigh(self, characters: int) -> None:
        self._characters += characters
        if self._characters > MAX_RECORD_TEXT:
            raise self._fault(f"a record holds over {MAX_RECORD_TEXT:,} characters")


def text_of(element: Element, path: str) -> str:
    """The trimmed text at a path, or nothing."""
    return (element.findtext(path) or "").strip()


def texts_of(element: Element, path: str) -> list[str]:
    """The trimmed texts at a path that are not empty."""
    return [text for found in element.findall(path) if (text := (found.text or "").strip())]

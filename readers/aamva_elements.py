"""From a scanned payload to its elements: header, designators, separators, and what scanners do to them.

The standard (AAMVA DL/ID 2020, annex D.12) frames elements by offsets and control characters. Of the payloads that were
collected from real parsers' tests, fewer than one in five has offsets that point right, because wedges and text
fields drop or retype control characters. So elements are found by their names, and the offsets only testify: when they
disagree the document carries a warning.
"""

from __future__ import annotations

import re

import msgspec

from .aamva_data import IN_ORDER, KNOWN, KNOWN_IN_1, KNOWN_SINCE_2, LATEST_VERSION, MANDATORY, UNUSUAL, VALUES
from .document import DocumentWarning
from .errors import DocumentError

__all__ = ["HEADER", "Payload", "split_payload"]

_DESIGNATORS = r"((?:(?:DL|ID|EN|Z[A-Z0-9])\d{8}){0,10})"
# "ANSI " since 2003, "AAMVA" in 2000-era files, "AMVA" where a scanner lost the first letter.
HEADER = re.compile(r"(?:ANSI|AAMVA|AMVA) ?(\d{6})(\d{2})(\d{2})?(\d{2})?(?!\d)" + _DESIGNATORS)
# The same without its file type, for a header whose letters were damaged: it needs a designator to be believed.
_BARE_HEADER = re.compile(r"(\d{6})(\d{2})(\d{2})(\d{2})?(?=(?:DL|ID|EN)\d{8})" + _DESIGNATORS)
_DESIGNATOR = re.compile(r"(..)(\d{4})(\d{4})")
_START = re.compile(r"(?:(DL|ID|EN)[\s|]*)?(D[A-D][A-Z])")
_SEPARATORS = "\r\x1c\x1d\x1e\x1f"
_ELEMENT = re.compile(r"D[A-D][A-Z]")
# What is left of PDF417 macro control blocks when a reader prints codewords instead of acting on them.
# Tried only where such a run begins: from every place in a long one it would take the square of its length.
_MACRO_RESIDUE = re.compile(r"(?<!\\\d{3})(?:\\\d{3}){2,}\s*\Z")
_C1_CONTROLS = re.compile(r"[\x00\x80-\x9f]")
_SUBFILE_PREFIX = re.compile(r"(?:DL|ID|EN)(?=D[A-D][A-Z])")
# RS is Ctrl+^ and CR is Ctrl+M: some wedges type the letter without Ctrl.
_WEDGE_CR = re.compile(r"M\Z")

_MAX_STEPS = 4000
# A PDF417 symbol holds at most 1,850 characters of text.
_LONGEST_IN_ORDER = 2_000


class Payload(msgspec.Struct):
    """A payload taken apart. ``elements`` maps an element's name to its value as scanned, blanks included; ``jurisdiction``
    likewise, but may leave out elements nobody asks for (all but ZCE)."""

    iin: str
    version: int
    subfile: str
    warnings: list[DocumentWarning]
    elements: dict[str, str] = {}
    jurisdiction: dict[str, str] = {}
    in_order: bool = False  # every element is known to hold what it may


def split_payload(text: str) -> Payload:
    """Find header and elements of ``text``.

    Raises DocumentError ``not_aamva`` (no header) or ``no_fields`` (a header with nothing behind it).
    """
    warnings: list[DocumentWarning] = []
    original = text
    if "\x90" in text or "\x00" in text:
        text = _C1_CONTROLS.sub("", text)
    header = HEADER.search(text)
    if header is None:
        header = _BARE_HEADER.search(text)
        if header is None:
            raise DocumentError("not_aamva", "This barcode has no driver license header. Scan the PDF417 code on the back of the card.")
        warnings.append(DocumentWarning("offset_mended", "header"))
    iin, standard, second, third, block = header.groups()
    version, entries = int(standard), int(third or second or 0)
    if version < 1 or version > LATEST_VERSION:
        warnings.append(DocumentWarning("version_unknown"))

    rest_at = header.end()
    designators = _DESIGNATOR.findall(block)
    mended = len(designators) != entries or not _offsets_hold(original, designators)
    typed, own = "", []
    for name, _, _ in designators:
        if name[0] == "Z":
            own.append(name)  # the jurisdiction's own subfile
        elif not typed:
            typed = name

    # Alberta prints letters where offset and length belong; Connecticut leaves out the subfile's own "DL".
    start = _START.search(text, rest_at, rest_at + 40)
    if start is None or start[2] not in KNOWN:
        raise DocumentError("no_fields", "The barcode's header was read but none of its fields. Scan it again.")
    subfile = start[1]
    if (subfile and typed and subfile != typed) or start.start() != rest_at:
        mended = True
    if mended:
        warnings.append(DocumentWarning("offset_mended"))

    head = header.start()
    prefix = text[head - 4 if head > 4 else 0 : head]
    payload = Payload(iin=iin, version=version, subfile=subfile or typed or "DL", warnings=warnings)
    body = text[start.start(2) :]
    if "\\" in body:
        body = _MACRO_RESIDUE.sub("", body)
    # Some scanners type a bar for each control character; no card's own values hold several.
    text = _separated(body, piped="|" in prefix or ("|" in body and body.count("|") > 4))
    typed_return = mended and prefix[-1:] == "M"
    inside = [name for name in own if (at := text.find(name + name)) > 0 and text[at - 1] != "\n"] if mended else []
    if typed_return or inside or not _collect_in_order(text, payload):
        lines = text.split("\n")
        if len(lines) < 5 and len(body) > 60:
            warnings.append(DocumentWarning("separators_lost"))
            lines = _cut_without_separators(body, own, version)
        elif typed_return or inside:
            lines = _part_subfiles(lines, inside, typed=typed_return)
        _collect(lines, payload)
    if not payload.elements:
        raise DocumentError("no_fields", "The barcode's header was read but none of its fields. Scan it again.")
    return payload


def _separated(body: str, *, piped: bool) -> str:
    """``body`` with one line feed for separators of any kind. (A pattern's ``split`` took a third of the whole parse.)"""
    for separator in _SEPARATORS:
        if separator in body:
            body = body.replace(separator, "\n")
    if piped:
        body = body.replace("|", "\n")
    while "\n\n" in body:
        body = body.replace("\n\n", "\n")
    return body


def _offsets_hold(text: str, designators: list[tuple[str, str, str]]) -> bool:
    """Whether every designator (name, offset, length) points at its subfile and spans it to its terminator (annex D.12.4)."""
    if not designators or text[:1] != "@":
        return False
    expected = None
    for name, offset_digits, length_digits in designators:
        offset, length = int(offset_digits), int(length_digits)
        if text[offset : offset + 2] != name or (expected is not None and offset != expected):
            return False
        expected = offset + length
        if length < 2 or text[expected - 1 : expected] != "\r":
            return False
    return expected is not None and not text[expected:].strip("\r\n")


def _collect_in_order(text: str, payload: Payload) -> bool:
    """Take the elements of a card on which every line is an element that holds what it may; False, and nothing taken, when
    one is not. Seven cards in eight are so, and looking at each value by itself takes three times as long.
    """
    if text[-1:] != "\n":
        text += "\n"
    if len(text) > _LONGEST_IN_ORDER or (found := IN_ORDER.fullmatch(text)) is None:
        return False
    end = found.start(1)
    lines = text[: end - 1].split("\n")
    elements = {line[:3]: line[3:] for line in lines}
    # So few lines are rather lost separators; and an element that occurs twice leaves fewer elements than lines.
    if len(lines) < 5 or len(elements) < len(lines):
        return False
    payload.elements, payload.in_order = elements, True
    if "ZCE" in found[1]:
        _collect(found[1].split("\n"), payload)
    return True


def _collect(lines: list[str], payload: Payload) -> None:
    """Sort lines into elements; a line that begins no element continues the one before it."""
    elements, jurisdiction = payload.elements, payload.jurisdiction
    last = ""
    for raw in lines:
        line = raw.lstrip(" \t")
        if not line:
            continue
        key = line[:3]
        if key in KNOWN and key not in elements:  # nine lines in ten
            elements[key] = line[3:]
            last = key
            continue
        if key[0] == "Z" and len(key) == 3 and key[1:].isalnum():
            # The first element of a jurisdiction's subfile follows the subfile's type without a separator.
            if line[2:4] == key[:2]:
                key, line = line[2:5], line[2:]
            jurisdiction.setdefault(key, line[3:])
            last = key
            continue
        if _SUBFILE_PREFIX.match(line):
            line = line[2:]
            key = line[:3]
        if key in KNOWN or (_ELEMENT.match(key) and len(key) == 3 and key not in elements):
            value = line[3:]
            before = elements.get(key)
            if before is None:
                elements[key] = value
            elif before.strip() != value.strip():
                if not before.strip():
                    elements[key] = value
                payload.warnings.append(DocumentWarning("element_repeated", key))
            last = key
        elif line[:1] == "Z" and len(line.strip()) == 2:
            last = line.strip()  # a jurisdiction's subfile with nothing in it
            jurisdiction.setdefault(last, "")
        elif last[:1] == "Z":
            # Jurisdictions put signatures and base-85 there: any printable character may follow.
            jurisdiction[last] += "\n" + line
        elif last:
            # California's specimen turned a blank within a value into a line feed.
            elements[last] = f"{elements[last]} {line}"
            payload.warnings.append(DocumentWarning("line_joined", last))


def _part_subfiles(lines: list[str], subfiles: list[str], *, typed: bool) -> list[str]:
    """Begin a line where a jurisdiction's subfile begins, whose type stands twice ("ZFZFA"): its separator may be lost, or
    be a CR that was typed as "M" (Wisconsin, Indiana, New Hampshire, South Carolina by wedge)."""
    parted: list[str] = []
    for line in lines:
        for name in subfiles:
            cut = line.find(name + name, 1)
            if cut > 0 and line[0] == "D":
                parted.append(_WEDGE_CR.sub("", line[:cut]))
                line = line[cut:]
        parted.append(line)
    if typed:
        parted[-1] = _WEDGE_CR.sub("", parted[-1])
    return parted


def _cut_without_separators(body: str, subfiles: list[str], version: int) -> list[str]:
    """Cut a payload whose separators are all gone, by element names and by what each may hold.

    Names contain element names ("JORDAN" holds DAN, "MADALYN" DAL), so a cut counts only where the value before it makes
    sense, never where it would leave out a required element, and of several ways the one with the most usual and the
    fewest unusual elements wins. The search stops early on hostile input.
    """
    for name in subfiles:
        at = body.find(name + name)
        if at > 0:
            return [*_cut_without_separators(body[:at], [], version), body[at + 2 :]]
    allowed = KNOWN_IN_1 if version == 1 else KNOWN_SINCE_2
    starts = [match.start() for match in re.finditer(r"(?=(D[A-D][A-Z]))", body) if match[1] in allowed]
    if not starts or starts[0] != 0:
        return [body]
    best = _likeliest_cuts(body, starts, version)
    # Some text fields leave a blank for each separator: an element's name without one before it is rather part of a word.
    after_blank = [at for at in starts if at == 0 or body[at - 1] == " "]
    if len(after_blank) < len(starts) and (other := _likeliest_cuts(body, after_blank, version)):
        best = other if best is None or other[0] >= best[0] else best
    if best is None:
        raise DocumentError("separators_lost", "The scanner lost the separators between fields and they cannot be told apart. Scan again.")
    cuts = best[1]
    return [body[start:end] for start, end in zip(cuts, [*cuts[1:], len(body)], strict=True)]


def _likeliest_cuts(body: str, starts: list[int], version: int) -> tuple[int, list[int]] | None:
    """Of the ways to cut ``body`` at ``starts``, the first among them, the one with the highest score: two for a usual element."""
    required = frozenset(MANDATORY.get(version, ()))
    last_of = {body[at : at + 3]: at for at in starts}
    best: tuple[int, list[int]] | None = None
    steps = 0

    def extend(position: int, cuts: list[int], used: frozenset[str], score: int) -> None:
        nonlocal best, steps
        key = body[position : position + 3]
        value_of, now_used, now_cuts = VALUES[key], used | {key}, [*cuts, position]
        score += -2 if key in UNUSUAL else 2
        for nxt in starts:
            if nxt < position + 3:
                continue
            inner = body[nxt : nxt + 3]
            steps += 1
            if steps > _MAX_STEPS:
                return
            if inner not in now_used and value_of.fullmatch(body[position + 3 : nxt].strip()):
                # "9 DAIRY LANE" is rather one street than a "9" and a city.
                bare = key == "DAG" and not any(map(str.isalpha, body[position + 3 : nxt]))
                extend(nxt, now_cuts, now_used, score - bare)
            if inner in required and inner not in now_used and last_of[inner] == nxt:
                return  # going on would swallow an element that must be there
        if value_of.fullmatch(body[position + 3 :].strip()) and (best is None or score > best[0]):
            best = score, now_cuts

    extend(0, [], frozenset(), 0)
    return best

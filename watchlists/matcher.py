"""The matcher: several lists in service at once, screened together, each exchanged in one step."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from operator import itemgetter

import msgspec

from . import compiled
from .errors import UnknownListError
from .explain import explain
from .index import Index, RawMatch
from .known import Known
from .prepare import subject_digest
from .records import Entry, Explanation, Match, Subject, Thresholds
from .reference import FIELDS
from .score import CONTRADICTION, UNIT

_Found = tuple[int, list[Match]]  # the subject's place, and what it matches
_SLICE = 65_536  # subjects screened before `progress` is told
_CHUNKS = (2048, 262_144)  # subjects a worker takes at a time: many, for neighboring birth dates; few where the others would be idle


class _List(msgspec.Struct, frozen=True):
    """One list as it is in force: its index, what was added to it since, what was withdrawn from it."""

    name: str
    index: Index
    thresholds: Thresholds
    added: Index | None
    added_entries: dict[str, Entry]
    withdrawn: frozenset[str]
    revision: str


def _state(
    name: str, index: Index, thresholds: Thresholds, added: dict[str, Entry], withdrawn: frozenset[str]
) -> _List:
    extra = Index.build(added.values()) if added else None
    revision = index.revision
    if extra is not None or withdrawn:
        text = "\0".join([revision, extra.revision if extra else "", *sorted(withdrawn)])
        revision = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return _List(name, index, thresholds, extra, added, withdrawn, revision)


class Matcher:
    """Screens subjects against named lists.

    Safe to call from several threads: a call works on the lists as they were when it began, and `swap`, `add` and
    `withdraw` put a new state in their place in one assignment.
    """

    def __init__(
        self,
        indexes: Index | Mapping[str, Index],
        thresholds: Thresholds | Mapping[str, Thresholds] = Thresholds(),  # noqa: B008 - frozen
    ) -> None:
        named = {"default": indexes} if isinstance(indexes, Index) else dict(indexes)
        self._default = thresholds if isinstance(thresholds, Thresholds) else Thresholds()
        per_list = {} if isinstance(thresholds, Thresholds) else dict(thresholds)
        self._change = threading.Lock()
        self._lists: dict[str, _List] = {
            name: _state(name, index, per_list.get(name, self._default), {}, frozenset())
            for name, index in named.items()
        }

    @property
    def lists(self) -> tuple[str, ...]:
        """The names of the lists in service."""
        return tuple(self._lists)

    @property
    def revisions(self) -> dict[str, str]:
        """For each list the revision now in force; it changes with every swap, addition and withdrawal of substance."""
        return {name: one.revision for name, one in self._lists.items()}

    def revision(self, list_name: str) -> str:
        """The revision of one list. Raises UnknownListError."""
        return self._get(list_name).revision

    def screen(self, subject: Subject, lists: Iterable[str] | None = None) -> list[Match]:
        """Every possible match of `subject`, the strongest first; with `lists`, on those lists only."""
        now = self._lists
        chosen = list(now.values()) if lists is None else [self._get(name) for name in lists]
        matches: list[Match] = []
        for one in chosen:
            matches += _screen_list(one, subject)
        matches.sort(key=_order)
        return matches

    def screen_many(
        self,
        subjects: Iterable[Subject],
        workers: int = 2,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[list[Match]]:
        """The matches of each subject, in the order given. `progress` is told how many are done, now and then."""
        left = len(subjects) if isinstance(subjects, Sized) else None  # unknown: chunks grow, for nobody knows when to stop
        todo = iter(subjects)
        done = 0
        smallest, largest = _CHUNKS
        size = smallest
        workers = max(1, workers)
        with ThreadPoolExecutor(workers) as pool:
            waiting: deque[Future[list[list[Match] | None]]] = deque()
            while True:
                while len(waiting) < 2 * workers:
                    size = min(largest, size * 2 if left is None else max(smallest, left // (2 * workers)))
                    if not (chunk := list(islice(todo, size))):
                        break
                    waiting.append(pool.submit(self._screen_chunk, chunk))
                    left = None if left is None else left - len(chunk)
                if not waiting:
                    return
                found = waiting.popleft().result()
                yield from (matches or [] for matches in found)
                done += len(found)
                if progress is not None:
                    progress(done)

    def _screen_chunk(self, chunk: list[Subject]) -> list[list[Match] | None]:
        out: list[list[Match] | None] = [None] * len(chunk)
        for i, matches in _screen_part(self._lists.values(), Known(chunk, parts=1), 0, 0, len(chunk)):
            out[i] = matches
        return out

    def rescreen(self, known: Known, progress: Callable[[int], None] | None = None) -> list[tuple[int, list[Match]]]:
        """Of visitors kept ready those who match anything, as (place in `known`, matches), in the order of their places.

        Screened by as many threads as `known` has parts, against the lists as they are when this is called. `progress` is told
        how many are done, now and then, by one thread at a time.
        """
        lists, counting = tuple(self._lists.values()), threading.Lock()
        done = 0

        def screen(part: int) -> list[_Found]:
            nonlocal done
            found: list[_Found] = []
            for start in range(0, known.size(part), _SLICE):
                stop = min(start + _SLICE, known.size(part))
                found += _screen_part(lists, known, part, start, stop)
                with counting:
                    done += stop - start
                    if progress is not None:
                        progress(done)
            return found

        with ThreadPoolExecutor(known.parts) as pool:
            found = [one for part in pool.map(screen, range(known.parts)) for one in part]
        found.sort(key=itemgetter(0))
        return found

    def explain(self, match: Match) -> Explanation:
        """Why a match was shown, in words. The match must carry its subject (those of `screen` do)."""
        return explain(match)

    def swap(self, index: Index, list: str | None = None, thresholds: Thresholds | None = None) -> None:
        """Put `index` in the place of the list of that name (or add it as a new list), in one step.

        Without a name the only list is meant; UnknownListError if there are several. What had been added to or
        withdrawn from the old index is forgotten: the new one is taken to know.
        """
        with self._change:
            name = self._only() if list is None else list
            old = self._lists.get(name)
            chosen = thresholds or (old.thresholds if old else self._default)
            self._lists = {**self._lists, name: _state(name, index, chosen, {}, frozenset())}

    def drop(self, list: str) -> None:
        """Take a list out of service. Raises UnknownListError."""
        with self._change:
            self._get(list)
            self._lists = {name: one for name, one in self._lists.items() if name != list}

    def add(self, entries: Iterable[Entry], list: str | None = None) -> None:
        """Add or replace a few entries; in force when this returns. Raises EntryError, UnknownListError."""
        new = {entry.id: entry for entry in entries}
        with self._change:
            old = self._get(self._only() if list is None else list)
            withdrawn = old.withdrawn | new.keys()  # the index's own version, if any, no longer counts
            self._lists = {
                **self._lists,
                old.name: _state(old.name, old.index, old.thresholds, {**old.added_entries, **new}, withdrawn),
            }

    def withdraw(self, entry_ids: Iterable[str], list: str | None = None) -> None:
        """Take a few entries out; in force when this returns. Ids that are not there are no error."""
        gone = frozenset(entry_ids)
        with self._change:
            old = self._get(self._only() if list is None else list)
            kept = {key: entry for key, entry in old.added_entries.items() if key not in gone}
            self._lists = {
                **self._lists,
                old.name: _state(old.name, old.index, old.thresholds, kept, old.withdrawn | gone),
            }

    def _get(self, name: str) -> _List:
        try:
            return self._lists[name]
        except KeyError:
            raise UnknownListError(name, tuple(self._lists)) from None

    def _only(self) -> str:
        if len(self._lists) != 1:
            raise UnknownListError("(none named)", tuple(self._lists))
        return next(iter(self._lists))


def _order(match: Match) -> tuple[float, str, str]:
    return -match.bits, match.list, match.entry_id


def _eighths(bits: float) -> int:
    return -int(-bits * UNIT // 1)  # rounded up: no match under its threshold


def _screen_part(lists: Iterable[_List], known: Known, part: int, start: int, stop: int) -> list[_Found]:
    """Of the subjects [start, stop) of a part those who match anything, on any list, with all they match."""
    out: dict[int, list[Match]] = {}
    for one in lists:
        threshold = _eighths(one.thresholds.amber)
        for index, withdrawn in ((one.index, one.withdrawn), (one.added, frozenset[str]())):
            if index is None:
                continue
            for i, raw in index.matching_raw(known, threshold, part, start, stop):
                if matches := _matches(one, index, raw, known.subjects[i], withdrawn):
                    out.setdefault(i, []).extend(matches)
    for matches in out.values():
        matches.sort(key=_order)
    return list(out.items())


def _screen_list(one: _List, subject: Subject) -> list[Match]:
    threshold = _eighths(one.thresholds.amber)
    raw = one.index.screen_raw(subject, threshold)
    out = _matches(one, one.index, raw, subject, one.withdrawn) if raw else []
    if one.added is not None:
        out += _matches(one, one.added, one.added.screen_raw(subject, threshold), subject, frozenset())
    return out


def _matches(one: _List, index: Index, raw: list[RawMatch], subject: Subject, withdrawn: frozenset[str]) -> list[Match]:
    out = []
    shown = subject_digest(subject, compiled.tokens(subject.name))
    for entry, row, total, parts in raw:
        entry_id = index.entry_id(entry)
        if entry_id in withdrawn:
            continue
        digest = hashlib.blake2b(shown + index.entry_digest(entry), digest_size=16)
        bits = total / UNIT
        matched, birth_date = index.row_facts(row)
        out.append(
            Match(
                entry_id=entry_id,
                bits=bits,
                evidence={field: part / UNIT for field, part in zip(FIELDS, parts, strict=True) if part},
                band="red" if bits >= one.thresholds.red else "amber",
                contradictions=tuple(field for field, part in zip(FIELDS, parts, strict=True) if part <= CONTRADICTION)
                if min(parts) <= CONTRADICTION
                else (),
                list=one.name,
                revision=one.revision,
                digest=digest.hexdigest(),
                matched=matched,
                birth_date=birth_date,
                subject=subject,
            )
        )
    return out

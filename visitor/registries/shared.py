"""The lists that are kept entry by entry (barred persons, custody orders) in the matcher.

They stand there under names of their own (`barred+`), so that a district may also import a file called `barred` and neither
exchange ever takes the other's entries out of the search for a moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from visitor.registries.models import SHARED, SharedRow
from visitor.settings import Screening
from watchlists import Entry, Index, Matcher, Thresholds

_MARK: Final = "+"
_REBUILD_AFTER: Final = 200  # entries added one by one before the list's own index is made anew


def internal_name(name: str) -> str:
    return name + _MARK


def public_name(name: str) -> str:
    """A list's name as people know it."""
    return name.removesuffix(_MARK)


class SharedLists:
    def __init__(self, matcher: Matcher, settings: Screening) -> None:
        self._matcher = matcher
        self._thresholds = Thresholds(settings.amber_bits, max(settings.amber_bits, settings.red_bits))
        self._entries: dict[str, dict[str, Entry]] = {name: {} for name in SHARED}
        self._since_rebuild: dict[str, int] = dict.fromkeys(SHARED, 0)

    def names(self) -> set[str]:
        """Their names in the matcher."""
        return {internal_name(name) for name in SHARED}

    def entries(self, name: str) -> int:
        return len(self._entries[name])

    def entry(self, name: str, entry_id: str) -> Entry | None:
        return self._entries.get(name, {}).get(entry_id)

    def exchange(self, rows: Mapping[str, list[SharedRow]], today: date) -> None:
        """Search for what stands today and for nothing else. A few changes are made in place, many by a new index."""
        for name, found in rows.items():
            after = {str(row.id): row.entry for row in found if not row.expired(today)}
            before = self._entries[name]
            added = [entry for entry_id, entry in after.items() if entry_id not in before]
            gone = [entry_id for entry_id in before if entry_id not in after]
            if not added and not gone:
                continue
            inside, changes = internal_name(name), len(added) + len(gone)
            if inside not in self._matcher.lists or self._since_rebuild[name] + changes > _REBUILD_AFTER:
                self._matcher.swap(Index.build(after.values()), inside, self._thresholds)
                self._since_rebuild[name] = 0
            else:
                if added:
                    self._matcher.add(added, inside)
                if gone:
                    self._matcher.withdraw(gone, inside)
                self._since_rebuild[name] += changes
            self._entries[name] = after

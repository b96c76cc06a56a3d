"""Everything this library raises on purpose.

WatchlistError
├── SourceError        a registry file could not be read: names file, line and column
├── EntryError         an entry that can not be indexed (no id, an impossible birth date, the same id twice)
├── IndexFileError     a saved index is damaged, cut short, of another version, or not an index at all
├── UnknownListError   no list of that name in this matcher
└── CapacityError      a list too large for the plain-Python scorer, where no compiled kernel was to be had

None of them carries a person's data: they name files, positions, entry ids and list names.
"""

from __future__ import annotations


class WatchlistError(Exception):
    """Base of every error this library raises on purpose."""


class SourceError(WatchlistError):
    """A registry file is not what its format promises.

    `file` is the path or URL as given, `line` and `column` count from 1 and are 0 where the format has none
    (a truncated download has a line but no column).
    """

    def __init__(self, message: str, *, file: str = "", line: int = 0, column: int | str = 0) -> None:
        where = file
        if line:
            where += f":{line}"
        if column:
            where += f":{column}"
        super().__init__(f"{where}: {message}" if where else message)
        self.file = file
        self.line = line
        self.column = column
        self.reason = message


class EntryError(WatchlistError):
    """An entry that can not be indexed; `entry_id` says which, `field` where."""

    def __init__(self, message: str, *, entry_id: str = "", field: str = "") -> None:
        at = f"entry {entry_id!r}" if entry_id else "an entry"
        super().__init__(f"{at}, {field}: {message}" if field else f"{at}: {message}")
        self.entry_id = entry_id
        self.field = field
        self.reason = message


class IndexFileError(WatchlistError):
    """A file that is not an index this program can trust; `file` says which."""

    def __init__(self, message: str, *, file: str = "") -> None:
        super().__init__(f"{file}: {message}" if file else message)
        self.file = file
        self.reason = message


class UnknownListError(WatchlistError):
    """No list of that name is loaded; `list_name` says which was asked for."""

    def __init__(self, list_name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no list named {list_name!r}; loaded are: {', '.join(known) or 'none'}")
        self.list_name = list_name
        self.known = known


class CapacityError(WatchlistError):
    """More entries than the plain-Python scorer answers in useful time; build the compiled kernel."""

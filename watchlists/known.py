"""Visitors kept ready to be screened again: against each change of a list, or a whole list."""

from __future__ import annotations

from collections.abc import Iterable

from . import compiled
from .records import Subject

__all__ = ["Known"]


class Known:
    """Subjects read, folded and put in order of birth date once, to be screened any number of times (`Matcher.rescreen`).

    `parts` of them, 1 to 255, are screened side by side, a thread each. A part has all subjects of some surnames, so that what
    one thread has learned of a word is not learned by another too. Takes some 70 bytes a subject besides the subjects
    themselves, which are kept for the matches to name. Safe to use from several threads. Raises TypeError or AttributeError for
    what is no subject.
    """

    __slots__ = ("_sizes", "packed", "parts", "subjects")

    def __init__(self, subjects: Iterable[Subject], parts: int = 2) -> None:
        self.subjects = list(subjects)
        self.parts = min(255, max(1, parts))
        if compiled.available():
            self.packed, self._sizes = compiled.gather(self.subjects, self.parts)
        else:
            self.packed, self._sizes = None, tuple(len(range(part, len(self), self.parts)) for part in range(self.parts))

    def __len__(self) -> int:
        return len(self.subjects)

    def size(self, part: int) -> int:
        """How many subjects a part has."""
        return self._sizes[part]

    def members(self, part: int, start: int, stop: int) -> list[int]:
        """The places in `subjects` of the subjects [start, stop) of a part, in the order in which they are screened."""
        if self.packed is not None:
            return compiled.members(self.packed, part, start, stop)
        return list(range(part, len(self.subjects), self.parts)[start:stop])

"""Registries and matching; usable without the service.

    from watchlists import Entry, Index, Matcher, Name, Subject

    index = Index.build(entries)
    matcher = Matcher({"offenders": index})
    for match in matcher.screen(Subject(Name("GARCIA", "JOSE"), birth_date=date(1970, 3, 2))):
        print(match.band, match.bits, matcher.explain(match).sentences())
"""

from .errors import CapacityError, EntryError, IndexFileError, SourceError, UnknownListError, WatchlistError
from .index import Index
from .known import Known
from .matcher import Matcher
from .records import Address, Entry, Explanation, Match, Name, Reason, Subject, Thresholds

__all__ = [
    "Address",
    "CapacityError",
    "Entry",
    "EntryError",
    "Explanation",
    "Index",
    "IndexFileError",
    "Known",
    "Match",
    "Matcher",
    "Name",
    "Reason",
    "SourceError",
    "Subject",
    "Thresholds",
    "UnknownListError",
    "WatchlistError",
]

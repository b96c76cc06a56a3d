"""What sources yield, an index takes, and a matcher finds again: the whole way on published lists."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from watchlists import Index, Matcher, Subject
from watchlists.records import Entry, Name
from watchlists.sources import KINDS, PersonSource, people, read

UN_FILE = Path("un/UN_consolidated_2026-02-27.xml")


@pytest.fixture(scope="module")
def un(published: Path) -> list[Entry]:
    return list(read(published / UN_FILE, "un-xml"))


@pytest.fixture(scope="module")
def matcher(un: list[Entry]) -> Matcher:
    return Matcher({"un": Index.build(un)})


def test_every_entry_of_the_published_lists_can_be_indexed(published: Path) -> None:
    # One entry that an index refuses would keep the whole list out of force: entities and vessels, too, where they are asked for.
    for path, format in (("ofac_2019", "ofac-csv"), (UN_FILE, "un-xml")):
        entries = list(read(published / path, format, kinds=KINDS))
        assert len(Index.build(entries)) == len(entries)


def test_a_listed_person_is_found_by_name_and_birth_date(un: list[Entry], matcher: Matcher) -> None:
    sample = [e for e in un if e.names[0].given and e.birth_dates and len(e.birth_dates[0]) == 10][::25]
    assert len(sample) > 10
    for entry in sample:
        name = entry.names[0]
        found = matcher.screen(Subject(Name(name.family, name.given, name.middle), date.fromisoformat(entry.birth_dates[0])))
        assert entry.id in {match.entry_id for match in found}, entry.id


class CountyOnline:
    """A registry that may be asked but not kept, as a provider would write it."""

    name = "county-online"
    title = "Example County, asked person by person"

    def __init__(self, held: list[Entry]) -> None:
        self._held = held
        self.asked = 0

    def entries(self, asked: Subject, /) -> Iterator[Entry]:
        self.asked += 1
        wanted = asked.name.family.casefold()
        yield from (entry for entry in self._held if any(name.family.casefold() == wanted for name in entry.names))


def test_a_registry_asked_person_by_person_is_a_source_too() -> None:
    provider = CountyOnline([Entry("1", (Name("Zylberstein", "Ottilie"),), ("1980-05-17",)), Entry("2", (Name("Roe", "Al"),))])
    source: PersonSource = provider
    subject = Subject(Name("ZYLBERSTEIN", "OTTILIE"), date(1980, 5, 17))
    found = Matcher({source.name: Index.build(source.entries(subject))}).screen(subject)
    assert [(match.list, match.entry_id) for match in found] == [("county-online", "1")] and provider.asked == 1


def test_a_listed_person_is_found_by_a_name_in_its_original_script(un: list[Entry], matcher: Matcher) -> None:
    sample = [
        (entry, name)
        for entry in un
        for name in entry.names
        if people.script_letters(name.family) and name.given and entry.birth_dates and len(entry.birth_dates[0]) == 10
    ][::12]
    assert len(sample) > 8
    for entry, name in sample:
        found = matcher.screen(Subject(Name(name.family, name.given, name.middle), date.fromisoformat(entry.birth_dates[0])))
        assert entry.id in {match.entry_id for match in found}, entry.id

"""What sources yield, an index takes, and a matcher finds again: the whole way on published lists."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from watchlists import Index, Matcher, Subject
from watchlists.records import Entry, Name
from watchlists.sources import KINDS, people, read

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

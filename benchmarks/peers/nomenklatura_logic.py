"""nomenklatura's logic-v2 over candidates of a search index, as yente has them from its own (there OpenSearch, here tantivy)."""

from __future__ import annotations

import itertools
import logging
import shutil
import sys
import tempfile
from pathlib import Path

from common import Answer, Stopwatch, Visitor, accuracy, one_by_one, resident_mb, tell, visitors
from followthemoney import EntityProxy, model
from nomenklatura.matching import LogicV2
from tantivy_search import Fuzzy

CANDIDATES = 20
ASKED = 3_000  # visitors: a pair costs too much for more
SEX = {"M": "male", "F": "female"}


def person(key: str, names: list[tuple[str, str, str, str]], born: str, sex: str) -> EntityProxy:
    """A FollowTheMoney person; `names` are (full, given, middle, family), the first the name, the others aliases."""
    properties = {
        "name": [names[0][0]], "alias": [full for full, *_ in names[1:]], "birthDate": [born] if born else [],
        "firstName": list({given for _, given, _, _ in names if given}), "lastName": list({family for *_, family in names if family}),
        "middleName": list({middle for _, _, middle, _ in names if middle}), "gender": [SEX[sex]] if sex in SEX else [],
    }  # fmt: skip
    return model.get_proxy({"id": key, "schema": "Person", "properties": properties})


class Logic:
    def __init__(self, folder: Path, place: Path) -> None:
        self.search = Fuzzy(folder, place)
        self.known = {
            entry: [(row.full, row.given, row.middle, row.family, row.born, row.sex) for row in rows]
            for entry, rows in itertools.groupby(self.search.rows, key=lambda row: row.entry)
        }
        self.config = LogicV2.default_config()
        self.made: dict[str, EntityProxy] = {}
        self.asked = itertools.count()  # it keeps what it made of an entity by the entity's id

    def __call__(self, v: Visitor) -> Answer:
        query = person(f"visitor-{next(self.asked)}", [(v.full, v.given, v.middle, v.family)], v.born, v.sex)
        out: Answer = {}
        for number, _ in self.search.search(v, CANDIDATES):
            entry = self.search.rows[number].entry
            if entry not in out:
                if entry not in self.made:
                    rows = self.known[entry]
                    self.made[entry] = person(entry, [row[:4] for row in rows], rows[0][4], rows[0][5])
                out[entry] = LogicV2.compare(query, self.made[entry], self.config).score
        return out


def main(folder: Path) -> None:
    logging.disable(logging.WARNING)
    everyone = visitors(folder)
    people = everyone[:: max(1, len(everyone) // ASKED)]
    people = [v._replace(half=i % 2) for i, v in enumerate(people)]
    place = Path(tempfile.mkdtemp())
    try:
        with Stopwatch() as building:
            ask = Logic(folder, place)
        ask(people[0])  # loads its tables of names
        found = accuracy(people, [ask(v) for v in people])
        tell({
            "peer": "nomenklatura logic-v2", "build_s": round(building.cpu, 2),
            "given": f"names, aliases, parts, birth date, gender; the first {CANDIDATES} names of tantivy as candidates",
            "one_visitor": one_by_one(ask, people[::10]), "resident_mb": resident_mb(), **found,
        })  # fmt: skip
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""tantivy: fuzzy terms over names and the birth date, the best candidates scored again by name similarity and date."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import rescoring
import tantivy
from common import Answer, Stopwatch, Visitor, accuracy, one_by_one, registered, resident_mb, tell, visitors
from rapidfuzz import fuzz

CANDIDATES = 50


class Fuzzy:
    """One document a name. A query asks for each word within one edit (two from eight letters), whole or as it stands, and for
    the birth date's day, and its year and month and day apart; nothing is required, so that no single slip loses a name."""

    def __init__(self, folder: Path, place: Path) -> None:
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("name", stored=False, tokenizer_name="default", index_option="freq")
        for field in ("born", "year", "month_day"):
            builder.add_text_field(field, stored=False, tokenizer_name="raw", index_option="basic")
        builder.add_text_field("number", stored=True, tokenizer_name="raw", index_option="basic")
        self.schema = builder.build()
        self.rows = list(registered(folder))
        self.index = tantivy.Index(self.schema, path=str(place))
        writer = self.index.writer(heap_size=256_000_000, num_threads=1)
        for number, row in enumerate(self.rows):
            writer.add_document(tantivy.Document(
                name=row.full, born=row.born, year=row.born[:4], month_day=row.born[5:], number=str(number),
            ))  # fmt: skip
        writer.commit()
        writer.wait_merging_threads()
        self.index.reload()
        self.searcher = self.index.searcher()
        self.weight = 30.0

    def _query(self, v: Visitor) -> tantivy.Query:
        should, q = tantivy.Occur.Should, tantivy.Query
        parts = []
        for word in dict.fromkeys(v.full.lower().replace("-", " ").replace("'", " ").split()):
            parts.append((should, q.term_query(self.schema, "name", word)))
            if len(word) > 2:
                fuzzy = q.fuzzy_term_query(self.schema, "name", word, distance=2 if len(word) >= 8 else 1)
                parts.append((should, q.boost_query(fuzzy, 3.0)))
        if v.born:
            exact = q.term_query(self.schema, "born", v.born)
            parts += [(should, q.boost_query(exact, 1.5)), (should, q.term_query(self.schema, "year", v.born[:4]))]
            parts.append((should, q.term_query(self.schema, "month_day", v.born[5:])))
        return q.boolean_query(parts)

    def search(self, v: Visitor, limit: int = CANDIDATES) -> list[tuple[int, float]]:
        """(row, tantivy's own score), the best first."""
        hits = self.searcher.search(self._query(v), limit, count=False).hits
        return [(int(self.searcher.doc(address)["number"][0]), score) for score, address in hits]

    def each(self, v: Visitor, weights: Sequence[float]) -> list[Answer]:
        rows = [self.rows[number] for number, _ in self.search(v)]
        found = [(row.entry, fuzz.token_sort_ratio(v.full, row.full), row.born, row.sex) for row in rows]
        return rescoring.answers(v, found, weights)

    def __call__(self, v: Visitor) -> Answer:
        return self.each(v, (self.weight,))[0]

    def own_score(self, v: Visitor) -> Answer:
        out: Answer = {}
        for number, score in self.search(v, 10):
            out.setdefault(self.rows[number].entry, score)
        return out


def main(folder: Path) -> None:
    people = visitors(folder)
    place = Path(tempfile.mkdtemp())
    try:
        with Stopwatch() as building:
            ask = Fuzzy(folder, place)
        size = sum(file.stat().st_size for file in place.iterdir())
        same = {"build_s": round(building.cpu, 2), "index_mb": round(size / 1e6, 1)}
        found = accuracy(people, [ask.own_score(v) for v in people])
        given = "fuzzy words of names and aliases, birth date whole and in parts; "
        tell({"peer": "tantivy, its own score", "given": given + "the first 10", **same, "one_visitor": one_by_one(ask.own_score, people),
              "resident_mb": resident_mb(), **found})  # fmt: skip
        ask.weight = rescoring.tuned(people, ask)
        found = accuracy(people, [ask(v) for v in people])
        tell({"peer": "tantivy + rapidfuzz", "given": given + f"the first {CANDIDATES} scored again (rescoring.py)", **same,
              "date_weight": ask.weight, "one_visitor": one_by_one(ask, people), "resident_mb": resident_mb(), **found})  # fmt: skip
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""splink 5 on DuckDB: its own name and date comparisons with term frequencies, trained without labels as its guides say."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import splink.comparison_level_library as cll
import splink.comparison_library as cl
from common import Answer, Stopwatch, accuracy, registered, resident_mb, tell, visitors
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

ROUNDS = 3
LOWEST = -15.0  # match weight (bits) under which a pair is not returned
BLOCKS = [
    block_on("born"),
    block_on("family", "given_3"),
    block_on("family", "year"),
    block_on("given", "year", "family_2"),
    block_on("given", "month_day"),
    "l.family = r.given AND l.given = r.family",
    "l.family_first = r.family_first AND l.given = r.given",
]
INITIAL = cll.CustomLevel("left(middle_l, 1) = left(middle_r, 1)", label_for_charts="same initial")
COLUMNS = """
    unique_id, entry, nullif(family, '') AS family, nullif(given, '') AS given, nullif(middle, '') AS middle, nullif(sex, '') AS sex,
    CASE WHEN length(born) = 10 THEN born END AS born, nullif(left(born, 4), '') AS year,
    CASE WHEN length(born) = 10 THEN right(born, 5) END AS month_day,
    nullif(left(given, 3), '') AS given_3, nullif(left(family, 2), '') AS family_2, nullif(split_part(family, ' ', 1), '') AS family_first,
    nullif(trim(given || ' ' || family), '') AS full_name
"""


def settings() -> SettingsCreator:
    return SettingsCreator(
        link_type="link_only",
        comparisons=[
            cl.ForenameSurnameComparison("given", "family", jaro_winkler_thresholds=[0.92, 0.88], forename_surname_concat_col_name="full_name"),
            cl.CustomComparison([cll.NullLevel("middle"), cll.ExactMatchLevel("middle"), cll.JaroWinklerLevel("middle", 0.9), INITIAL, cll.ElseLevel()], "middle"),
            cl.DateOfBirthComparison("born", input_is_string=True, datetime_thresholds=[1, 1], datetime_metrics=["month", "year"]),
            cl.ExactMatch("sex"),
        ],
        blocking_rules_to_generate_predictions=BLOCKS,
        probability_two_random_records_match=1e-6,
    )


class Linking:
    """One row a name and a row a visitor; aliases are rows of their own with their entry's birth date and sex."""

    def __init__(self, folder: Path) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("SET threads = 1")
        self._load("registered", ((i, r.entry, r.family, r.given, r.middle, r.born, r.sex) for i, r in enumerate(registered(folder))))
        self.people = visitors(folder)
        self._load("visiting", ((i, "", v.family, v.given, v.middle, v.born, v.sex) for i, v in enumerate(self.people)))
        self.api = DuckDBAPI(connection=self.connection)
        self.left = self.api.register("registered", dataset_display_name="a_registered")
        self.right = self.api.register("visiting", dataset_display_name="b_visiting")
        self.linker = Linker([self.left, self.right], settings(), log_level=logging.ERROR)
        training = self.linker.training
        training.estimate_u_using_random_sampling(max_pairs=2e7, seed=1)
        for rule in (block_on("born"), block_on("given", "family")):
            training.estimate_parameters_using_expectation_maximisation(rule)

    def _load(self, table: str, rows: Any) -> None:
        raw = f"raw_{table}"
        self.connection.execute(
            f"CREATE TABLE {raw} (unique_id BIGINT, entry VARCHAR, family VARCHAR, given VARCHAR, middle VARCHAR, born VARCHAR, sex VARCHAR)"
        )
        columns = list(zip(*rows, strict=True))
        names = ("unique_id", "entry", "family", "given", "middle", "born", "sex")
        arrow = pa.table(dict(zip(names, columns, strict=True)))
        self.connection.execute(f"INSERT INTO {raw} SELECT * FROM arrow")
        self.connection.execute(f"CREATE TABLE {table} AS SELECT {COLUMNS} FROM {raw}")
        self.connection.execute(f"DROP TABLE {raw}")
        del arrow

    def everyone(self) -> list[Answer]:
        """All visitors at once."""
        pairs = self.linker.inference.predict(threshold_match_weight=LOWEST)
        return self._answers(pairs.physical_name)

    def _answers(self, table: str) -> list[Answer]:
        out: list[Answer] = [{} for _ in self.people]
        query = f"SELECT p.unique_id_r, r.entry, max(p.match_weight) FROM {table} p JOIN registered r ON r.unique_id = p.unique_id_l GROUP BY 1, 2"
        for number, entry, bits in self.connection.execute(query).fetchall():
            out[number][entry] = bits
        return out


def main(folder: Path) -> None:
    with Stopwatch() as building:
        linking = Linking(folder)
    times = []
    answers: list[Answer] = []
    for _ in range(ROUNDS):
        linking.linker.table_management.invalidate_cache()
        with Stopwatch() as watch:
            answers = linking.everyone()
        times.append(watch)
    cpu = sorted(watch.cpu for watch in times)[ROUNDS // 2] / len(linking.people)
    wall = sorted(watch.wall for watch in times)[ROUNDS // 2] / len(linking.people)
    tell({
        "peer": "splink 5", "build_s": round(building.cpu, 2), "resident_mb": resident_mb(),
        "given": f"names, aliases, middle, birth date, sex; {len(BLOCKS)} blocking rules; u by sampling, m by EM; all visitors in one call, one thread",
        "batch": {"cpu_us": {"mean": round(cpu * 1e6, 1)}, "wall_us": {"mean": round(wall * 1e6, 1)}}, **accuracy(linking.people, answers),
    })  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))

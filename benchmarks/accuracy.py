# ruff: noqa: N806 - R is the random source of every draw
"""Recall and false alerts of the matcher: the whole curve, by error and by origin of name; and that its search loses nothing.

    python benchmarks/accuracy.py curve --model a            # 1,000,000 records; --records for fewer
    python benchmarks/accuracy.py curve --model b --fields   # with ZIP, height and eye color on both sides; by origin of name
    python benchmarks/accuracy.py links                      # FEBRL 1 and 2, splink fake_1000, cross-script pairs
    python benchmarks/accuracy.py exact --records 10000 --queries 100000
    python benchmarks/accuracy.py oracle --pairs 1000000     # the kernel's bits against watchlists.reference

Results go to benchmarks/results/accuracy_*.json. Test data: VISITOR_TEST_DATA (default ../shared/data).
"""

from __future__ import annotations

import argparse
import collections
import datetime
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from people_census import Census, test_data
from people_other import ByOrigin

from watchlists import Address, Entry, Index, Name, Subject, testing
from watchlists.names import parse_full
from watchlists.score import UNIT

RESULTS = Path(__file__).parent / "results"
Known = tuple[str, Subject, list[str]]  # entry id or "", subject, what happened to it


def as_day(number: int) -> datetime.date | None:
    try:
        return datetime.date(number // 10000, number // 100 % 100, number % 100) if number else None
    except ValueError:
        return None


class Description:
    """Fields beside the name and birth date, drawn apart so that model A's own draws stay as they are."""

    def __init__(self, seed: int) -> None:
        self.R = random.Random(seed)

    def person(self, sex: str) -> tuple[str, str, int, str]:
        R = self.R
        place = min(int(R.paretovariate(0.6)), 30_000)
        region = f"{'ACDFGIKLMN'[place % 10]}{'ADELNORTXZ'[place // 50 % 10]}"
        height = round(R.gauss(177 if sex == "M" else 163, 7))
        return f"{10000 + place * 2:05d}", region, height, R.choices(["BRO", "BLU", "HAZ", "GRN", "GRY"], [46, 28, 14, 10, 2])[0]

    def shown(self, zip_code: str, region: str, height: int, eye: str) -> tuple[str, str, int, str]:
        """As a license shows them years later: a quarter have moved, heights are rounded, eyes are seen otherwise."""
        R = self.R
        u = R.random()
        if u < 0.12:
            zip_code = zip_code[:3] + f"{R.randrange(50) * 2:02d}"
        elif u < 0.25:
            zip_code, region, _, _ = self.person("M")
        return zip_code, region, height + round(R.gauss(0, 2.5)), R.choice(["BRO", "BLU", "HAZ", "GRN"]) if R.random() < 0.06 else eye


def model_a(records: int, true: int, false: int, fields: bool) -> tuple[Iterator[Entry], list[Known]]:
    """Error model A. Entries are made as they are taken; the known people are complete once the last has been."""
    census, describe = Census(), Description(5)
    kept: list[tuple[str, Any, list[list[str]], tuple[str, str, int, str]]] = []
    known: list[Known] = []

    def subject(shown: list, d: tuple[str, str, int, str] | None) -> Subject:
        g, m, family, suffix, born, sex = shown
        place = Address(postal_code=d[0], region=d[1]) if d else None
        return Subject(Name(family, g, m, suffix), as_day(born), sex or None, place, d[2] if d else None, d[3] if d else None)

    def entries() -> Iterator[Entry]:
        for i, p, aliases, middle, born, visits in census.registry(records, true):
            d = describe.person(p[5])
            if visits:
                kept.append((f"R{i:07d}", p, aliases, d))
            dates = () if not born else (f"{born:08d}"[:4],) if born % 10000 == 0 else (f"{born // 10000}-{born // 100 % 100:02d}-{born % 100:02d}",)
            names = (Name(p[2], p[0], middle, p[3]), *(Name(a[2], a[0], a[1], "", "alias") for a in aliases))
            if fields:
                yield Entry(f"R{i:07d}", names, dates, p[5], (Address(postal_code=d[0], region=d[1]),), d[2], d[3])
            else:
                yield Entry(f"R{i:07d}", names, dates, p[5])
        for entry_id, p, aliases, d in kept:
            shown, tags = census.visitor(p, aliases)
            known.append((entry_id, subject(shown, describe.shown(*d) if fields else None), tags))
        for _ in range(false):
            shown, tags = census.visitor(census.person(), [])
            known.append(("", subject(shown, describe.person(shown[5]) if fields else None), tags))

    return entries(), known


def model_b(records: int, true: int, false: int, fields: bool) -> tuple[Iterator[Entry], list[Known]]:
    """Error model B; each known person's first tag is the origin of his name."""
    people = ByOrigin()
    known: list[Known] = []
    chosen = set(random.Random(3).sample(range(records), true))

    def address(v: dict) -> Address | None:
        return Address(postal_code=v["zip"], region=v["region"]) if fields else None

    def subject(v: dict) -> Subject:
        name = Name(v["family"], v["given"], v["middle"])
        return Subject(name, v["born"], v["sex"], address(v), v["height"] if fields else None, v["eye"] if fields else None)

    def entries() -> Iterator[Entry]:
        kept = []
        for i in range(records):
            p = people.person()
            if i in chosen:
                kept.append((f"R{i:07d}", p))
            middle = p["middle"][:1] if people.R.random() < 0.3 else p["middle"]
            dates = (p["born"].isoformat(),) if people.R.random() < 0.98 else (str(p["born"].year),) if people.R.random() < 0.3 else ()
            names = [Name(p["family"], p["given"], middle)]
            if people.R.random() < 0.25:
                other = people.person(p["origin"])
                names.append(Name(other["family"] if people.R.random() < 0.5 else p["family"], other["given"], "", "", "alias"))
            place = address(p)
            entry = Entry(f"R{i:07d}", tuple(names), dates, p["sex"], (place,) if place else ())
            yield Entry(entry.id, entry.names, dates, entry.sex, entry.addresses, p["height"], p["eye"]) if fields else entry
        for entry_id, p in kept:
            v, tags = people.visitor(p)
            known.append((entry_id, subject(v), [f"origin:{p['origin']}", *tags]))
        for _ in range(false):
            p = people.person()
            v, tags = people.visitor(p)
            known.append(("", subject(v), [f"origin:{p['origin']}", *tags]))

    return entries(), known


def best_scores(index: Index, known: list[Known], lowest: float) -> tuple[list[tuple[float, list[str]]], list[tuple[float, list[str]]]]:
    """For the true visitors the score of their own entry, for the others the best score of any; 0 for none."""
    true, false = [], []
    for start in range(0, len(known), 5000):
        chunk = known[start : start + 5000]
        for (entry_id, _, tags), raw in zip(chunk, index.screen_many_raw([s for _, s, _ in chunk], int(lowest * UNIT)), strict=True):
            if entry_id:
                number = int(entry_id[1:])
                true.append((max((total / UNIT for entry, _, total, _ in raw if entry == number), default=0.0), tags))
            else:
                false.append((raw[0][2] / UNIT if raw else 0.0, tags))
    return true, false


def share(scores: list[tuple[float, list[str]]], cut: float) -> float:
    return sum(score >= cut for score, _ in scores) / max(1, len(scores))


def cut_for(false: list[tuple[float, list[str]]], rate: float, lowest: float) -> float:
    """The lowest threshold, on the scorer's grid, at which no more than `rate` of the false visitors have an alert."""
    cut = float(lowest)
    while share(false, cut) > rate:
        cut += 1 / UNIT
    return cut


def curve(args: argparse.Namespace) -> dict[str, Any]:
    entries, known = (model_a if args.model == "a" else model_b)(args.records, args.true, args.false, args.fields)
    started = time.perf_counter()
    index = Index.build(entries)
    print(f"{len(index):,} entries, {index.names:,} names, {time.perf_counter() - started:.0f} s with making them up", flush=True)
    lowest = 18 if args.fields else 14  # with more fields more rows can reach a low threshold, and every one of them is scored
    true, false = best_scores(index, known, lowest)
    result: dict[str, Any] = {"model": args.model, "records": len(index), "names": index.names, "fields": args.fields, "curve": [], "at": []}
    result |= {"true": len(true), "false": len(false)}
    for cut in range(lowest, 33):
        result["curve"].append({"bits": cut, "recall": share(true, cut), "false_alerts": share(false, cut)})
        print(f"{cut} bits  recall {share(true, cut):7.2%}  false alerts {share(false, cut):.3%}")
    for rate in (0.0109, 0.01, 0.0043, 0.0018, 0.001, 0.0005):
        cut = cut_for(false, rate, lowest)
        result["at"].append({"false_alerts": rate, "bits": cut, "recall": share(true, cut)})
        print(f"at {rate:.2%} false alerts ({cut} bits): recall {share(true, cut):.2%}")
    cut = cut_for(false, 0.01, lowest)
    result["by_error_at_1_percent"] = _by_tag(true, cut, lambda tag: not tag.startswith("origin:"))
    print("recall at 1 % by error:", {tag: f"{r:.1%} of {n}" for tag, (r, n) in result["by_error_at_1_percent"].items()})
    if args.model == "b":
        result["by_origin"] = {
            f"{cut_bits} bits": {
                origin: {"recall": r, "true": n, "false_alerts": f, "false": k}
                for (origin, (r, n)), (f, k) in (
                    (item, _by_tag(false, cut_bits, lambda tag, o=item[0]: tag == o)[item[0]])
                    for item in _by_tag(true, cut_bits, lambda tag: tag.startswith("origin:")).items()
                )
            }
            for cut_bits in (cut, 20.0, 24.0)
        }
        for name, rows in result["by_origin"].items():
            print(name)
            for origin, row in sorted(rows.items()):
                print(f"  {origin:26} recall {row['recall']:.2%} of {row['true']:5}  false alerts {row['false_alerts']:.3%} of {row['false']}")
    return result


def _by_tag(scores: list[tuple[float, list[str]]], cut: float, wanted: Any) -> dict[str, tuple[float, int]]:
    hit, seen = collections.Counter(), collections.Counter()
    for score, tags in scores:
        for tag in {*tags} or {"none"}:
            if wanted(tag):
                seen[tag] += 1
                hit[tag] += score >= cut
    return {tag: (hit[tag] / n, n) for tag, n in seen.most_common()}


def exact(args: argparse.Namespace) -> dict[str, Any]:
    """Every query both ways: through the search, and by the compiled scorer over every row with every token looked at."""
    true = min(args.records, args.queries // 10)
    entries, known = model_a(args.records, true, args.queries - true, False)
    image = Index.build(entries)._core.image  # type: ignore[attr-defined]
    lost = differ = hits = 0
    for number, (_, subject, _) in enumerate(known):
        threshold = (12, 16, 18, 20)[number % 4] * UNIT
        everything = {(entry, total) for entry, _, total, _ in image.screen(subject, threshold, 1)}
        found = {(entry, total) for entry, _, total, _ in image.screen(subject, threshold)}
        hits += len(everything)
        lost += len(everything - found)
        differ += len(found - everything)
    print(f"{len(known):,} queries against {args.records:,} records: {hits:,} candidates, {lost} lost, {differ} scored otherwise")
    return {"records": args.records, "queries": len(known), "candidates": hits, "lost": lost, "scored_otherwise": differ}


def oracle(args: argparse.Namespace) -> dict[str, Any]:
    """Random and near pairs, scored by the kernel and by watchlists.reference: every total must be the same."""
    entries_of_a, known = model_a(500, 250, max(1, args.pairs // 500 - 250), False)
    entries = list(entries_of_a)
    ours, theirs = Index.build(entries), Index.build(entries, reference=True)
    pairs = different = 0
    for _, subject, _ in known:
        a = {entry: total for entry, _, total, _ in ours.screen_raw(subject, -60 * UNIT)}
        b = {entry: total for entry, _, total, _ in theirs.screen_raw(subject, -60 * UNIT)}
        pairs += len(b)
        different += sum(a.get(entry) != total for entry, total in b.items()) + len(a.keys() - b.keys())
    print(f"{pairs:,} pairs scored by both, {different} differ")
    return {"pairs": pairs, "different": different}


def links(args: argparse.Namespace) -> dict[str, Any]:
    """Labelled true links of others: the left sides are a registry, the right sides visit; the false are right sides of other people."""
    folder = test_data() / "namematch"
    out: dict[str, Any] = {}
    for name in ("febrl_dataset1_truelinks", "febrl_dataset2_truelinks", "splink_fake_1000_truelinks"):
        pairs = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()]
        left = {pair["left"]["id"]: pair["left"] for pair in pairs}
        related: dict[str, set[str]] = collections.defaultdict(set)  # everyone linked with an id, at any distance
        for pair in pairs:
            a, b = pair["left"]["id"], pair["right"]["id"]
            joined = related[a] | related[b] | {a, b}
            for one in joined:
                related[one] = joined
        numbers = {entry_id: n for n, entry_id in enumerate(left)}
        index = Index.build(_entry(one) for one in left.values())
        fillers = list(testing.subjects(2000, seed=77))
        rows = index.screen_many_raw([_subject(pair["right"]) for pair in pairs], 10 * UNIT)
        true, wrong = [], []
        for pair, raw in zip(pairs, rows, strict=True):
            own = {numbers[one] for one in related[pair["right"]["id"]] if one in numbers}
            true.append(max((total / UNIT for entry, _, total, _ in raw if entry == numbers[pair["left"]["id"]]), default=0.0))
            wrong.append(max((total / UNIT for entry, _, total, _ in raw if entry not in own), default=0.0))
        strangers = [raw[0][2] / UNIT if raw else 0.0 for raw in index.screen_many_raw(fillers, 10 * UNIT)]
        result = []
        for cut in (14, 16, 18, 20, 22, 24):
            n = len(pairs)
            found, other, alien = (sum(score >= cut for score in scores) for scores in (true, wrong, strangers))
            result.append({"bits": cut, "recall": found / n, "another_person": other / n, "strangers": alien / len(strangers)})
            print(f"{name} {n} links, {cut} bits: recall {found / n:.2%}, another person {other / n:.2%}, strangers {alien / 2000:.2%}")
        out[name] = result
    pairs = [json.loads(line) for line in (folder / "watchman_cross_script_pairs.jsonl").read_text("utf-8").splitlines()]
    found = []
    for pair in pairs:
        index = Index.build([Entry("x", (parse_full(pair["left"]["name"]),))])
        raw = index.screen_raw(Subject(parse_full(pair["right"]["name"])), 6 * UNIT)
        found.append((bool(raw), pair))
    good = [ok for ok, pair in found if pair["match"]]
    bad = []  # every left side against everybody else's right side
    for pair in pairs:
        index = Index.build([Entry("x", (parse_full(pair["left"]["name"]),))])
        theirs = {other["right"]["name"] for other in pairs if other["left"]["name"] == pair["left"]["name"] or other["right"] == pair["right"]}
        others = [other["right"]["name"] for other in pairs if other["right"]["name"] not in theirs]
        bad += [bool(index.screen_raw(Subject(parse_full(name)), 6 * UNIT)) for name in others]
    out["cross_script"] = {"true": len(good), "found": sum(good), "false": len(bad), "found_wrongly": sum(bad), "bits": 6}
    print("cross-script pairs by name alone, 6 bits:", out["cross_script"], [p["left"]["name"] for ok, p in found if p["match"] and not ok])
    return out


def _entry(one: dict) -> Entry:
    born = one["dob"].replace("-", "")
    date = as_day(int(born)) if born.isdigit() and len(born) == 8 else None
    family, given = one.get("surname") or "", one.get("given_name") or ""
    names = (Name(family, given),) if family.strip() or given.strip() else (Name("unknown"),)
    place = (Address(postal_code=one["postcode"], region=one.get("state", "")[:2]),) if one.get("postcode") else ()
    return Entry(one["id"], names, (date.isoformat(),) if date and date.year > 1000 else (), None, place)


def _subject(one: dict) -> Subject:
    entry = _entry(one)
    date = datetime.date.fromisoformat(entry.birth_dates[0]) if entry.birth_dates else None
    return Subject(entry.names[0], date, None, entry.addresses[0] if entry.addresses else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("curve", "links", "exact", "oracle"))
    parser.add_argument("--model", choices=("a", "b"), default="a")
    parser.add_argument("--fields", action="store_true", help="ZIP, height and eye color on both sides")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--true", type=int, default=10_000)
    parser.add_argument("--false", type=int, default=90_000)
    parser.add_argument("--queries", type=int, default=2_000)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    args = parser.parse_args()
    result = {"curve": curve, "links": links, "exact": exact, "oracle": oracle}[args.what](args)
    result["date"] = datetime.date.today().isoformat()
    size = f"_{args.records}" if args.what in ("curve", "exact") else ""
    suffix = (f"_{args.model}" + ("_fields" if args.fields else "")) if args.what == "curve" else ""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"accuracy_{args.what}{suffix}{size}.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

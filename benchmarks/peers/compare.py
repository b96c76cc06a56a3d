"""The matcher and its peers on the same people: one process a peer, so that each one's memory is its own.

    sh benchmarks/peers/run                          # 100,000 and 1,000,000 records; makes the peers' environment in build/peers
    sh benchmarks/peers/run --records 10000 --only tantivy_search

Every peer is given what a careful user would give it; `given` in the results says what. Its threshold is tuned on half of the
visitors so that at most 1 % of those in no record have any alert; recall of the true entry and false alerts are of the other half.
Times are of one visitor at a time in a warm process unless `batch` is said, medians of three rounds. Results:
benchmarks/results/peers.json. Run by the peers' Python (build/peers); the people and the matcher by the project's (.venv).
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
RESULTS = HERE.parent / "results" / "peers.json"
OURS = PROJECT / ".venv/bin/python"
PEERS = ("ours", "splink_link", "tantivy_search", "pg_trgm", "rapidfuzz_cdist", "nomenklatura_logic")
PEOPLE = {10_000: (800, 1_600), 100_000: (2_000, 4_000), 1_000_000: (1_000, 2_000)}  # records → visitors in and not in them
PACKAGES = ("splink", "duckdb", "tantivy", "nomenklatura", "followthemoney", "rapidfuzz", "psycopg")


def measure(peer: str, folder: Path, seconds: int) -> list[dict[str, Any]]:
    """What one peer says of itself; in words why not, where it fails or takes too long."""
    python = OURS if peer == "ours" else Path(sys.executable)
    # One thread each: a visitor at a desk is one question, and a node has its other cores for other things.
    env = os.environ | {"RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run([python, HERE / f"{peer}.py", folder], capture_output=True, text=True, timeout=seconds, env=env)
    except subprocess.TimeoutExpired:
        return [{"peer": peer, "skipped": f"not done in {seconds} s"}]
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode:
        found.append({"peer": peer, "skipped": (done.stderr.strip().splitlines() or ["failed"])[-1][:300]})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--only", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--seconds", type=int, default=1_800, help="the longest one peer may take at one size")
    parser.add_argument("--people", type=Path, help="a folder to keep the people in and take them from")
    args = parser.parse_args()
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    result: dict[str, Any] = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {"sizes": {}}
    result |= {"date": datetime.date.today().isoformat(), "machine": machine, "versions": {p: importlib.metadata.version(p) for p in PACKAGES}}
    with tempfile.TemporaryDirectory() as temporary:
        for records in args.records:
            folder = (args.people or Path(temporary)) / str(records)
            true, false = PEOPLE.get(records, (1_000, 2_000))
            if not (folder / "visitors.csv").is_file():
                make = [OURS, HERE / "people.py", folder, "--records", str(records), "--true", str(true), "--false", str(false)]
                subprocess.run(make, check=True)
            kept = result["sizes"].setdefault(str(records), {"peers": {}})
            kept["visitors"] = {"true": true, "false": false}
            for peer in args.only:
                load = os.getloadavg()[0]
                kept["peers"][peer] = [one | {"load_average": round(load, 1)} for one in measure(peer, folder, args.seconds)]
                for one in kept["peers"][peer]:
                    print(records, json.dumps(one), flush=True)
                RESULTS.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

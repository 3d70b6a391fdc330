"""`python -m benchmarks.torture`: kills, hostile inputs, and what they did.

    python -m benchmarks.torture --kills 100 --inputs 4000 --minutes 10
    python -m benchmarks.torture --case artifact 17        # repeat one case and show its output

Writes `benchmarks/results/torture.json`; ends with 1 if there was a fault. Nothing outside a
temporary folder is touched.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from . import inputs, kills
from .command import preload
from .grounds import make

RESULTS = Path(__file__).resolve().parents[1] / "results" / "torture.json"


def main() -> None:
    options = _options()
    preload()
    with tempfile.TemporaryDirectory() as text:
        grounds = make(Path(text) / "grounds")
        if options.case:
            done, fault = inputs.one(grounds, options.case[0], int(options.case[1]), options.seed)
            print(json.dumps({**asdict(done), "fault": fault}, indent=1, ensure_ascii=False))
            sys.exit(bool(fault))
        end = time.monotonic() + 60 * options.minutes
        half = end - 30 * options.minutes
        killed = kills.campaign(
            grounds, options.kills, options.seed, lambda: half - time.monotonic()
        )
        workers = os.cpu_count() or 1
        jobs = [(grounds, options.inputs, options.seed, end, (n, workers)) for n in range(workers)]
        with multiprocessing.get_context("fork").Pool(workers) as pool:
            parts = pool.starmap(_part, jobs)
    asked: Counter[str] = sum((part.asked for part in parts), Counter())
    faults = [asdict(fault) for part in parts for fault in part.faults]
    result = {
        "seed": options.seed,
        "kills": {"by command": killed.killed, "lost": killed.lost, "twice": killed.paid_twice},
        "inputs": {
            "by target": dict(asked),
            "faults": faults,
            "slowest seconds": round(max(part.seconds for part in parts), 2),
            "peak MiB": round(max(part.peak for part in parts) / 2**20),
        },
    }
    options.output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    kinds = dict(Counter(fault["fault"] for fault in faults))
    print(
        f"{sum(killed.killed.values())} kills: {len(killed.lost)} lost, "
        f"{len(killed.paid_twice)} paid twice; {asked.total()} inputs: {len(faults)} faults {kinds}"
    )
    sys.exit(bool(killed.lost or killed.paid_twice or faults))


def _part(*job: object) -> inputs.Inputs:
    grounds, count, seed, end, part = job
    left = lambda: end - time.monotonic()  # type: ignore[operator]  # noqa: E731
    return inputs.campaign(grounds, count, seed, left, part)  # type: ignore[arg-type]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--inputs", type=int, default=4000)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--case", nargs=2, metavar=("TARGET", "NUMBER"))
    return parser.parse_args()


if __name__ == "__main__":
    main()

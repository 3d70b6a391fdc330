"""`python -m benchmarks.torture`: kills, hostile inputs, and what they did.

    python -m benchmarks.torture                           # `make torture`: ten minutes
    python -m benchmarks.torture --kills 1000 --inputs 20000 --minutes 60 --resume
    python -m benchmarks.torture --case artifact 17        # repeat one case and show its output

Writes `benchmarks/results/torture.json`; ends with 1 if there was a fault. `--resume` adds to what
is there, after it has repeated the cases that showed a fault. Nothing outside a temporary folder is
touched.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from . import inputs, kills
from .command import preload, warm_up
from .grounds import Grounds, copied, make, memory_folder
from .record import Record

RESULTS = Path(__file__).resolve().parents[1] / "results" / "torture.json"
KILLS, INPUTS = 20, 400
"""Kills and cases between two writes of the results."""
WARM = (
    ("priors", "list"),
    ("search", "folders", "-m", "script.yaml", "--budget", "60", "--reflect", "-q"),
    ("eval", "prompt.yaml", "folders", "-m", "script.yaml", "-q"),
    ("reflect", "prompt.yaml", "folders", "-m", "script.yaml", "--budget", "60", "-q"),
    ("predict", "prompt.yaml", "folders/A/0.png", "-m", "script.yaml"),
    ("report", "run", "--text"),
    ("export", "prompt.yaml", "--to", "openai"),
)


def main() -> None:
    options = _options()
    preload()
    with tempfile.TemporaryDirectory(dir=memory_folder()) as text:
        grounds = make(Path(text) / "grounds")
        warm = copied(grounds, Path(text) / "warm")
        warm_up(WARM, warm.root, warm.environment)
        if options.case:
            done, fault = inputs.one(grounds, options.case[0], int(options.case[1]), options.seed)
            print(json.dumps({**asdict(done), "fault": fault}, indent=1, ensure_ascii=False))
            sys.exit(bool(fault))
        record = Record.read(options.output, options.seed) if options.resume else Record()
        _run(grounds, options, record)
    print(record.summary())
    sys.exit(bool(record.faults))


def _run(grounds: Grounds, options: argparse.Namespace, record: Record) -> None:
    """Slices of kills and inputs in turn, until both counts are reached or the time is over."""
    end = time.monotonic() + 60 * options.minutes
    left = lambda: end - time.monotonic()  # noqa: E731
    for target, number in record.cases_with_faults():
        done, fault = inputs.one(grounds, target, number, options.seed)
        record.repeated(target, number, done, fault)
    record.write(options.output, options.seed)
    whole = kills.prepared(grounds) if options.kills > record.kills else {}
    workers = options.workers or os.cpu_count() or 1
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        while left() > 0:
            wanted = options.kills - record.kills, options.inputs - record.inputs
            if max(wanted) <= 0:
                break
            if wanted[0] > 0:
                each = -(-min(wanted[0], KILLS) // workers)
                seed = f"{options.seed} {record.kills}"
                jobs = [(grounds, each, f"{seed} {n}", whole) for n in range(workers)]
                for killed in pool.starmap(kills.campaign, jobs):
                    record.add_kills(killed)
            if wanted[1] > 0:
                first = record.inputs
                last = min(options.inputs, first + INPUTS)
                parts = [(grounds, first, last, options.seed, (n, workers)) for n in range(workers)]
                for asked in pool.starmap(inputs.campaign, parts):
                    record.add_inputs(asked)
            record.write(options.output, options.seed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=0, help="default: one for each processor")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--case", nargs=2, metavar=("TARGET", "NUMBER"))
    return parser.parse_args()


if __name__ == "__main__":
    main()

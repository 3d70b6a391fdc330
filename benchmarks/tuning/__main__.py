"""Command line of the comparison with tuning: `write`, `measure`, `latency`, `report`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.real.catalogue import EVERY
from benchmarks.real.sources import MissingData
from benchmarks.real.write import DATA, write_task

from . import __doc__ as about

LARGEST = 64


def write(options: argparse.Namespace) -> int:
    """Task folders with enough training examples."""
    for name in options.tasks:
        try:
            print(write_task(name, options.folder, options.data, options.seed, LARGEST))
        except MissingData as problem:
            print(f"{name}: skipped: {problem}", file=sys.stderr)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tuning", description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write", help="write task folders with 64 training examples")
    writing.add_argument("folder", type=Path)
    writing.add_argument("--data", type=Path, default=DATA)
    writing.add_argument("--tasks", nargs="+", choices=EVERY, required=True)
    writing.add_argument("--seed", type=int, default=0)
    running = commands.add_parser("measure", help="train and measure")
    running.add_argument("folder", type=Path, help="task folders, as `write` made them")
    timing = commands.add_parser("latency", help="time answers for one tenant and for eight")
    timing.add_argument("folder", type=Path)
    for one in (running, timing):
        one.add_argument("--model", type=Path, required=True)
        one.add_argument("--mmproj", type=Path, required=True)
        one.add_argument("--corpus", type=Path, required=True, help="a corpus that synth wrote")
        one.add_argument("--work", type=Path, required=True, help="where runs are kept")
        one.add_argument("--tasks", nargs="+", choices=EVERY, default=[])
        one.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    running.add_argument("--sizes", type=int, nargs="+", default=[])
    running.add_argument("--methods", nargs="+", default=[])
    running.add_argument("--prompts", nargs="+", default=["seed", "adapted"])
    running.add_argument("--no-corpus", action="store_true", help="no runs with it mixed in")
    running.add_argument("--rates", type=float, nargs="+", default=[], help="on dev tasks only")
    running.add_argument("--steps", type=int, default=40)
    running.add_argument("--minutes", type=float, default=0.0, help="begin no run after this time")
    reporting = commands.add_parser("report", help="write results and the page's tables")
    reporting.add_argument("--runs", type=Path, help="read these runs (the work folder) first")
    options = parser.parse_args()
    if options.command == "write":
        return write(options)
    if options.command == "report":
        from .report import report

        return report(options.runs)
    from . import latency, measure

    options.tasks = options.tasks or list(measure.HELD)
    if options.command == "latency":
        return latency.latency(options)
    options.sizes = options.sizes or list(measure.SIZES)
    return measure.measure(options)


if __name__ == "__main__":
    sys.exit(main())

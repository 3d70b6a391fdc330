"""Command line of the real tasks: `list` them, `write` their folders, `compare` methods."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import readme
from benchmarks.compare import collect

from . import __doc__ as about
from . import checks, compare, demonstrations, lessons, report
from .catalogue import TASKS
from .sources import MissingData
from .write import DATA, write_task


def write(out: Path, data: Path, names: list[str], seed: int) -> int:
    """Write task folders; a task whose data is missing is skipped with one line."""
    written = 0
    for name in names:
        try:
            print(write_task(name, out, data, seed))
            written += 1
        except MissingData as problem:
            print(f"{name}: skipped: {problem}", file=sys.stderr)
    return 0 if written else 1


def list_tasks() -> None:
    for name, task in TASKS.items():
        labels = ", ".join(task.labels)
        print(f"{name}: {task.part}, {task.source}, {task.train} + {task.test}: {labels}")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.real", description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the tasks, one a line")
    writing = commands.add_parser("write", help="write the task folders")
    writing.add_argument("folder", type=Path)
    writing.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    writing.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    writing.add_argument("--seed", type=int, default=0)
    comparing = commands.add_parser("compare", help="run methods on written tasks")
    compare.add_arguments(comparing)
    learning = commands.add_parser("lessons", help="keep what searches on dev tasks teach")
    compare.add_arguments(learning)
    checking = commands.add_parser("checks", help="verdicts, few examples, random labels")
    compare.add_arguments(checking)
    checking.add_argument("--parts", nargs="+", choices=checks.PARTS, default=list(checks.PARTS))
    showing = commands.add_parser("demonstrations", help="training examples before the question")
    compare.add_arguments(showing)
    widening = commands.add_parser("bf16", help="write a text model's weights in bfloat16")
    widening.add_argument("source", type=Path)
    widening.add_argument("out", type=Path)
    reporting = commands.add_parser("report", help="put the tables of the runs into the README")
    reporting.add_argument("--runs", type=Path, help="read these runs (real.jsonl) first")
    options = parser.parse_args()
    if options.command == "report":
        if options.runs:
            collect(options.runs, report.RESULTS)
        report.plot(report.loaded())
        readme.main()
        return 0
    if options.command == "compare":
        return compare.compare(options)
    if options.command == "lessons":
        return lessons.learn(options)
    if options.command == "checks":
        return checks.check(options)
    if options.command == "demonstrations":
        return demonstrations.measure(options)
    if options.command == "bf16":
        from .bf16 import to_bf16  # needs the package gguf

        to_bf16(options.source, options.out)
        return 0
    if options.command == "list":
        list_tasks()
        return 0
    return write(options.folder, options.data, options.tasks, options.seed)


if __name__ == "__main__":
    sys.exit(main())

"""What a user's own searches on the dev tasks teach, and what it is worth on other tasks.

    python -m benchmarks.real lessons FOLDER --model M --mmproj P --work WORK --budgets 300
    python -m benchmarks.real compare FOLDER ... --methods puct puct+priors puct+box

Lessons are kept in WORK/priors.jsonl; answers of runs that `compare` made there cost nothing. A dev
task gets the lessons of the other dev tasks, a held task those of all dev tasks; held tasks teach
nothing.
"""

from __future__ import annotations

import argparse

from benchmarks.priors import keep_lessons
from idealprompt_cli.task import load_task

from .catalogue import TASKS
from .compare import Call, Models, chosen

METHODS = ("puct",)


def learn(options: argparse.Namespace) -> int:
    """Keep the lessons of searches on dev tasks."""
    call = Call.of(options)
    models = Models(call)
    for name in [name for name in chosen(options.tasks) if TASKS[name].part == "dev"]:
        task = load_task(call.tasks / name)
        engine, lines = models.of(task).memo, call.work / "priors.jsonl"
        keep_lessons(lines, engine, task, options.seeds, METHODS, call.budgets, shuffled=False)
    return 0

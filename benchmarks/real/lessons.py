"""What the search learns on the dev tasks, for the priors of `benchmarks.priors`.

    python -m benchmarks.real lessons FOLDER --model M --mmproj P --work WORK --budgets 200 500
    python -m benchmarks.priors --work WORK

Answers are kept in WORK, so runs that `compare` made there cost nothing. Held tasks are refused.
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
        keep_lessons(lines, engine, task, options.seeds, METHODS, call.budgets)
    return 0

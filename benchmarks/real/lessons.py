"""What the search learns on the dev tasks, for the priors of `benchmarks.priors`.

    python -m benchmarks.real lessons FOLDER --model M --mmproj P --work WORK --budgets 200 500
    python -m benchmarks.priors --work WORK

Answers are kept in WORK, so runs that `compare` made there cost nothing. Held tasks are refused.
"""

from __future__ import annotations

import argparse

from benchmarks.compare import keep, kept
from benchmarks.contest import searched
from idealprompt_cli.priors import lessons
from idealprompt_cli.task import load_task

from .catalogue import TASKS
from .compare import Call, Opened, chosen

METHODS = ("puct",)


def learn(options: argparse.Namespace) -> int:
    """Keep the lessons of searches on dev tasks, with the pool shuffled."""
    call = Call(
        options.folder, options.work, options.model, options.mmproj, "", (),
        tuple(options.budgets), options.threads,
    )  # fmt: skip
    lines = options.work / "priors.jsonl"
    head = ("model", "task", "method", "seed", "budget")
    done = {tuple(record[key] for key in head) for record in kept(lines)}
    opened: dict[bool, Opened] = {}
    for name in [name for name in chosen(options.tasks) if TASKS[name].part == "dev"]:
        task = load_task(options.folder / name)
        if task.pictured not in opened:
            opened[task.pictured] = Opened(call, task.pictured)
        engine = opened[task.pictured].memo
        for seed in options.seeds:
            for method in METHODS:
                for budget in options.budgets:
                    place = (engine.info().fingerprint, name, method, seed, budget)
                    if place in done:
                        continue
                    result = searched(method, engine, task, seed, budget, shuffled=True)
                    taught = [[*vars(key).values(), round(won, 4)] for key, won in lessons(result)]
                    keep(lines, [{**dict(zip(head, place, strict=True)), "lessons": taught}])
                    print(*place[1:], len(taught), flush=True)
    return 0

"""Learn priors for the comparison: `python -m benchmarks.priors`.

Searches the tasks of the set "priors" (`benchmarks.tasks`: none is a sample or held apart) with
the pool's order shuffled and several policies, so that every strategy is tried early and late, and
adds up what they taught in `results/priors.json`. Runs and answers are kept in
`.work/`, so it can be interrupted and called again, with more seeds too. Lessons that
`python -m benchmarks.real lessons` kept there count too. The file holds strategy
names, kinds of tasks and numbers; a test proves that nothing of a task is in it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from idealprompt_cli import strategies
from idealprompt_cli.core.errors import PriorsError
from idealprompt_cli.core.task import Task
from idealprompt_cli.io.files import write_text
from idealprompt_cli.priors import Key, Memory, Priors, dump, lessons

from .compare import WORK, keep, kept, opened, tasks_of
from .contest import LEARNED, searched
from .memo import MemoEngine

METHODS = ("puct", "random")
# A few small budgets and a larger one: what pays first, and what pays later.
BUDGETS = (200, 500)
# The name of this origin in the file, the same for everybody who generates it.
BOX = "start"


def rows_of(lines: Path) -> list[list[Any]]:
    """All lessons of the runs that were kept, whichever model they are of."""
    return [row for record in kept(lines) for row in record["lessons"]]


def keep_lessons(
    lines: Path,
    engine: MemoEngine,
    task: Task,
    seeds: Sequence[int],
    methods: Sequence[str],
    budgets: Sequence[int],
) -> None:
    """Append what searches on a task teach, with the pool shuffled; runs that are kept already are
    not made again."""
    head = ("model", "task", "method", "seed", "budget")
    done = {tuple(record[key] for key in head) for record in kept(lines)}
    for seed, method, budget in product(seeds, methods, budgets):
        place = (engine.info().fingerprint, task.name, method, seed, budget)
        if place in done:
            continue
        result = searched(method, engine, task, seed, budget, shuffled=True)
        taught = [[*vars(key).values(), round(won, 4)] for key, won in lessons(result)]
        keep(lines, [{**dict(zip(head, place, strict=True)), "lessons": taught}])
        print(*place[1:], len(taught), flush=True)


def made(rows: list[list[Any]]) -> Priors:
    """The memory that lessons add up to. A lesson counts only for strategies of the pool."""
    learnt = [(Key(*row[:5]), float(row[5])) for row in rows if row[4] in strategies.STRATEGIES]
    return Priors().learnt(BOX, learnt)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[100, 101, 102])
    parser.add_argument("--shard", default="0/1", help="this call's part of the tasks, as 0/2")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--tasks", nargs="+", default=["priors"])
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--out", type=Path, default=LEARNED)
    options = parser.parse_args()
    part, parts = (int(number) for number in options.shard.split("/"))
    lines = options.work / "priors.jsonl"
    fake = "fake:" in "".join(options.tasks)
    engine = opened(fake, None, None, options.work, options.threads)
    for task in tasks_of(options.tasks, options.work)[part::parts]:
        keep_lessons(lines, engine, task, options.seeds, METHODS, BUDGETS)
    engine.close()
    write_text(options.out, dump(Memory(BOX, made(rows_of(lines)))), PriorsError)
    print(f"{options.out}: {json.dumps({'lessons': len(rows_of(lines))})}")


if __name__ == "__main__":
    main()

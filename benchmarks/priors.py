"""Learn priors for the comparison: `python -m benchmarks.priors`.

Searches the tasks of the set "priors" (`benchmarks.tasks`: none is a sample or held apart) with
the pool's order shuffled and several policies, so that every strategy is tried early and late, and
adds up what they taught in `results/priors.json`. Runs and answers are kept in
`.work/`, so it can be interrupted and called again, with more seeds too. Lessons that
`python -m benchmarks.real lessons` kept there count too. The file holds strategy
names, kinds of tasks and numbers; a test proves that nothing of a task is in it.

`--check` measures what they are worth: searches on the drawn tasks of the set "held" without and
with them, kept in `.work/` and written to `results/priors_check.json`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from idealprompt_cli import strategies
from idealprompt_cli.core.errors import PriorsError
from idealprompt_cli.core.task import Task
from idealprompt_cli.io.files import write_text
from idealprompt_cli.priors import Key, Memory, Priors, dump, lessons

from .compare import WORK, keep, kept, opened, tasks_of, write_records
from .contest import LEARNED, Record, contest, searched
from .markdown import table
from .memo import MemoEngine

METHODS = ("puct", "random")
# A few small budgets and a larger one: what pays first, and what pays later.
BUDGETS = (200, 500)
# The name of this origin in the file, the same for everybody who generates it.
BOX = "start"
RESULTS = LEARNED.with_name("priors_check.json")
CHECKED, CHECK_BUDGETS = ("puct", "puct+priors"), (100, 300)


def rows_of(lines: Path, tasks: Collection[str] | None = None) -> list[list[Any]]:
    """All lessons of the runs that were kept (on these tasks), whichever model they are of."""
    runs = [run for run in kept(lines) if tasks is None or run["task"] in tasks]
    return [row for run in runs for row in run["lessons"]]


def keep_lessons(
    lines: Path,
    engine: MemoEngine,
    task: Task,
    seeds: Sequence[int],
    methods: Sequence[str],
    budgets: Sequence[int],
    shuffled: bool = True,
) -> None:
    """Append what searches on a task teach, with the pool shuffled or in its order; runs that are
    kept already are not made again."""
    head = ("model", "task", "method", "seed", "budget")
    done = {tuple(record[key] for key in head) for record in kept(lines)}
    for seed, method, budget in product(seeds, methods, budgets):
        place = (engine.info().fingerprint, task.name, method, seed, budget)
        if place in done:
            continue
        result = searched(method, engine, task, seed, budget, shuffled)
        taught = [[*vars(key).values(), round(won, 4)] for key, won in lessons(result)]
        keep(lines, [{**dict(zip(head, place, strict=True)), "lessons": taught}])
        print(*place[1:], len(taught), flush=True)


def made(rows: list[list[Any]]) -> Priors:
    """The memory that lessons add up to. A lesson counts only for strategies of the pool."""
    learnt = [(Key(*row[:5]), float(row[5])) for row in rows if row[4] in strategies.STRATEGIES]
    return Priors().learnt(BOX, learnt)


def check(engine: MemoEngine, work: Path, seeds: Sequence[int]) -> None:
    """Searches without and with the learned priors on tasks that taught nothing."""
    lines, head = work / "priors_check.jsonl", ("method", "task", "seed", "budget")
    done = {tuple(record[key] for key in head) for record in kept(lines)}
    for seed, task in product(seeds, tasks_of(["held"], work)):
        for method, budget in product(CHECKED, CHECK_BUDGETS):
            if (method, task.name, seed, budget) not in done:
                [record] = contest(method, engine, task, seed, [budget])
                keep(lines, [{key: record[key] for key in (*head, "test")}])
    records = sorted(kept(lines), key=lambda r: [str(r[key]) for key in head])
    write_records(RESULTS, records)


def summary(records: Sequence[Record]) -> str:
    """Held-out scores without and with priors, in Markdown."""
    rows = []
    for budget in sorted({r["budget"] for r in records}):
        here = [r for r in records if r["budget"] == budget]
        own = [
            {(r["task"], r["seed"]): 100 * r["test"] for r in here if r["method"] == method}
            for method in CHECKED
        ]
        both = sorted(own[0].keys() & own[1].keys())
        gains = [own[1][run] - own[0][run] for run in both]
        means = [sum(one[run] for run in both) / len(both) for one in own]
        worse, better = sum(g < 0 for g in gains), sum(g > 0 for g in gains)
        cells = (f"{means[0]:.1f} %", f"{means[1]:.1f} %", f"{better} / {worse}")
        rows.append((str(budget), str(len(both)), *cells))
    return table(("evaluations", "tasks", "without", "with priors", "better / worse"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[100, 101, 102])
    parser.add_argument("--shard", default="0/1", help="this call's part of the tasks, as 0/2")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--tasks", nargs="+", default=["priors"])
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--check", action="store_true", help="measure what the priors are worth")
    parser.add_argument("--out", type=Path, default=LEARNED)
    options = parser.parse_args()
    part, parts = (int(number) for number in options.shard.split("/"))
    lines = options.work / "priors.jsonl"
    fake = "fake:" in "".join(options.tasks)
    engine = opened(fake, None, None, options.work, options.threads)
    if options.check:
        check(engine, options.work, options.seeds)
        engine.close()
        return
    for task in tasks_of(options.tasks, options.work)[part::parts]:
        keep_lessons(lines, engine, task, options.seeds, METHODS, BUDGETS)
    engine.close()
    write_text(options.out, dump(Memory(BOX, made(rows_of(lines)))), PriorsError)
    print(f"{options.out}: {json.dumps({'lessons': len(rows_of(lines))})}")


if __name__ == "__main__":
    main()

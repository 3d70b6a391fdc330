"""Search policies compared: the same engine, budgets in evaluations, splits, seeds and moves.

    python -m benchmarks.compare --methods puct random --tasks grade --seeds 0 1 --budgets 100 300

writes one record per (method, task, seed, budget) to `benchmarks/results/compare.json` as soon as
it is known; what is there already is not run again. `--tasks` takes sample tasks, task folders,
folders of task folders, or `fake:pattern` and the like for the pretend model of the tests. Method
"puct+priors" learns from the "puct" records of all *other* tasks, so run "puct" first.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

from idealprompt_cli import metrics, strategies
from idealprompt_cli.budget import Budget, OutOfBudget
from idealprompt_cli.console import SilentObserver
from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.errors import UsageError
from idealprompt_cli.evaluate import Evaluator
from idealprompt_cli.files import write_text
from idealprompt_cli.interfaces import Engine
from idealprompt_cli.ledger import Ledger
from idealprompt_cli.policies import BestFirst, Policy, Puct
from idealprompt_cli.priors import Beliefs, Key, Priors, kind_of, lessons
from idealprompt_cli.prompts import render
from idealprompt_cli.search import run
from idealprompt_cli.task import load_task
from idealprompt_cli.types import Cost, ModelRef, Prompt, Task

from . import peers
from .memo import MemoEngine

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "idealprompt_cli" / "demo_model"
RESULTS = ROOT / "benchmarks" / "results" / "compare.json"

Record = dict[str, Any]
Make = Callable[[int], Callable[[Beliefs], Policy]]

POLICIES: Mapping[str, Make] = {
    "random": lambda seed: lambda _: peers.RandomSearch(seed),
    "best-of-n": lambda seed: lambda _: peers.BestOfN(seed),
    "hill-climbing": lambda seed: lambda _: peers.HillClimbing(seed),
    "beam": lambda seed: lambda _: peers.Beam(seed),
    "best-first": lambda _: BestFirst,
    "puct": lambda _: Puct,
    "puct+priors": lambda _: Puct,
}
METHODS = ("seed", *POLICIES, "gepa", "gepa+pool")


@dataclass(frozen=True)
class Found:
    """What a method ended with."""

    prompt: Prompt
    selection: float
    cost: Cost
    trials: int
    lessons: list[list[Any]]


def search(
    method: str,
    engine: Engine,
    task: Task,
    seed: int,
    budget: int,
    beliefs: Beliefs | None,
    shuffled: bool = False,
) -> Found:
    """One run of one method."""
    metric, pool = metrics.get(task.metric), list(strategies.select(None))
    if shuffled:
        random.Random(f"pool {seed}").shuffle(pool)
    if method in POLICIES:
        result = run(
            task, engine, metric, pool, Budget(evaluations=budget), observer=SilentObserver(),
            seed=seed, policy=POLICIES[method](seed), beliefs=beliefs,
        )  # fmt: skip
        taught = [[*vars(key).values(), won] for key, won in lessons(result)]
        value = result.selection.winner.value
        return Found(result.winner, value, result.cost, len(result.trials), taught)
    evaluator = Evaluator(Ledger(engine, None, Budget(evaluations=budget)), task, metric)
    if method == "seed":
        prompt = Prompt(task.question)
        value = evaluator.evaluate(prompt, task.train).value
    else:
        from .gepa_peer import optimise

        prompt, value = optimise(evaluator, pool, seed, own=method == "gepa")
    return Found(prompt, value, evaluator.ledger.spent, 0, [])


def measured(
    method: str,
    engine: MemoEngine,
    task: Task,
    seed: int,
    budget: int,
    known: Iterable[Record],
    shuffled: bool = False,
) -> Record:
    """The record of one run, with the winner's score on the held-out pictures."""
    beliefs = others(known, task, engine) if method == "puct+priors" else None
    before = engine.seconds
    found = search(method, engine, task, seed, budget, beliefs, shuffled)
    seconds = engine.seconds - before
    tested = Evaluator(engine, task, metrics.get(task.metric)).evaluate(found.prompt, task.test)
    return {
        "model": engine.info().fingerprint, "method": method, "task": task.name,
        "fingerprint": task.fingerprint, "seed": seed, "budget": budget,
        "pool": pool_name(shuffled), "evaluations": found.cost.evaluations,
        "tokens": found.cost.tokens,
        "seconds": round(seconds, 2), "trials": found.trials, "selection": found.selection,
        "test": tested.value, "low": tested.interval.low, "high": tested.interval.high,
        "prompt_tokens": engine.count_tokens(render(found.prompt, task.labels)),
        "lessons": found.lessons,
    }  # fmt: skip


def pool_name(shuffled: bool) -> str:
    """How the pool was ordered, as records say it."""
    return "shuffled" if shuffled else "by strength"


def others(known: Iterable[Record], task: Task, engine: Engine) -> Beliefs:
    """Beliefs from the "puct" runs on other tasks, at the largest budget of each task and seed."""
    best: dict[tuple[str, int], Record] = {}
    for record in known:
        place = (record["task"], record["seed"])
        taught = record["method"] == "puct" and record["task"] != task.name
        if taught and (place not in best or record["budget"] > best[place]["budget"]):
            best[place] = record
    if not best:
        raise UsageError('"puct+priors" needs records of "puct" on other tasks: run those first')
    rows = [row for _, record in sorted(best.items()) for row in record["lessons"]]
    learnt = [(Key(*row[:5]), float(row[5])) for row in rows]
    return Priors().learnt("bench", learnt).beliefs(engine.info(), kind_of(task))


# --- tasks and results ----------------------------------------------------------------------------


def tasks_of(names: Sequence[str]) -> list[Task]:
    """Tasks by the name of a sample task, by folder, or all in a folder of folders."""
    found = []
    for name in names or [str(p) for p in sorted((ROOT / "sample_tasks").iterdir())]:
        if name.startswith("fake:"):
            from tests.fake_vlm import graded_task, shop_task

            what = name.removeprefix("fake:")
            made = graded_task() if what == "graded" else shop_task(24, 40, what)
            found.append(replace(made, name=what))
            continue
        path = Path(name) if Path(name).exists() else ROOT / "sample_tasks" / name
        folders = [path] if (path / "task.yaml").exists() else sorted(path.iterdir())
        found += [load_task(folder) for folder in folders if (folder / "task.yaml").exists()]
    return found


def opened(fake: bool, model: Path | None, mmproj: Path | None) -> MemoEngine:
    """The demonstration model, another one, or the pretend one."""
    if fake:
        from tests.fake_vlm import FakeVlm

        return MemoEngine(FakeVlm())
    ref = ModelRef(model or DEMO / "model.gguf", mmproj or DEMO / "mmproj.gguf")
    return MemoEngine(open_engine("llama_cpp", ref, EngineOptions(), print))


def place_of(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes a record the same run as another."""
    names = ("model", "method", "task", "fingerprint", "seed", "budget", "pool")
    return tuple(record[name] for name in names)


def table(records: Sequence[Record]) -> str:
    """Mean test score per method and budget over tasks and seeds, and the mean over budgets."""
    budgets = sorted({r["budget"] for r in records})
    lines = ["| method | " + " | ".join(map(str, budgets)) + " | mean | runs |"]
    lines.append("|---" * (len(budgets) + 3) + "|")
    for method in [m for m in METHODS if any(r["method"] == m for r in records)]:
        own = [r for r in records if r["method"] == method]
        means = [[r["test"] for r in own if r["budget"] == b] for b in budgets]
        cells = [f"{100 * fmean(values):.1f}" if values else "" for values in means]
        area = fmean(fmean(values) for values in means if values)
        lines.append(f"| {method} | {' | '.join(cells)} | {100 * area:.1f} | {len(own)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(POLICIES))
    parser.add_argument("--tasks", nargs="*", default=[], help="default: all sample tasks")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--budgets", type=int, nargs="+", default=[100, 200, 400, 800, 1600])
    parser.add_argument(
        "--shuffle-pool", action="store_true", help="the pool's order tells nothing (by seed)"
    )
    parser.add_argument("--model", type=Path)
    parser.add_argument("--mmproj", type=Path)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    tasks = tasks_of(options.tasks)
    engine = opened("fake:" in "".join(options.tasks), options.model, options.mmproj)
    records: list[Record] = (
        json.loads(options.out.read_text("utf-8")) if options.out.exists() else []
    )
    done = {place_of(record) for record in records}
    write = partial(write_text, options.out, error=UsageError)
    # Methods outermost: "puct+priors" then finds the records of "puct".
    plan = product(options.methods, tasks, options.seeds, options.budgets)
    name, pool = engine.info().fingerprint, pool_name(options.shuffle_pool)
    for method, task, seed, budget in plan:
        place = (name, method, task.name, task.fingerprint, seed, budget, pool)
        if place in done or (method == "seed" and budget != options.budgets[0]):
            continue
        try:
            record = measured(method, engine, task, seed, budget, records, options.shuffle_pool)
        except (UsageError, OutOfBudget) as problem:
            print(f"{method} {task.name} {seed} {budget}: {problem}", flush=True)
            continue
        records.append(record)
        write(text=json.dumps(records, indent=1) + "\n")
        print(f"{method} {task.name} {seed} {budget}: {record['test']:.3f}", flush=True)
    engine.close()
    print(table([r for r in records if place_of(r)[0] == name and r["pool"] == pool]))


if __name__ == "__main__":
    main()

"""Compare the search with its peers: same engine, budgets, splits, seeds and strategies.

    python -m benchmarks.compare --methods puct random --tasks grade --seeds 0 1 --budgets 100 300

Every run is appended to `.work/compare.jsonl` as soon as it ends, and all answers of the model to
`.work/answers.sqlite`, so you can interrupt the command, resume it and run it several times at once
(`--shard 0/2` and `--shard 1/2` divide the pairs of task and seed). When all runs are done it
writes `results/compare.json` (`--collect` does only that). `--tasks` accepts "samples", "held"
(drawn by `benchmarks.tasks`; nothing is tuned on them), names of sample tasks, task folders,
folders of task folders, or `fake:pattern` and the like for the fake model of the tests. `python -m
benchmarks.compare_report` makes tables and plots from the results.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from idealprompt_cli.core.errors import UsageError
from idealprompt_cli.core.interfaces import Engine
from idealprompt_cli.core.task import ModelRef, Task
from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.evaluation.budget import OutOfBudget
from idealprompt_cli.io.files import write_text
from idealprompt_cli.storage.response_cache import open_cache
from idealprompt_cli.task import load_task

from . import tasks as sets
from .contest import METHODS, Record, contest
from .memo import MemoEngine

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "idealprompt_cli" / "models" / "demo"
WORK = ROOT / "benchmarks" / ".work"
RESULTS = ROOT / "benchmarks" / "results" / "compare.json"
BUDGETS = (100, 200, 400, 800, 1400, 2000)
MEMO_BYTES = 8 << 30


def tasks_of(names: Sequence[str], work: Path = WORK) -> list[Task]:
    """Load tasks by set, by name of a sample task, by folder, or all in a folder of folders."""
    found: list[Task] = []
    for name in names or ("samples", "held"):
        if name.startswith("fake:"):
            found.append(_fake_task(name.removeprefix("fake:")))
        elif name in sets.SETS:
            found += [load_task(folder) for folder in sets.draw(name, work / "tasks" / name)]
        else:
            path = ROOT / "sample_tasks" / ("" if name == "samples" else name)
            path = Path(name) if Path(name).exists() else path
            folders = [path] if (path / "task.yaml").exists() else sorted(path.iterdir())
            found += [load_task(folder) for folder in folders if (folder / "task.yaml").exists()]
    return found


def _fake_task(what: str) -> Task:
    from tests.support.fake_vlm import graded_task, shop_task

    made = graded_task() if what == "graded" else shop_task(24, 40, what)
    return replace(made, name=what)


def kind_of_task(task: Task) -> str:
    """The set that a task belongs to, as records name it."""
    for name, recipes in sets.SETS.items():
        if task.name in {recipe.name for recipe in recipes}:
            return name
    return "samples" if (ROOT / "sample_tasks" / task.name).exists() else "other"


def opened(
    fake: bool, model: Path | None, mmproj: Path | None, work: Path | None = None, threads: int = 0
) -> MemoEngine:
    """Open the demonstration model, another one or the fake one; with `work`, cache its answers
    in that folder."""
    engine: Engine
    if fake:
        from tests.support.fake_vlm import FakeVlm

        engine = FakeVlm()
    else:
        ref = ModelRef(model or DEMO / "model.gguf", mmproj or DEMO / "mmproj.gguf")
        engine = open_engine("llama_cpp", ref, EngineOptions(threads=threads), print)
    if work is None:
        return MemoEngine(engine)
    cache = open_cache(work / "answers.sqlite", engine.info(), print, limit=MEMO_BYTES)
    return MemoEngine(engine, cache)


def identity(record: Record) -> tuple[Any, ...]:
    """Identity of a run: records with the same value are the same run."""
    names = ("model", "method", "task", "fingerprint", "seed", "budget", "pool")
    return tuple(record[name] for name in names)


def kept(path: Path) -> list[Record]:
    """Read the runs of a JSON Lines file; lines torn by a crash are skipped."""
    found = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write records as a JSON list, one a line, so that a change of one is a change of one line."""
    text = ",\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    write_text(path, f"[\n{text}\n]\n", UsageError)


def keep(path: Path, records: Iterable[Record]) -> None:
    """Append runs with one write per line, so that several processes can append at a time. A line
    torn by a crash is terminated first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
    handle = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o644)
    try:
        if torn:
            os.write(handle, b"\n")
        for record in records:
            os.write(handle, (json.dumps(record) + "\n").encode())
    finally:
        os.close(handle)


def collect(path: Path, out: Path) -> None:
    """Write the results: one line per (method, task, seed) with one point per budget."""
    runs: dict[tuple[Any, ...], Record] = {}
    for record in sorted(kept(path), key=lambda r: r["budget"]):
        head = ("model", "method", "set", "task", "seed", "pool")
        run = runs.setdefault(
            tuple(record[name] for name in head),
            {**{name: record[name] for name in head}, "points": {}},
        )
        rest = ("evaluations", "selection", "test", "prompt_tokens", "seconds", "own_seconds")
        run["points"][str(record["budget"])] = {name: record[name] for name in rest}
    lines = ",\n".join(json.dumps(run) for _, run in sorted(runs.items()))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, f"[\n{lines}\n]\n", UsageError)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--tasks", nargs="+", default=[], help='default: "samples" and "held"')
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--budgets", type=int, nargs="+", default=list(BUDGETS))
    parser.add_argument(
        "--shuffle-pool", action="store_true", help="random order of the strategies, by seed"
    )
    parser.add_argument(
        "--shard", default="0/1", help="which part of the runs to make, such as 0/2"
    )
    parser.add_argument("--collect", action="store_true", help="only write the results file")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--mmproj", type=Path)
    parser.add_argument("--work", type=Path, default=WORK, help="folder of runs and cached answers")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    lines = options.work / "compare.jsonl"
    if not options.collect:
        fake = "fake:" in "".join(options.tasks)
        engine = opened(fake, options.model, options.mmproj, options.work, options.threads)
        try:
            run_all(options, engine, lines)
        finally:
            engine.close()
    collect(lines, options.out)


def run_all(options: argparse.Namespace, engine: MemoEngine, lines: Path) -> None:
    """Make all missing runs, seed by seed, so that an interrupted benchmark is a fair sample. All
    methods run one after another on a task, because they share its images and answers."""
    part, parts = (int(number) for number in options.shard.split("/"))
    tasks = tasks_of(options.tasks, options.work)
    done = {identity(record) for record in kept(lines)}
    for seed, task in [(seed, task) for seed in options.seeds for task in tasks][part::parts]:
        start = time.perf_counter()
        for method in options.methods:
            _run(options, engine, lines, done, method, task, seed)
        took = time.perf_counter() - start
        print(f"{task.name} {seed}: {took:.0f} s, {engine.computed} answers so far", flush=True)


def _run(
    options: argparse.Namespace, engine: MemoEngine, lines: Path, done: set[tuple[Any, ...]],
    method: str, task: Task, seed: int,
) -> None:  # fmt: skip
    """Make the missing runs of a method on a task with one seed."""
    name = engine.info().fingerprint
    pool = "shuffled" if options.shuffle_pool else "by strength"
    place = (name, method, task.name, task.fingerprint, seed)
    budgets = [b for b in options.budgets if (*place, b, pool) not in done]
    if not budgets:
        return
    try:
        found = contest(method, engine, task, seed, budgets, options.shuffle_pool)
    except (UsageError, OutOfBudget) as problem:
        print(f"{method} {task.name} {seed}: {problem}", flush=True)
        return
    head = {"model": name, "pool": pool, "set": kind_of_task(task)}
    keep(lines, [{**head, **record} for record in found])
    tests = " ".join(f"{100 * record['test']:.0f}" for record in found)
    print(f"{task.name} {seed} {method}: {tests}", flush=True)


if __name__ == "__main__":
    main()

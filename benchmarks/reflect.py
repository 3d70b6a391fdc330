"""Measure what reflection gains on the demonstration model.

    python -m benchmarks.reflect --parts ablation random curve --seeds 0 1 2 --shard 1/2

Every run is appended to `benchmarks/.work/reflect.jsonl` as soon as it ends; a run that is already
there (same model, task, part, arm, seed and budget) is not repeated. Several processes can work at
a time (`--shard i/n` divides the runs), and the model's answers are cached in
`benchmarks/.work/answers.sqlite`. `--write` copies the runs of the current model to
`benchmarks/results/reflect.json`; `python -m benchmarks.reflect_table` reads that file.

- ablation: search alone, reflection alone, search and reflection, GEPA, at one total budget;
- curve: search and reflection with 4, 8, 16 and 32 training images, on the tasks drawn again with
  32 of them;
- random: training and held-out labels shuffled: any reliable gain is a false positive;
- expert: the samples' hand-written prompts.

`--set priors` is for tuning; "samples" and "held" are for measuring only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from benchmarks.memo import MemoEngine
from benchmarks.samples import DEMO, ROOT
from benchmarks.tasks import SEEDS, SETS, draw
from idealprompt_cli import metrics, strategies
from idealprompt_cli.core.errors import ArtifactError
from idealprompt_cli.core.interfaces import Engine
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.core.results import RunResult, Trial
from idealprompt_cli.core.task import Example, ModelRef, Task
from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.evaluation.budget import Budget
from idealprompt_cli.evaluation.context import RunContext, open_context
from idealprompt_cli.evaluation.cross_fitting import shuffled
from idealprompt_cli.evaluation.evaluator import Evaluator
from idealprompt_cli.evaluation.held_out import held_out_test
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.io.files import write_text
from idealprompt_cli.priors import Beliefs
from idealprompt_cli.prompts.serialisation import from_dict
from idealprompt_cli.reflection import from_prompt, reflect
from idealprompt_cli.runs.alternating import alternate
from idealprompt_cli.runs.run import reflection_settings
from idealprompt_cli.search.tree_search import SearchSettings, search
from idealprompt_cli.storage.response_cache import open_cache
from idealprompt_cli.task import load_task
from training.sample_tasks import RECIPES, write_task

WORK = ROOT / "benchmarks" / ".work"
RESULTS = ROOT / "benchmarks" / "results" / "reflect.json"
SIZES = (4, 8, 16, 32)
PARTS = ("expert", "ablation", "random", "curve")
CACHE_BYTES = 4 * 1024**3
Row = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One run to make."""

    task_set: str
    part: str
    arm: str
    task: Task
    seed: int
    budget: int

    @property
    def key(self) -> str:
        return f"{self.task_set} {self.task.name} {self.part} {self.arm} {self.seed} {self.budget}"


# --- arms -----------------------------------------------------------------------------------------


def context_of(engine: Engine, job: Job) -> RunContext:
    metric, budget = metrics.get(job.task.metric), Budget(evaluations=job.budget)
    return open_context(job.task, engine, metric, budget, seed=job.seed)


def search_alone(engine: Engine, job: Job, beliefs: Beliefs, folder: Path) -> RunResult:
    del folder
    settings = SearchSettings(strategies.select(None), beliefs=beliefs)
    return search(context_of(engine, job), settings)


def reflect_alone(engine: Engine, job: Job, beliefs: Beliefs, folder: Path) -> RunResult:
    prompt = Prompt(job.task.question)
    settings = replace(reflection_settings(folder), beliefs=beliefs)
    return reflect(context_of(engine, job), from_prompt(prompt, prompt), settings)


def both(engine: Engine, job: Job, beliefs: Beliefs, folder: Path) -> RunResult:
    settings = SearchSettings(strategies.select(None), beliefs=beliefs)
    return alternate(context_of(engine, job), settings, reflection_settings(folder))


ARMS: Mapping[str, Callable[[Engine, Job, Beliefs, Path], RunResult]] = {
    "search": search_alone,
    "reflect": reflect_alone,
    "both": both,
}


def measured(engine: MemoEngine, job: Job) -> Row:
    """The figures of a run: scores on the held-out images, also of every accepted edit."""
    if job.arm == "expert":
        return {"test": {"winner": _tested(engine, job.task, _expert(job.task))}}
    if job.arm == "gepa":
        return _gepa(engine, job)
    metric = metrics.get(job.task.metric)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = ARMS[job.arm](engine, job, Beliefs(), Path(folder))
    evaluator = Evaluator(MeteredEngine(engine), job.task, metric)
    result = held_out_test(found, evaluator)
    assert result.test is not None, "every task has a test split"
    return {
        "test": {"seed": result.test.baseline.value, "winner": result.test.winner.value},
        "selection": {
            "seed": result.selection.baseline.value, "winner": result.selection.winner.value,
        },
        "recommended": result.recommended,
        "selected": found.recommended,
        "edits": _edits(engine, job.task, result),
        "strategies": [t.strategy for t in result.trials if t.prompt == result.winner][:1],
        "trials": len(result.trials),
        "evaluations": found.cost.evaluations,
        "stop": result.stop,
        "seconds": round(time.perf_counter() - start, 2),
    }  # fmt: skip


def _edits(engine: Engine, task: Task, result: RunResult) -> list[Row]:
    """Every accepted edit, with its parent's and its own score on training and held-out images."""
    trials = {trial.id: trial for trial in result.trials}
    rows = []
    for trial in result.trials:
        if trial.edit is None or trial.state != "complete" or trial.parent is None:
            continue
        if trial.edit.p_value > trial.edit.level:
            continue
        parent = trials[trial.parent]
        rows.append(
            {
                "edit": trial.strategy, "p": round(trial.edit.p_value, 4),
                "train": [_value(parent), _value(trial)],
                "test": [_tested(engine, task, one.prompt) for one in (parent, trial)],
            }
        )  # fmt: skip
    return rows


def _value(trial: Trial) -> float:
    return trial.evaluation.value if trial.evaluation else 0.0


def _tested(engine: Engine, task: Task, prompt: Prompt) -> float:
    evaluator = Evaluator(MeteredEngine(engine), task, metrics.get(task.metric))
    return evaluator.evaluate(prompt, task.test).value


def _expert(task: Task) -> Prompt:
    path = ROOT / "benchmarks" / "expert" / f"{task.name}.yaml"
    return from_dict(yaml.safe_load(path.read_text("utf-8")), task.name)


def _gepa(engine: MemoEngine, job: Job) -> Row:
    from benchmarks.contest import contest

    start = time.perf_counter()
    record = contest("gepa", engine, job.task, job.seed, [job.budget])[0]
    return {
        "test": {"winner": record["test"]},
        "selection": {"winner": record["selection"]},
        "evaluations": record["evaluations"],
        "seconds": round(time.perf_counter() - start, 2),
    }


# --- jobs -----------------------------------------------------------------------------------------


def tasks_of(task_set: str) -> list[Path]:
    """The folders of a set; all but the samples are drawn on first use."""
    if task_set == "samples":
        return sorted(path for path in (ROOT / "sample_tasks").iterdir() if path.is_dir())
    return draw(task_set, WORK / "tasks" / task_set)


def larger(task_set: str) -> list[Path]:
    """The set's tasks, drawn again with as many training images as the longest curve needs."""
    recipes = RECIPES if task_set == "samples" else SETS[task_set]
    folder = WORK / "tasks" / f"{task_set}-{max(SIZES)}"
    found = []
    for recipe in recipes:
        path = folder / recipe.name
        if not path.exists():
            # Drawn elsewhere and moved into place whole: two processes may draw at a time.
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as place:
                write_task(replace(recipe, train=max(SIZES)), Path(place), SEEDS.get(task_set, 7))
                with contextlib.suppress(OSError):
                    (Path(place) / recipe.name).rename(path)
        found.append(path)
    return found


def fewer(task: Task, count: int, seed: int) -> Task:
    """The first `count` training images of a shuffled order that alternates the labels."""
    return replace(task, train=shuffled(task.train, seed)[:count])


def with_shuffled_labels(task: Task, seed: int) -> Task:
    """The task with its labels shuffled among the images, in both splits."""

    def mixed(examples: Sequence[Example], salt: str) -> tuple[Example, ...]:
        labels = [example.answer for example in examples]
        random.Random(f"{seed} {salt}").shuffle(labels)
        return tuple(replace(e, answer=x) for e, x in zip(examples, labels, strict=True))

    return replace(task, train=mixed(task.train, "train"), test=mixed(task.test, "test"))


def jobs(options: argparse.Namespace) -> Iterator[Job]:
    """All requested runs, seed by seed, so that an interrupted benchmark is a fair sample."""
    for seed in options.seeds:
        for part in options.parts:
            for name in options.set:
                folders = larger(name) if part == "curve" else tasks_of(name)
                for folder in folders:
                    if not options.tasks or folder.name in options.tasks:
                        yield from jobs_of(name, part, load_task(folder), seed, options)


def jobs_of(
    task_set: str, part: str, task: Task, seed: int, options: argparse.Namespace
) -> Iterator[Job]:
    """The runs of a part for a task and a seed."""
    if part == "expert" and task_set == "samples" and seed == options.seeds[0]:
        yield Job(task_set, part, "expert", task, 0, 0)
    for budget in options.budgets if part in ("ablation", "random") else options.budgets[:1]:
        if part == "ablation":
            for arm in options.arms:
                yield Job(task_set, part, arm, task, seed, budget)
        elif part == "random" and task_set != "held":
            for arm in ("reflect", "both"):
                yield Job(task_set, part, arm, with_shuffled_labels(task, seed), seed, budget)
        elif part == "curve":
            for size in SIZES:
                made = fewer(task, size, seed)
                yield Job(task_set, f"curve-{size}", "both", made, seed, budget)


# --- the work -------------------------------------------------------------------------------------


def opened(folder: Path, work: Path = WORK, threads: int = 0) -> MemoEngine:
    """The model in a folder, with the answers of earlier runs."""
    ref = ModelRef(folder / "model.gguf", folder / "mmproj.gguf")
    engine = open_engine("llama_cpp", ref, EngineOptions(threads=threads), print)
    work.mkdir(parents=True, exist_ok=True)
    cache = open_cache(work / "answers.sqlite", engine.info(), print, limit=CACHE_BYTES)
    return MemoEngine(engine, cache)


def known(path: Path, model: str) -> list[Row]:
    """The runs of a model in the file."""
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [row for row in rows if row["model"] == model]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--set", nargs="+", default=["samples", "held"],
                        choices=("samples", "held", "priors"))  # fmt: skip
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--arms", nargs="+", default=[*ARMS, "gepa"], choices=[*ARMS, "gepa"])
    parser.add_argument("--tasks", nargs="*", default=[], help="default: all of the set")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--budgets", type=int, nargs="+", default=[800])
    parser.add_argument("--shard", default="1/1", help="i/n: every n-th run, from the i-th")
    parser.add_argument("--work", type=Path, default=WORK, help="folder of runs and cached answers")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--model", type=Path, default=DEMO, help="folder of the two GGUF files")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name} and stop")
    options = parser.parse_args()
    engine = opened(options.model, options.work, options.threads)
    runs = options.work / "reflect.jsonl"
    model = engine.info().fingerprint
    if options.write:
        rows = sorted(known(runs, model), key=lambda row: str(row["key"]))
        write_text(RESULTS, json.dumps(rows, indent=0) + "\n", ArtifactError)
    else:
        place, count = (int(part) for part in options.shard.split("/"))
        _work(engine, model, runs, list(jobs(options))[place - 1 :: count])
    engine.close()


def _work(engine: MemoEngine, model: str, path: Path, requested: Sequence[Job]) -> None:
    done = {row["key"] for row in known(path, model)}
    for number, job in enumerate(requested, start=1):
        if job.key in done:
            continue
        row = {
            "model": model, "key": job.key, "set": job.task_set, "task": job.task.name,
            "part": job.part, "arm": job.arm, "seed": job.seed, "budget": job.budget,
            "train": len(job.task.train), "n": len(job.task.test), **measured(engine, job),
        }  # fmt: skip
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        before, after = row["test"].get("seed", 0.0), row["test"]["winner"]
        cost = f"{row.get('evaluations', 0)} evaluations, {row.get('seconds', 0)} s"
        print(
            f"{number}/{len(requested)} {job.key}: {before:.3f} -> {after:.3f} ({cost})", flush=True
        )


if __name__ == "__main__":
    main()

"""What reflection is worth on the demonstration model.

`python -m benchmarks.reflect [--tasks NAME ...] [--seeds 0 1 ...] [--budget 1000]
[--parts ablation curve random]` adds to `benchmarks/results/reflect.json`; a run that is in the
file already (same model, task, part, seed and budget) is not made again, so a broken benchmark is
simply started once more.

- ablation: seed prompt, search alone, reflection alone, search then reflection, at the same total
  budget;
- curve: search then reflection with 4, 8, 16 and 32 training pictures;
- random: training and held-out labels dealt at random: a gain that is claimed there is a false one.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.samples import DEMO, ROOT, figures
from idealprompt_cli import metrics, strategies
from idealprompt_cli.budget import Budget
from idealprompt_cli.commands.stages import first_share, second_stage, settings_for
from idealprompt_cli.console import SilentObserver
from idealprompt_cli.crossfit import shuffled
from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.errors import ArtifactError
from idealprompt_cli.files import write_text
from idealprompt_cli.interfaces import Engine
from idealprompt_cli.journal import Journal
from idealprompt_cli.ledger import Ledger
from idealprompt_cli.reflection import from_prompt, reflect
from idealprompt_cli.search import final_test, run
from idealprompt_cli.task import load_task
from idealprompt_cli.types import Example, ModelRef, Prompt, RunResult, Task

SIZES = (4, 8, 16, 32)
PARTS = ("ablation", "curve", "random")
Arm = Callable[[Engine, Task, Budget, int, Path], RunResult]


def search_alone(engine: Engine, task: Task, budget: Budget, seed: int, folder: Path) -> RunResult:
    del folder
    pool, metric = strategies.select(None), metrics.get(task.metric)
    return run(task, engine, metric, pool, budget, observer=SilentObserver(), seed=seed)


def reflect_alone(engine: Engine, task: Task, budget: Budget, seed: int, folder: Path) -> RunResult:
    prompt = Prompt(task.question)
    return reflect(
        task,
        Ledger(engine, None, budget),
        metrics.get(task.metric),
        from_prompt(prompt, prompt),
        observer=SilentObserver(),
        settings=settings_for(folder),
        seed=seed,
    )


def both(engine: Engine, task: Task, budget: Budget, seed: int, folder: Path) -> RunResult:
    ledger = Ledger(engine, None, first_share(budget))
    found = search_alone_on(ledger, task, seed)
    metric, memory = metrics.get(task.metric), Journal.memory()
    return second_stage(found, ledger, budget, metric, folder, SilentObserver(), memory)


def search_alone_on(ledger: Ledger, task: Task, seed: int) -> RunResult:
    return search_alone(ledger, task, ledger.budget, seed, Path())


ARMS: Mapping[str, Arm] = {"search": search_alone, "reflect": reflect_alone, "both": both}


def measured(engine: Engine, task: Task, arm: str, budget: str, seed: int) -> dict[str, Any]:
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = ARMS[arm](engine, task, Budget.parse(budget), seed, Path(folder))
    result = final_test(found, engine, metrics.get(task.metric))
    assert result.test is not None, "the sample tasks have a test split"
    edits = [trial for trial in result.trials if trial.edit is not None]
    return {
        "train": len(task.train),
        "baseline": figures(result.test.baseline),
        "winner": figures(result.test.winner),
        "selection": figures(result.selection.winner),
        "p_value": result.test.comparison.p_value,
        "recommended": result.recommended,
        "edits_tried": len(edits),
        "strategies": [trial.strategy for trial in result.trials if trial.prompt == result.winner],
        "evaluations": found.cost.evaluations,
        "stop": result.stop,
        "seconds": round(time.perf_counter() - start, 1),
    }


def fewer(task: Task, count: int, seed: int) -> Task:
    """The first `count` training pictures of a shuffled order in which the labels take turns."""
    return replace(task, train=shuffled(task.train, seed)[:count])


def dealt(task: Task, seed: int) -> Task:
    """The task with its labels dealt at random among the pictures, in both splits."""

    def mixed(examples: Sequence[Example], salt: str) -> tuple[Example, ...]:
        labels = [example.answer for example in examples]
        random.Random(f"{seed} {salt}").shuffle(labels)
        return tuple(replace(e, answer=x) for e, x in zip(examples, labels, strict=True))

    return replace(task, train=mixed(task.train, "train"), test=mixed(task.test, "test"))


def jobs(parts: Sequence[str], task: Task, seed: int) -> list[tuple[str, str, Task]]:
    """(name, arm, task) of the runs to make for a task and a seed."""
    found: list[tuple[str, str, Task]] = []
    if "ablation" in parts:
        found += [(f"ablation {arm}", arm, task) for arm in ARMS]
    if "curve" in parts:
        sizes = [size for size in SIZES if size <= len(task.train)]
        found += [(f"curve {size}", "both", fewer(task, size, seed)) for size in sizes]
    if "random" in parts:
        found += [(f"random {arm}", arm, dealt(task, seed)) for arm in ("reflect", "both")]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="*", help="sample tasks (default: all)")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--budget", default="1000")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/reflect.json")
    options = parser.parse_args()
    ref = ModelRef(DEMO / "model.gguf", DEMO / "mmproj.gguf")
    engine = open_engine("llama_cpp", ref, EngineOptions(), print)
    model = engine.info().fingerprint
    rows = json.loads(options.out.read_text("utf-8")) if options.out.exists() else []
    done = {row["key"] for row in rows}
    names = options.tasks or sorted(p.name for p in (ROOT / "sample_tasks").iterdir())
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        for name in names:
            for part, arm, task in jobs(
                options.parts, load_task(ROOT / "sample_tasks" / name), seed
            ):
                key = f"{model} {options.budget} {name} {part} {seed}"
                if key in done:
                    continue
                row = measured(engine, task, arm, options.budget, seed)
                rows.append({"key": key, "task": name, "part": part, "seed": seed, **row})
                write_text(options.out, json.dumps(rows, indent=1) + "\n", ArtifactError)
                before, after = row["baseline"]["value"], row["winner"]["value"]
                print(f"{name} {part} seed {seed}: {before:.3f} -> {after:.3f} "
                      f"({row['recommended']}, {row['evaluations']} evaluations, "
                      f"{row['seconds']} s)", flush=True)  # fmt: skip
    engine.close()


if __name__ == "__main__":
    main()

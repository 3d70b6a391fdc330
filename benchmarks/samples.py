"""Measure the sample tasks: seed prompt, hand-written expert prompt, and search.

`python -m benchmarks.samples [--budget 1500] [--seeds 0] [--tasks NAME ...]` writes
`benchmarks/results/samples.json` and prints the README's table. The expert prompts under
`benchmarks/expert/` were written by someone who knows the model and the rule behind each task:
they show how much a search could gain, and no search reads them.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from benchmarks.markdown import with_interval
from idealprompt_cli import metrics, strategies
from idealprompt_cli.core.interfaces import Engine
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.core.results import Evaluation
from idealprompt_cli.core.task import ModelRef, Task
from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.evaluation.budget import Budget
from idealprompt_cli.evaluation.context import open_context
from idealprompt_cli.evaluation.evaluator import Evaluator
from idealprompt_cli.evaluation.held_out import held_out_test
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.prompts.rendering import render
from idealprompt_cli.prompts.serialisation import from_dict
from idealprompt_cli.search.tree_search import SearchSettings, search
from idealprompt_cli.task import load_task

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "idealprompt_cli" / "models" / "demo"


def figures(evaluation: Evaluation) -> dict[str, float | int]:
    return {"value": evaluation.value, **asdict(evaluation.interval), "n": evaluation.n}


def measure(engine: Engine, task: Task, prompt: Prompt) -> dict[str, float | int]:
    """A prompt on the test split."""
    metric = metrics.get(task.metric)
    return figures(Evaluator(MeteredEngine(engine), task, metric).evaluate(prompt, task.test))


def one_run(engine: Engine, task: Task, budget: str, seed: int) -> dict[str, Any]:
    metric = metrics.get(task.metric)
    start = time.perf_counter()
    context = open_context(task, engine, metric, Budget.parse(budget), seed=seed)
    found = search(context, SearchSettings(strategies.select(None, task.answer)))
    result = held_out_test(found, Evaluator(MeteredEngine(engine), task, metric))
    assert result.test is not None
    text = [part for m in render(result.winner, task.labels) for part in m.content]
    return {
        "seed": seed,
        "baseline": figures(result.test.baseline),
        "winner": figures(result.test.winner),
        "selection": figures(result.selection.winner),
        "p_value": result.test.comparison.p_value,
        "recommended": result.recommended,
        "evaluations": result.cost.evaluations,
        "tokens": result.cost.tokens,
        "seconds": round(time.perf_counter() - start, 1),
        "prompt": " ".join(t for t in text if isinstance(t, str)),
        "stop": result.stop,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="*", help="sample tasks (default: all)")
    parser.add_argument("--budget", default="1500")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    ref = ModelRef(DEMO / "model.gguf", DEMO / "mmproj.gguf")
    engine = open_engine("llama_cpp", ref, EngineOptions(), print)
    names = options.tasks or sorted(p.name for p in (ROOT / "sample_tasks").iterdir())
    report: dict[str, Any] = {
        "model": engine.info().fingerprint, "budget": options.budget, "tasks": {},
    }  # fmt: skip
    print("| task | n | seed prompt | expert | search | p | evaluations | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    for name in names:
        task = load_task(ROOT / "sample_tasks" / name)
        expert = from_dict(
            yaml.safe_load((ROOT / "benchmarks/expert" / f"{name}.yaml").read_text("utf-8")), name
        )
        runs = [one_run(engine, task, options.budget, seed) for seed in options.seeds]
        entry: dict[str, Any] = {"expert": measure(engine, task, expert), "runs": runs}
        report["tasks"][name] = entry
        for r in runs:
            scores = (r["baseline"], entry["expert"], r["winner"])
            shown = " | ".join(with_interval(one, digits=1) for one in scores)
            print(
                f"| {name} | {r['winner']['n']} | {shown} | {r['p_value']:.1g} | "
                f"{r['evaluations']} | {r['seconds']:.0f} |",
                flush=True,
            )
    engine.close()
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "samples.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

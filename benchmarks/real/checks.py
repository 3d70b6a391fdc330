"""Whether the search's claims hold on real tasks: verdicts, few examples, random labels.

    python -m benchmarks.real checks FOLDER --model M --mmproj P --work WORK --tasks all

- verdict: what the tool reports about the winner on the held-out examples, with the winner itself;
- few: searches with 4, 8, 16 and 32 of the training examples, without and with weighted words;
- random: labels shuffled in both splits: any reliable gain is a false positive.

Searches are those of `compare` without priors, so answers that it kept in WORK cost nothing. Runs
are appended to WORK/checks.jsonl and can be interrupted; at the end all are written to
`results/real_checks.json`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compare import keep, kept, write_records
from benchmarks.contest import searched
from benchmarks.markdown import table
from benchmarks.memo import MemoEngine
from benchmarks.reflect import fewer, with_shuffled_labels
from idealprompt_cli import metrics
from idealprompt_cli.core.task import Example, Task
from idealprompt_cli.evaluation.evaluator import Evaluator
from idealprompt_cli.evaluation.held_out import held_out_test
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.prompts.readability import readability
from idealprompt_cli.prompts.rendering import readable, whole_chat
from idealprompt_cli.task import load_task

from .catalogue import TASKS
from .compare import Call, Models, chosen
from .methods import compared

RESULTS = Path(__file__).resolve().parent.parent / "results" / "real_checks.json"
SIZES = (4, 8, 16, 32)
LABELS = ((2, 3), (4,), (6, 8))
WEIGHTED = " weighted"
RANDOM_SEEDS = 20
PARTS = ("verdict", "few", "random")


@dataclass(frozen=True)
class Check:
    """One search: of a part, with an arm's name, on a task that was changed accordingly."""

    part: str
    arm: str
    task: Task
    seed: int
    budget: int


def checks_of(part: str, task: Task, budgets: tuple[int, ...], seeds: list[int]) -> Iterator[Check]:
    if part == "random":
        for seed in range(RANDOM_SEEDS):
            yield Check(part, "shuffled", with_shuffled_labels(task, seed), seed, budgets[0])
        return
    for seed in seeds:
        for budget in budgets if part == "verdict" else budgets[-1:]:
            if part == "verdict":
                yield Check(part, "all", task, seed, budget)
            else:
                for size in SIZES:
                    for arm in (str(size), f"{size}{WEIGHTED}"):
                        yield Check(part, arm, fewer(task, size, seed), seed, budget)


def checked(engine: MemoEngine, check: Check) -> dict[str, Any]:
    """The search's result as the tool reports it."""
    task = check.task
    if check.arm.endswith(WEIGHTED):
        [seed] = compared("seed", engine, task, check.seed, [check.budget], no_embeddings)
        [own] = compared("weighted", engine, task, check.seed, [check.budget], no_embeddings)
        return {"baseline": seed["test"], "winner": own["test"], "recommended": ""}
    result = searched("puct", engine, task, check.seed, check.budget)
    evaluator = Evaluator(MeteredEngine(engine), task, metrics.get(task.metric))
    result = held_out_test(result, evaluator)
    assert result.test is not None
    prompt, shown = result.winner, len(task.train[0].images)
    return {
        "baseline": round(result.test.baseline.value, 4),
        "winner": round(result.test.winner.value, 4),
        "p": result.test.comparison.p_value,
        "recommended": result.recommended,
        "verdict": result.verdict,
        "prompt": [f"{m.role}: {readable(m)}" for m in whole_chat(prompt, task.labels, shown)],
        "words": {v.label: list(v.words) for v in prompt.verbalisers},
        "readability": readability(prompt, task.labels).score,
    }


def no_embeddings(examples: Sequence[Example]) -> np.ndarray:
    raise AssertionError(f"only yardsticks embed, not {len(examples)} examples")


def check(options: argparse.Namespace) -> int:
    call = Call.of(options)
    models, lines = Models(call), call.work / "checks.jsonl"
    head = ("part", "arm", "task", "seed", "budget")
    done = {tuple(record[key] for key in head) for record in kept(lines)}
    for name in chosen(options.tasks):
        task = load_task(call.tasks / name)
        engine = models.of(task).memo
        for part in options.parts:
            for one in checks_of(part, task, call.budgets, options.seeds):
                place = (one.part, one.arm, name, one.seed, one.budget)
                if place in done:
                    continue
                record = checked(engine, one)
                keep(lines, [{**dict(zip(head, place, strict=True)), **record}])
                print(
                    *place, record["baseline"], record["winner"], record["recommended"], flush=True
                )
    records = sorted(kept(lines), key=lambda r: [str(r[key]) for key in head])
    write_records(RESULTS, records)
    return 0


def _gains(records: list[dict[str, Any]], arm: str) -> tuple[str, str]:
    """Mean held-out score of an arm, and its gain over the seed prompt in points."""
    own = [r for r in records if r["arm"] == arm]
    if not own:
        return "", ""
    score = 100 * sum(r["winner"] for r in own) / len(own)
    return f"{score:.0f} %", f"{score - 100 * sum(r['baseline'] for r in own) / len(own):+.1f}"


def _by_labels(records: list[dict[str, Any]]) -> str:
    """Gains of few examples by the number of labels, and what part of the gain with most examples
    they are: with fewer examples than labels some labels have none."""
    rows = []
    for counts in LABELS:
        names = [name for name, task in TASKS.items() if len(task.labels) in counts]
        for title, suffix in (("plain prompt", ""), ("ours", WEIGHTED)):
            gains = {n: _mean_gain(records, names, f"{n}{suffix}") for n in SIZES}
            whole = gains[SIZES[-1]] or math.nan
            cells = [f"{gain:+.0f} ({gain / whole:.0%})" for gain in gains.values()]
            rows.append((" or ".join(map(str, counts)), str(len(names)), title, *cells))
    return table(("labels", "tasks", "search", *(f"{n} examples" for n in SIZES)), rows)


def _mean_gain(records: list[dict[str, Any]], names: Sequence[str], arm: str) -> float:
    own = [r for r in records if r["arm"] == arm and r["task"] in names]
    return 100 * sum(r["winner"] - r["baseline"] for r in own) / len(own) if own else math.nan


def summary(records: list[dict[str, Any]]) -> str:
    """The three tables, in Markdown."""
    parts = {part: [r for r in records if r["part"] == part] for part in PARTS}
    tables = []
    if parts["random"]:
        false = sum(r["recommended"] == "winner" for r in parts["random"])
        tables.append(f"Random labels: {false} of {len(parts['random'])} runs claim a gain.")
    if parts["few"]:
        columns = ("training examples", "plain prompt", "gain", "ours", "gain")
        rows = [(str(n), *_gains(parts["few"], f"{n}"), *_gains(parts["few"], f"{n}{WEIGHTED}"))
                for n in SIZES]  # fmt: skip
        tables += [table(columns, rows), _by_labels(parts["few"])]
    if parts["verdict"]:
        head = ("task", "evaluations", "seed prompt", "winner", "p", "recommended")
        verdicts = [
            (r["task"], str(r["budget"]), f"{100 * r['baseline']:.0f} %",
             f"{100 * r['winner']:.0f} %", f"{r['p']:.0e}", r["recommended"])
            for r in parts["verdict"]
        ]  # fmt: skip
        tables.append(table(head, verdicts))
    return "\n\n".join(tables)

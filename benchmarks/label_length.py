"""What longer labels change: `python -m benchmarks.label_length`.

The sample tasks with the prompts of `expert/`, whose answers are words that the embedded model
knows. One label after the other is made longer (" item", " as the picture shows"), in the question
and as an answer, and the held-out pictures are answered again. The ways of scoring:

whole     the log-probability of the whole answer
mean      that divided by the answer's number of tokens
unique    the log-probability of its shortest beginning that no other answer has

each without and with offsets fitted to the training pictures, as the search fits them for every
candidate. Writes results/label_length.json: the mean and the greatest change of the accuracy by a
renaming, in points, and the recall of the renamed label.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import yaml

from idealprompt_cli.core.prompt import Prompt, Verbaliser
from idealprompt_cli.core.results import Outcome
from idealprompt_cli.core.task import Example, Task
from idealprompt_cli.engines import EngineOptions
from idealprompt_cli.engines.llama_cpp.engine import LlamaCppEngine, open_llama_cpp
from idealprompt_cli.engines.llama_cpp.scheduling.request_plan import (
    ScoreJob,
    beginnings,
    make_prefix,
)
from idealprompt_cli.evaluation.calibration import best_calibration, shifted_logs
from idealprompt_cli.prompts.rendering import render, words_for
from idealprompt_cli.prompts.serialisation import from_dict
from idealprompt_cli.runs.models import embedded_model
from idealprompt_cli.task import load_task

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "label_length.json"
TASKS = ("defect_routing", "grade", "matching_pair", "photo_quality", "style_code", "watermark")
LONGER = (" item", " as the picture shows")
WAYS = ("whole", "mean", "unique")
FOLDS = 8


@dataclass(frozen=True)
class Found:
    """Accuracy on the held-out pictures, in percent, and each label's recall."""

    accuracy: float
    recall: Mapping[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    ref = embedded_model()
    assert ref is not None, "the embedded model is not built"
    rows: list[dict[str, Any]] = []
    with open_llama_cpp(ref, EngineOptions(threads=options.threads), print) as engine:
        for name in options.tasks:
            rows += renamings(engine, name)
    table = {kind: summary(rows, kind) for kind in kinds()}
    RESULTS.write_text(json.dumps({"summary": table, "renamings": rows}, indent=2) + "\n")
    print("| scoring | mean change | greatest change | recall before | recall after |")
    print("|---|---|---|---|---|")
    for kind, row in table.items():
        print(f"| {kind} | " + " | ".join(f"{value:.1f}" for value in row.values()) + " |")


def kinds() -> list[str]:
    return [f"{way}{'' if raw else ', calibrated'}" for raw in (True, False) for way in WAYS]


def renamings(engine: LlamaCppEngine, name: str) -> list[dict[str, Any]]:
    """Each renaming of a task's labels, with what it changes by each kind of scoring."""
    task = load_task(ROOT / "sample_tasks" / name)
    data = yaml.safe_load((ROOT / "benchmarks/expert" / f"{name}.yaml").read_text("utf-8"))
    prompt = from_dict(data, name)
    before = measured(engine, task, prompt)
    rows = []
    for label in task.labels:
        for suffix in LONGER:
            after = measured(engine, task, lengthened(prompt, label, suffix))
            changes = {
                kind: {
                    "change": round(after[kind].accuracy - before[kind].accuracy, 2),
                    "recall_before": round(before[kind].recall[label], 1),
                    "recall_after": round(after[kind].recall[label], 1),
                }
                for kind in kinds()
            }
            rows.append({"task": name, "label": label, "suffix": suffix, **changes})
    return rows


def lengthened(prompt: Prompt, label: str, suffix: str) -> Prompt:
    """The prompt with longer words for a label, in its question too."""
    words = words_for(prompt, label)
    new = Verbaliser(label, tuple(word + suffix for word in words))
    others = tuple(one for one in prompt.verbalisers if one.label != label)
    question = prompt.question
    for word in words:
        question = re.sub(rf"\b{re.escape(word)}\b", word + suffix, question, count=1)
    return prompt.with_(question=question, verbalisers=(*others, new))


def summary(rows: Sequence[dict[str, Any]], kind: str) -> dict[str, float]:
    found = [row[kind] for row in rows]
    return {
        "mean_change": round(mean(abs(one["change"]) for one in found), 2),
        "greatest_change": max(abs(one["change"]) for one in found),
        "recall_before": round(mean(one["recall_before"] for one in found), 1),
        "recall_after": round(mean(one["recall_after"] for one in found), 1),
    }


def measured(engine: LlamaCppEngine, task: Task, prompt: Prompt) -> dict[str, Found]:
    """Kind of scoring -> what it finds."""
    train, test = (scored(engine, task, prompt, split) for split in (task.train, task.test))
    found = {}
    for way in WAYS:
        found[way] = graded(task, test[way], {})
        offsets = calibration(task, train[way])
        found[f"{way}, calibrated"] = graded(task, test[way], offsets)
    return found


def scored(
    engine: LlamaCppEngine, task: Task, prompt: Prompt, examples: Sequence[Example]
) -> dict[str, list[Outcome]]:
    """Way of scoring -> outcomes."""
    words = [word for label in task.labels for word in words_for(prompt, label)]
    loaded, backend = engine._loaded, engine._backends.best(with_pictures=True)
    plans = [
        loaded.planner.plan(render(prompt, task.labels, len(one.images)), "", tuple(words))
        for one in examples
    ]
    jobs = [
        ScoreJob(make_prefix(plan.prefix, one.images, plan.fields), plan)
        for plan, one in zip(plans, examples, strict=True)
    ]
    whole = [answer.logprobs for answer in backend.score(jobs)]
    short = [
        ScoreJob(job.prefix, replace(job.plan, options=beginnings(job.plan.options)))
        for job in jobs
    ]
    unique = [answer.logprobs for answer in backend.score(short)]
    lengths = [len(option) for option in plans[0].options]
    means = [[v / n for v, n in zip(row, lengths, strict=True)] for row in whole]
    by_way = {"whole": whole, "mean": means, "unique": unique}
    return {
        way: [
            outcome(one, by_label(task, prompt, words, row))
            for one, row in zip(examples, by_way[way], strict=True)
        ]
        for way in WAYS
    }


def by_label(
    task: Task, prompt: Prompt, words: Sequence[str], logs: Sequence[float]
) -> dict[str, float]:
    scores = dict(zip(words, logs, strict=True))
    return {
        label: math.log(sum(math.exp(scores[word]) for word in words_for(prompt, label)) + 1e-300)
        for label in task.labels
    }


def outcome(example: Example, logs: Mapping[str, float]) -> Outcome:
    top = max(logs.values())
    total = top + math.log(sum(math.exp(value - top) for value in logs.values()))
    predicted = max(logs, key=lambda label: logs[label])
    others = max(value for label, value in logs.items() if label != example.answer)
    return Outcome(
        example.id,
        example.answer,
        predicted,
        float(predicted == example.answer),
        logs[example.answer] - others,
        {label: math.exp(value - total) for label, value in logs.items()},
    )


def calibration(task: Task, outcomes: Sequence[Outcome]) -> dict[str, float]:
    """The offsets that the search would give a candidate with these outcomes."""
    examples = {one.id: one for one in task.train}
    folds = {one.example_id: place % FOLDS for place, one in enumerate(outcomes)}

    def shift(before: Outcome, offsets: Mapping[str, float]) -> Outcome:
        return outcome(examples[before.example_id], shifted_logs(before.probabilities, offsets))

    found = best_calibration(outcomes, task.labels, folds, shift)
    return dict(found[0].whole) if found else {}


def graded(task: Task, outcomes: Sequence[Outcome], offsets: Mapping[str, float]) -> Found:
    right: dict[str, list[bool]] = {label: [] for label in task.labels}
    for one in outcomes:
        logs = shifted_logs(one.probabilities, offsets)
        right[one.gold].append(max(logs, key=lambda label: logs[label]) == one.gold)
    every = [hit for hits in right.values() for hit in hits]
    recall = {label: 100 * mean(hits) if hits else 0.0 for label, hits in right.items()}
    return Found(100 * mean(every), recall)


if __name__ == "__main__":
    main()

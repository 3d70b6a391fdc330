"""What training examples in front of the question would add: few-shot demonstrations, measured.

    python -m benchmarks.real demonstrations FOLDER --model M --mmproj P --work WORK --tasks dev

The demonstrations are earlier turns of the chat: an example's images and texts with the prompt's
question, then its label by the prompt's first word for it. They are taken in a fixed random order
in which the labels take turns ("fixed"), or are those nearest to each example by embedding
("nearest"; only where the engine embeds). Two prompts are tried: the seed prompt, and the winner
of a search. Label bias is corrected by the mean log-probabilities over the other training examples
(batch calibration, arXiv 2309.17249), for the prompt without demonstrations too, so that the
comparison is of demonstrations alone. A demonstration that is the example itself is left out.
Writes results/real_demonstrations.json with the positions that an evaluation computed on average;
tasks that were not chosen keep their figures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compare import write_records
from benchmarks.contest import searched
from benchmarks.markdown import table
from idealprompt_cli.core.errors import IdealPromptError
from idealprompt_cli.core.prompt import Message, Prompt
from idealprompt_cli.core.requests import ScoreRequest
from idealprompt_cli.core.task import Example, Task
from idealprompt_cli.evaluation.calibration import mean_offsets
from idealprompt_cli.evaluation.cross_fitting import shuffled
from idealprompt_cli.prompts.rendering import begins, lead, prefill, render, words_for
from idealprompt_cli.task import load_task

from .compare import Call, Models, Opened, chosen

RESULTS = Path(__file__).resolve().parent.parent / "results" / "real_demonstrations.json"
PER_LABEL = (1, 2)
BUDGET = 300
Near = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Shown:
    """A way to show demonstrations: `count` of them, the same for all or the nearest."""

    name: str
    count: int
    nearest: bool = False

    def order(self, task: Task, train: Sequence[Example], near: np.ndarray | None,
              place: int) -> list[Example]:  # fmt: skip
        """The demonstrations for one example, the nearest last."""
        if not self.nearest or near is None:
            return list(train[: self.count])
        ranked = np.argsort(-near[place], kind="stable")
        return [train[int(i)] for i in ranked[: self.count + 1]][::-1]


def turns(prompt: Prompt, task: Task, example: Example, label: str = "") -> tuple[Message, ...]:
    """An example as chat turns; with its label, the model's answer too."""
    messages = render(prompt, task.labels, len(example.images), example.fields)
    if not label:
        return messages
    start = prefill(prompt)
    said = start + lead(start) + words_for(prompt, label)[0]
    return (*messages, Message("assistant", (said,)))


def requests(
    prompt: Prompt, task: Task, examples: Sequence[Example], shown: Sequence[Sequence[Example]]
) -> list[ScoreRequest]:
    """One request per example, with its demonstrations before it."""
    words = [word for label in task.labels for word in words_for(prompt, label)]
    start = prefill(prompt) if begins(prompt) else ""
    made = []
    for example, before in zip(examples, shown, strict=True):
        own = [one for one in before if one.id != example.id]
        messages = tuple(
            message for one in own for message in turns(prompt, task, one, one.answer)
        ) + turns(prompt, task, example)
        images = tuple(path for one in (*own, example) for path in one.images)
        options = tuple(lead(start) + word for word in words)
        made.append(ScoreRequest(messages, images, options, start, whole=bool(prompt.verbalisers)))
    return made


def label_logs(prompt: Prompt, task: Task, answers: Sequence[Sequence[float]]) -> list[list[float]]:
    """Per example, the log-probability of each label: that of any of its words."""
    counts = [len(words_for(prompt, label)) for label in task.labels]
    ends = np.cumsum([0, *counts])
    return [
        [float(np.logaddexp.reduce(row[a:b])) for a, b in pairwise(ends)]
        for row in map(np.asarray, answers)
    ]


def measured(
    opened: Opened, prompt: Prompt, task: Task, way: Shown, near: Near | None
) -> dict[str, float]:
    """Held-out accuracy as answered, and with label bias corrected on the training examples."""
    train = shuffled(task.train, 0)
    rows = []
    for place, part in enumerate((train, task.test)):
        similar = near[place] if near else None
        shown = [way.order(task, train, similar, i) for i in range(len(part))]
        answers = opened.memo.score(requests(prompt, task, part, shown))
        rows.append(label_logs(prompt, task, [one.logprobs for one in answers]))
        tokens = sum(one.tokens for one in answers) / len(answers)
    fixed = {one.id for one in train[: way.count]} if not way.nearest else set()
    fitted = [
        (example.answer, dict(zip(task.labels, row, strict=True)))
        for example, row in zip(train, rows[0], strict=True) if example.id not in fixed
    ]  # fmt: skip
    offsets = dict(mean_offsets(fitted, task.labels))
    moved = np.array([offsets[label] for label in task.labels])
    gold = np.array([task.labels.index(example.answer) for example in task.test])
    logs = np.array(rows[1])
    return {
        "raw": round(float((logs.argmax(axis=1) == gold).mean()), 4),
        "calibrated": round(float(((logs + moved).argmax(axis=1) == gold).mean()), 4),
        "tokens": round(tokens, 1),
    }


def similarity(opened: Opened, task: Task) -> Near | None:
    """(examples, training examples) cosine similarities of training and of held-out examples."""
    train = shuffled(task.train, 0)
    try:
        own, held = opened.embed(task, train), opened.embed(task, task.test)
    except IdealPromptError:
        return None  # texts, without PyTorch
    centre = own.mean(axis=0)
    own, held = own - centre, held - centre
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    held /= np.linalg.norm(held, axis=1, keepdims=True)
    return own @ own.T, held @ own.T


def measure(options: argparse.Namespace) -> int:
    """Print and keep the accuracy of each way on each task."""
    call = Call.of(options)
    models = Models(call)
    for name in chosen(options.tasks):
        task = load_task(call.tasks / name)
        opened = models.of(task)
        near = similarity(opened, task)
        winner = searched("puct", opened.memo, task, 0, BUDGET).winner
        prompts = {"seed": Prompt(task.question), "winner": winner.with_(calibration=())}
        counts = [len(task.labels) * each for each in PER_LABEL]
        ways = [Shown("none", 0), *(Shown(f"fixed {n}", n) for n in counts)]
        ways += [Shown(f"nearest {n}", n, True) for n in counts[:1] if near]
        found = []
        for kind, prompt in prompts.items():
            for way in ways:
                record = measured(opened, prompt, task, way, near)
                found.append({"task": name, "prompt": kind, "shown": way.name, **record})
                print(*found[-1].values(), flush=True)
        _kept(name, found)
    return 0


def _kept(name: str, found: list[dict[str, Any]]) -> None:
    known = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else []
    every = [one for one in known if one["task"] != name] + found
    write_records(RESULTS, every)


def summary(records: Sequence[Mapping[str, Any]]) -> str:
    """Accuracy with label bias corrected, and positions computed, in Markdown."""
    rows = [
        (r["task"], r["prompt"], r["shown"], f"{100 * r['calibrated']:.0f} %", f"{r['tokens']:.0f}")
        for r in records
    ]
    return table(("task", "prompt", "demonstrations", "accuracy", "positions computed"), rows)

"""What is put side by side on the real tasks, beside the methods of `benchmarks.contest`.

Yardsticks cost no evaluations and have one score; the expert prompt was written by hand.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.contest import Found, Record, contest, context_for, finished
from benchmarks.memo import MemoEngine
from idealprompt_cli import metrics, strategies
from idealprompt_cli.core.committee import Asked
from idealprompt_cli.core.interfaces import Engine
from idealprompt_cli.core.prompt import Message
from idealprompt_cli.core.requests import ScoreRequest
from idealprompt_cli.core.task import Example, Task
from idealprompt_cli.evaluation.cross_fitting import Candidate, deal, fold_places
from idealprompt_cli.evaluation.evaluator import Evaluator
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.evaluation.probe import probes
from idealprompt_cli.evaluation.racing import race
from idealprompt_cli.priors import Priors
from idealprompt_cli.prompts.rendering import render
from idealprompt_cli.prompts.serialisation import from_dict
from idealprompt_cli.proposers import WithWriter, second_model
from idealprompt_cli.runs.alternating import alternate
from idealprompt_cli.runs.run import reflection_settings
from idealprompt_cli.search.tree_search import SearchSettings, search

from . import ablation

EXPERT = Path(__file__).resolve().parent.parent / "expert" / "real"
POOL = (
    "puct",
    "puct+priors",
    "puct+box",
    "search+reflect",
    "search+reflect+writer",
    "weighted",
    "committee",
    "best-first",
    "thompson",
    "top-two",
    "fixed-blocks",
    "beam",
    "random",
)
PEERS = ("gepa", "gepa+writer", "gepa+pool", "mipro")
MEMBERS = {"weighted": 1, "committee": 3}
FIXED = ("seed", "expert", "majority", "probe", "nearest-mean")
METHODS = (*FIXED, *POOL, *PEERS, *ablation.PARTS)
BUDGETS = (100, 300, 800)
# (engine, examples) -> (examples, width)
Embed = Callable[[Sequence[Example]], np.ndarray]


def compared(
    method: str,
    engine: MemoEngine,
    task: Task,
    seed: int,
    budgets: Sequence[int],
    embed: Embed,
    writer: Engine | None = None,
    learnt: Priors | None = None,
) -> list[Record]:
    """The records of a method on a task: one per budget, or one where the budget plays no part.
    `writer` is the second model of "gepa+writer"; `learnt` what other tasks taught."""
    if method in ("majority", "probe", "nearest-mean"):
        return [_yardstick(method, task, budget, seed, embed) for budget in budgets]
    if method == "expert":
        return _expert(engine, task, seed, budgets)
    if method in ("search+reflect", "search+reflect+writer"):
        chosen = writer if method.endswith("writer") else None
        return [_alternating(method, engine, task, seed, budget, chosen) for budget in budgets]
    if method in ablation.PARTS:
        return ablation.ablated(method, engine, task, seed, budgets)
    if method in MEMBERS:
        return [_committee(method, engine, task, seed, budget) for budget in budgets]
    return contest(method, engine, task, seed, budgets, writer=writer, learnt=learnt)


def _record(method: str, task: Task, seed: int, budget: int, value: float) -> Record:
    return {
        "method": method, "task": task.name, "fingerprint": task.fingerprint, "seed": seed,
        "budget": budget, "evaluations": 0, "selection": 0.0, "test": round(value, 4),
        "prompt_tokens": 0, "seconds": 0.0, "own_seconds": 0.0, "trials": 0,
    }  # fmt: skip


def _yardstick(method: str, task: Task, budget: int, seed: int, embed: Embed) -> Record:
    gold = [example.answer for example in task.test]
    labels = [example.answer for example in task.train]
    if method == "majority":
        label = Counter(labels).most_common(1)[0][0]
        value = sum(label == answer for answer in gold) / len(gold)
    else:
        linear, nearest = probes(embed(task.train), labels, embed(task.test), gold)
        value = (linear if method == "probe" else nearest).accuracy
    return _record(method, task, seed, budget, value)


def _expert(engine: MemoEngine, task: Task, seed: int, budgets: Sequence[int]) -> list[Record]:
    """The prompt by hand, with its label bias corrected on the training examples where that helps,
    as it is for every candidate of a search."""
    data = yaml.safe_load((EXPERT / f"{task.name}.yaml").read_text("utf-8"))
    candidate = Candidate(from_dict(data, task.name))
    evaluator = Evaluator(MeteredEngine(engine), task, metrics.get(task.metric))
    fold_of = fold_places(deal(task.train, task.labels), task.train)
    finish = race(evaluator, [candidate], None, task.train, fold_of, calibrate=True)[0]
    prompt = finish.candidate.prompt
    scored = evaluator.evaluate(prompt, task.test)
    tokens = engine.count_tokens(render(prompt, task.labels))
    return [
        {**_record("expert", task, seed, budget, scored.value), "prompt_tokens": tokens}
        for budget in budgets
    ]


def _alternating(
    method: str, engine: MemoEngine, task: Task, seed: int, budget: int, writer: Engine | None
) -> Record:
    """Search and reflection in turns, without priors, at one budget; `writer` is their proposer."""
    base = WithWriter(engine, writer) if writer else engine
    proposer = second_model(writer.info(), print) if writer else None

    def searched() -> list[Found]:
        with tempfile.TemporaryDirectory() as folder:
            context = context_for(task, base, seed, budget)
            settings = SearchSettings(strategies.select(None), proposer=proposer)
            result = alternate(context, settings, reflection_settings(Path(folder)))
        spent, value = result.cost.evaluations, result.selection.winner.value
        return [Found(budget, spent, result.winner, value, len(result.trials))]

    [record] = finished(method, engine, task, seed, searched)
    return record


def _committee(method: str, engine: MemoEngine, task: Task, seed: int, budget: int) -> Record:
    """The search of `puct` with a committee in the end; where none is as good as the winner, the
    winner."""

    def searched() -> list[Found]:
        context = context_for(task, engine, seed, budget)
        result = search(context, SearchSettings(strategies.select(None), committee=MEMBERS[method]))
        made, value = result.committee, result.selection.winner.value
        asked: Asked = made.committee if made else result.winner
        value = made.selection.value if made else value
        return [Found(budget, result.cost.evaluations, asked, value, len(result.trials))]

    [record] = finished(method, engine, task, seed, searched)
    return record


def text_requests(task: Task, examples: Sequence[Example]) -> list[ScoreRequest]:
    """The examples' own texts as requests, for embeddings of texts."""
    return [
        ScoreRequest((Message("user", (" ".join(e.fields.values()),)),), (), (task.labels[0],))
        for e in examples
    ]


NAMES: Mapping[str, Any] = {
    "seed": "seed prompt", "expert": "expert prompt (by hand)", "majority": "majority vote",
    "probe": "linear probe", "nearest-mean": "nearest class mean",
    "puct": "a plain prompt",
    "puct+priors": "a plain prompt, priors of other tasks",
    "puct+box": "a plain prompt, priors of half of them",
    "search+reflect": "a plain prompt, search and reflection",
    "search+reflect+writer": "a plain prompt, search and reflection by a 1.5B model",
    "weighted": "ours", "committee": "committee of up to 3",
    "best-first": "best first", "thompson": "Thompson sampling",
    "top-two": "examples by top-two sampling",
    "fixed-blocks": "examples in fixed blocks", "beam": "beam", "random": "random",
    "gepa": "GEPA, same model writes", "gepa+writer": "GEPA, a 1.5B model writes",
    "gepa+pool": "GEPA, our pool", "mipro": "MIPROv2",
    **{part: f"a plain prompt, {part}" for part in ablation.PARTS},
}  # fmt: skip

"""Our own method on the same examples: the search of `idealprompt search` at a small budget."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from idealprompt_cli import metrics, strategies
from idealprompt_cli.core.interfaces import Engine
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.core.task import ModelRef, Task
from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.evaluation.budget import Budget
from idealprompt_cli.evaluation.context import open_context
from idealprompt_cli.evaluation.evaluator import Evaluator
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.search.tree_search import SearchSettings, search

BUDGET = 300


@dataclass(frozen=True)
class Searched:
    """The winner, what finding it took in CPU seconds, and the held-out accuracy of one prompt with
    weighted answer words (of the winner, where that is not as good)."""

    prompt: Prompt
    seconds: float
    evaluations: int
    weighted: float


@cache
def _engine(model: Path, mmproj: Path | None) -> Engine:
    options = EngineOptions(threads=1, tune="off")
    return open_engine("llama_cpp", ModelRef(model, mmproj), options, print)


def search_prompt(task: Task, model: Path, mmproj: Path, seed: int) -> Searched:
    """Search with llama.cpp on one thread, without priors."""
    engine = _engine(model, mmproj if task.pictured else None)
    started = time.process_time()
    context = open_context(
        task, engine, metrics.get(task.metric), Budget(evaluations=BUDGET), seed=seed
    )
    result = search(context, SearchSettings(strategies.select(None), committee=1))
    seconds = round(time.process_time() - started, 2)
    asked = result.committee.committee if result.committee else result.winner
    evaluator = Evaluator(MeteredEngine(engine), task, metrics.get(task.metric))
    weighted = round(evaluator.evaluate(asked, task.test).value, 4)
    return Searched(result.winner, seconds, result.cost.evaluations, weighted)

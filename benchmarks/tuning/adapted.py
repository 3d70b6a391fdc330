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
from idealprompt_cli.search.tree_search import SearchSettings, search

BUDGET = 300


@dataclass(frozen=True)
class Searched:
    """The winner, and what finding it took in CPU seconds."""

    prompt: Prompt
    seconds: float
    evaluations: int


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
    result = search(context, SearchSettings(strategies.select(None)))
    seconds = round(time.process_time() - started, 2)
    return Searched(result.winner, seconds, result.cost.evaluations)

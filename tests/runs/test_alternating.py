"""Search and reflection alternating in one budget."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from idealprompt_cli.core.errors import Interrupted
from idealprompt_cli.core.events import ConfusionChosen, Finished, ReflectionStopped
from idealprompt_cli.core.results import RunResult
from idealprompt_cli.core.task import Task
from idealprompt_cli.evaluation.budget import Budget
from idealprompt_cli.evaluation.context import open_context
from idealprompt_cli.fitting.questions import QUESTIONS
from idealprompt_cli.metrics import METRICS
from idealprompt_cli.reflection import Settings
from idealprompt_cli.runs.alternating import alternate
from idealprompt_cli.search.tree_search import SearchSettings, search
from idealprompt_cli.storage.journal import Journal, header_for
from idealprompt_cli.strategies import STRATEGIES

from ..support.fake_vlm import FakeVlm, graded_task, picture, shop_task
from ..support.listener import Listener

METRIC = METRICS["accuracy"]
POOL = tuple(STRATEGIES.values())
WEAK = (STRATEGIES["role"], STRATEGIES["constraints"])
GRADED, SHOP = graded_task(), shop_task()


def both(
    task: Task = GRADED,
    budget: str = "700",
    pool: Any = WEAK,
    engine: FakeVlm | None = None,
    journal: Journal | None = None,
    listener: Listener | None = None,
) -> RunResult:
    context = open_context(
        task,
        engine or FakeVlm(),
        METRIC,
        Budget.parse(budget),
        journal=journal,
        observer=listener,
    )
    return alternate(context, SearchSettings(pool), Settings(QUESTIONS, picture(7)))


def timeless(result: RunResult) -> str:
    return re.sub(r"seconds=[\d.e-]+", "", repr(result))


def test_reflection_takes_over_where_the_search_finds_nothing() -> None:
    context = open_context(GRADED, FakeVlm(), METRIC, Budget.parse("700"))
    alone = search(context, SearchSettings(WEAK))
    listener = Listener()
    result = both(listener=listener)
    assert result.cost.evaluations <= 700
    assert listener.heard(ConfusionChosen)
    assert any(trial.strategy.startswith("reflect ") for trial in result.trials)
    assert result.selection.winner.value >= alone.selection.winner.value
    assert [trial.id for trial in result.trials] == list(range(len(result.trials)))


def test_the_search_goes_on_from_what_reflection_accepted() -> None:
    result = both(budget="1600", pool=(*WEAK, STRATEGIES["cues"]))
    by_id = {trial.id: trial for trial in result.trials}
    children = [t for t in result.trials if t.strategy in ("role", "constraints", "cues")]
    parents = {by_id[t.parent].strategy for t in children if t.parent is not None}
    assert any(name.startswith("reflect ") for name in parents)


def test_a_search_that_is_done_leaves_nothing_to_reflect_on() -> None:
    listener = Listener()
    result = both(shop_task(), pool=POOL, listener=listener)
    assert result.stop == "perfect"
    assert not listener.heard(ConfusionChosen)
    assert not listener.heard(ReflectionStopped)


@pytest.mark.parametrize("broken_at", [3, 9, 14])
def test_a_broken_run_resumes_to_the_same_result(tmp_path: Path, broken_at: int) -> None:
    engine = FakeVlm()
    unbroken = both(engine=engine, journal=Journal.memory())
    header = header_for(GRADED, engine.info(), 0)
    first, second = FakeVlm(fail_after=broken_at), FakeVlm()
    with Journal.create(tmp_path, header) as journal, pytest.raises(Interrupted):
        both(engine=first, journal=journal)
    with Journal.resume(tmp_path, header) as journal:
        resumed = both(engine=second, journal=journal)
    assert timeless(resumed) == timeless(unbroken)
    assert first.requests + second.requests == engine.requests


@pytest.mark.parametrize("budget", ["30", "100", "250", "3ktok"])
def test_the_budget_is_kept(budget: str) -> None:
    result = both(budget=budget, pool=POOL)
    assert Budget.parse(budget).fraction(result.cost) <= 1.0


@pytest.mark.parametrize(
    ("budget", "pool", "reported"),
    [
        ("700", WEAK, r"Reflection worked on \d prompts? and kept (no|[1-9]) edits?\.$"),
        ("1500", POOL, r"Reflection was not needed: nothing was left wrong\.$"),
    ],
)
def test_the_end_says_what_reflection_did(budget: str, pool: Any, reported: str) -> None:
    listener = Listener()
    both(SHOP if pool is POOL else GRADED, budget, pool, listener=listener)
    summary = listener.heard(Finished)[-1].summary
    assert re.search(reported, summary), summary

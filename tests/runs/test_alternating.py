"""Search and reflection alternating in one budget."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from idealprompt_cli.artifact import from_run
from idealprompt_cli.core.errors import Interrupted
from idealprompt_cli.core.results import RunResult
from idealprompt_cli.core.task import Task
from idealprompt_cli.evaluation.budget import Budget
from idealprompt_cli.fitting.questions import QUESTIONS
from idealprompt_cli.metrics import METRICS
from idealprompt_cli.reflection import Settings
from idealprompt_cli.runs.alternating import run_both
from idealprompt_cli.search.run import run
from idealprompt_cli.storage.journal import Journal, header_for
from idealprompt_cli.strategies import STRATEGIES
from idealprompt_cli.ui.console import SilentObserver

from ..support.fake_vlm import FakeVlm, graded_task, picture, shop_task

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
    events: list[tuple[str, Mapping[str, Any]]] | None = None,
    observer: SilentObserver | None = None,
) -> RunResult:
    log = events if events is not None else []
    return run_both(
        task,
        engine or FakeVlm(),
        METRIC,
        pool,
        Budget.parse(budget),
        observer=observer or SilentObserver(),
        settings=Settings(QUESTIONS, picture(7)),
        journal=journal,
        tell=lambda kind, data: log.append((kind, data)),
    )


def timeless(result: RunResult) -> str:
    return re.sub(r"seconds=[\d.e-]+", "", repr(result))


def test_reflection_takes_over_where_the_search_finds_nothing() -> None:
    alone = run(GRADED, FakeVlm(), METRIC, WEAK, Budget.parse("700"), observer=SilentObserver())
    result = both()
    assert result.cost.evaluations <= 700
    assert result.selection.winner.value > alone.selection.winner.value + 0.2
    assert from_run(result).trail[-1].strategy.startswith("reflect ")
    assert [trial.id for trial in result.trials] == list(range(len(result.trials)))


def test_the_search_goes_on_from_what_reflection_accepted() -> None:
    result = both(budget="1300", pool=(*WEAK, STRATEGIES["cues"]))
    by_id = {trial.id: trial for trial in result.trials}
    children = [t for t in result.trials if t.strategy in ("role", "constraints", "cues")]
    parents = {by_id[t.parent].strategy for t in children if t.parent is not None}
    assert any(name.startswith("reflect ") for name in parents)


def test_a_search_that_is_done_leaves_nothing_to_reflect_on() -> None:
    events: list[tuple[str, Mapping[str, Any]]] = []
    result = both(shop_task(), pool=POOL, events=events)
    assert result.stop == "perfect"
    assert events == []


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
        ("700", WEAK, r"Reflection worked on \d prompts? and kept [1-9] edits?\.$"),
        ("1500", POOL, r"Reflection was not needed: nothing was left wrong\.$"),
    ],
)
def test_the_end_says_what_reflection_did(budget: str, pool: Any, reported: str) -> None:
    ends: list[str] = []

    class Heard(SilentObserver):
        def finished(self, stop: str) -> None:
            ends.append(stop)

    both(SHOP if pool is POOL else GRADED, budget, pool, observer=Heard())
    assert re.search(reported, ends[-1]), ends

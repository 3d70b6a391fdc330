"""Whole searches on a pretend model: they gain, stop, resume and never peek."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from idealprompt_cli.core.errors import Interrupted, UsageError
from idealprompt_cli.core.events import Announced, Finished, Started, TrialDone
from idealprompt_cli.core.interfaces import Metric
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.core.results import RunResult
from idealprompt_cli.core.task import Task
from idealprompt_cli.evaluation.budget import Budget
from idealprompt_cli.evaluation.context import RunContext, open_context, plan
from idealprompt_cli.evaluation.evaluator import Evaluator
from idealprompt_cli.evaluation.held_out import held_out_test
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.metrics import METRICS
from idealprompt_cli.search.tree_search import FIRST, SearchSettings, TreeSearch, search
from idealprompt_cli.storage.journal import Journal, header_for
from idealprompt_cli.strategies import STRATEGIES

from ..support.fake_vlm import FakeVlm, graded_task, shop_task
from ..support.listener import Listener

TASK = shop_task()
METRIC = METRICS["accuracy"]
POOL = tuple(STRATEGIES.values())


def context_for(
    budget: str = "300",
    task: Task = TASK,
    engine: FakeVlm | None = None,
    journal: Journal | None = None,
    seed: int = 0,
    listener: Listener | None = None,
    metric: Metric = METRIC,
) -> RunContext:
    return open_context(
        task,
        engine or FakeVlm(),
        metric,
        Budget.parse(budget),
        journal=journal,
        observer=listener,
        seed=seed,
    )


def searched(*given: Any, **named: Any) -> RunResult:
    return search(context_for(*given, **named), SearchSettings(POOL))


def held_out(
    found: RunResult,
    engine: FakeVlm | None = None,
    journal: Journal | None = None,
    metric: Metric = METRIC,
) -> RunResult:
    metered = MeteredEngine(engine or FakeVlm(), journal)
    return held_out_test(found, Evaluator(metered, found.task, metric))


def timeless(result: RunResult) -> str:
    """Everything but the seconds, which no two runs share."""
    return re.sub(r"seconds=[\d.e-]+", "", repr(result))


def test_a_search_beats_the_seed_prompt_on_held_out_pictures() -> None:
    found = searched()
    assert found.test is None
    result = held_out(found)
    assert result.test is not None
    assert result.test.winner.value > 0.9 > 0.75 > result.test.baseline.value
    assert result.test.comparison.reliable
    assert result.recommended == "winner"
    assert result.verdict.startswith("The winner beats the seed prompt")
    assert result.cost.evaluations == found.cost.evaluations + 80


def test_the_test_split_is_not_looked_at_by_the_search() -> None:
    engine = FakeVlm()
    searched(engine=engine)
    held_out = {path for example in TASK.test for path in example.images}
    shown = [request.images for request in engine.scored]
    shown += [request.images for request in engine.generated]
    assert shown
    assert not held_out & {path for images in shown for path in images}


@pytest.mark.parametrize("budget", ["20", "50", "100", "1000", "1ktok", "20ktok"])
def test_the_budget_is_kept_and_the_stop_reason_reported(budget: str) -> None:
    listener, engine = Listener(), FakeVlm()
    noise = replace(TASK, train=relabelled(TASK, 1))
    found = searched(budget, noise, engine, listener=listener)
    limit = Budget.parse(budget)
    thoughts = ("First describe", "Think step by step")
    reasoned = sum(any(t in str(r.messages) for t in thoughts) for r in engine.generated)
    assert found.cost.evaluations == engine.requests - reasoned
    assert limit.fraction(found.cost) <= 1.0
    assert found.stop in ("evaluations", "tokens", "exhausted")
    assert len(listener.heard(Started)) == len(listener.heard(Finished)) == 1
    assert listener.heard(Finished)[0].summary.startswith("Stopped: ")
    trials = listener.heard(TrialDone)
    assert [event.trial.id for event in trials] == list(range(len(found.trials)))
    fractions = [event.fraction for event in trials]
    assert fractions == sorted(fractions)


def test_a_budget_below_the_seed_prompt_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="does not cover the seed prompt"):
        searched("15")


@pytest.mark.parametrize("budget", range(60, 240, 20))
def test_a_prompt_that_the_budget_cut_short_does_not_win(budget: int) -> None:
    result = searched(str(budget), graded_task())
    assert result.selection.winner.n == result.selection.baseline.n
    cut = [trial for trial in result.trials if "the budget ended after" in trial.note]
    assert all(trial.state == "pruned" for trial in cut)


def relabelled(task: Task, seed: int) -> tuple:  # type: ignore[type-arg]
    labels = [example.answer for example in task.train]
    random.Random(seed).shuffle(labels)
    return tuple(replace(e, answer=x) for e, x in zip(task.train, labels, strict=True))


def test_random_labels_give_no_reliable_gain() -> None:
    """The selection score of the winner is an honest one: cross-fitted, and corrected."""
    for seed in range(4):
        noise = replace(TASK, train=relabelled(TASK, seed), test=())
        found = held_out(searched("200", noise))
        assert found.recommended == "baseline"
        assert re.search("keep the seed prompt|no better prompt", found.verdict.lower())


def test_equal_seeds_give_equal_runs() -> None:
    first, second = searched(seed=5), searched(seed=5)
    assert timeless(first) == timeless(second)


def test_trials_are_a_tree_with_notes() -> None:
    found = searched("400", replace(TASK, train=relabelled(TASK, 3)))
    assert found.trials[0].strategy == "seed"
    for trial in found.trials[1:]:
        assert trial.parent is not None
        assert trial.parent < trial.id
        assert trial.strategy in STRATEGIES
        assert trial.note
        assert trial.prompt_tokens > 0
    assert {t.state for t in found.trials} >= {"complete", "pruned"}


@pytest.mark.parametrize("broken_at", [0, 1, 2, 4, 7])
def test_a_broken_run_resumes_to_the_same_result(tmp_path: Path, broken_at: int) -> None:
    task = replace(TASK, train=relabelled(TASK, 2))
    engine = FakeVlm()
    unbroken = searched("250", task, engine)
    header = header_for(task, engine.info(), 0)
    first, second = FakeVlm(fail_after=broken_at), FakeVlm()
    with (
        Journal.create(tmp_path, header) as journal,
        pytest.raises(Interrupted, match="what was computed is kept"),
    ):
        searched("250", task, first, journal)
    with Journal.resume(tmp_path, header) as journal:
        resumed = searched("250", task, second, journal)
        trials = journal.trials()
    assert timeless(resumed) == timeless(unbroken)
    assert first.requests + second.requests == engine.requests
    assert [t.id for t in trials] == list(range(len(unbroken.trials)))


def test_a_finished_run_resumes_without_asking_anything(tmp_path: Path) -> None:
    header = header_for(TASK, FakeVlm().info(), 0)
    engine, silent = FakeVlm(), FakeVlm()
    with Journal.create(tmp_path, header) as journal:
        done = held_out(searched(engine=engine, journal=journal), engine, journal)
    with Journal.resume(tmp_path, header) as again:
        found = held_out(searched(engine=silent, journal=again), silent, again)
    assert silent.calls == 0
    assert found.verdict == done.verdict
    assert found.cost.evaluations == done.cost.evaluations


def test_the_plan_says_what_the_budget_buys() -> None:
    assert plan(TASK, Budget.parse("300"), FIRST) == (
        "16 training examples; budget: 300 evaluations. After the seed prompt (16) and the model's "
        "descriptions (16) this buys 16 prompts scored on every example, or up to 33 where racing "
        "drops the weak ones early, up to about 3 edits deep."
    )
    assert "this buys 1 prompt scored on" in plan(TASK, Budget.parse("48"), FIRST)
    assert plan(TASK, Budget.parse("16"), FIRST).endswith("this buys no other prompt.")
    assert "10 min 0 s" in plan(TASK, Budget.parse("10m"), FIRST)
    texts = replace(TASK, train=tuple(replace(one, images=()) for one in TASK.train))
    assert "After the seed prompt (16) this buys 17 prompts" in plan(
        texts, Budget.parse("300"), FIRST
    ), "texts need no description"


def test_a_budget_in_tokens_is_reported_in_prompts_after_the_seed_prompt() -> None:
    listener = Listener()
    for budget in ("9ktok", "300"):
        searched(budget, listener=listener)
    (event,) = listener.heard(Announced)
    assert re.search(r"covers \d+ more evaluations, .* up to about \d edits? deep", event.text)


def test_a_task_without_training_pictures_is_refused() -> None:
    with pytest.raises(UsageError, match="no training examples"):
        searched(task=replace(TASK, train=()))


def test_three_labels_and_another_metric() -> None:
    task = shop_task(attribute="colour", n_train=24)
    names = {"red": "A", "green": "B", "blue": "C", "white": "C"}

    def named(examples: tuple) -> tuple:  # type: ignore[type-arg]
        return tuple(replace(e, answer=names[e.id.split("_")[1]]) for e in examples)

    task = replace(task, labels=("A", "B", "C"), train=named(task.train), test=named(task.test))
    metric = METRICS["macro_f1"]
    result = held_out(searched(task=task, metric=metric), metric=metric)
    assert result.test is not None
    assert result.test.winner.value > 0.9


def test_a_search_stops_on_request_and_continues_from_other_prompts() -> None:
    tree_search = TreeSearch(context_for("900", graded_task()), SearchSettings(POOL))
    trials = tree_search.recorder.trials
    assert tree_search.run(lambda: len(trials) >= 3) == "settled"
    root, count = tree_search.tree.nodes[0], len(trials)
    assert root.trial.evaluation is not None
    sure = replace(
        root.trial,
        id=count,
        parent=0,
        strategy="elsewhere",
        prompt=Prompt("What pattern is it?"),
        evaluation=replace(root.trial.evaluation, value=1.0),
    )
    tree_search.adopt([sure, replace(sure, id=count + 1, parent=count)], {count})
    assert [node.trial.id for node in tree_search.tree.nodes][-1] == count
    assert tree_search.tree.nodes[-1].parent is root
    tree_search.run()
    assert len(trials) > count + 2
    assert [trial.id for trial in trials] == list(range(len(trials)))


def test_a_validation_split_selects_and_inspires_nothing() -> None:
    engine, task = FakeVlm(), shop_task()
    task = replace(task, validation=task.test[:20], test=task.test[20:])
    found = searched("500", task, engine)
    chosen = {example.id for example in task.validation}
    for trial in found.trials:
        assert trial.evaluation is not None
        assert {outcome.example_id for outcome in trial.evaluation.outcomes} <= chosen
        assert trial.variants == ()
    asked = {path for request in engine.generated for path in request.images}
    assert asked
    assert not asked & {path for example in task.validation for path in example.images}
    assert "20 validation examples" in found.verdict or found.selection.winner.n == 20
    assert found.selection.winner.value > found.selection.baseline.value

"""Whole searches on a pretend model: they gain, stop, resume and never peek."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from idealprompt_cli.core.errors import Interrupted, UsageError
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.core.requests import ModelInfo
from idealprompt_cli.core.results import RunResult, Trial
from idealprompt_cli.core.task import Task
from idealprompt_cli.evaluation.budget import Budget
from idealprompt_cli.metrics import METRICS
from idealprompt_cli.search.run import begin, final_test, plan, run
from idealprompt_cli.storage.journal import Journal, header_for
from idealprompt_cli.strategies import STRATEGIES

from ..support.fake_vlm import FakeVlm, graded_task, shop_task

TASK = shop_task()
METRIC = METRICS["accuracy"]
POOL = tuple(STRATEGIES.values())


class Listener:
    """An `Observer` that writes down what it hears."""

    def __init__(self) -> None:
        self.plans: list[str] = []
        self.fractions: list[float] = []
        self.trials: list[Trial] = []
        self.ends: list[str] = []

    def started(self, task: Task, model: ModelInfo, plan: str) -> None:
        self.plans.append(plan)

    def trying(self, what: str) -> None: ...

    def answered(self, spent: str, fraction: float) -> None: ...

    def trial(self, trial: Trial, best: Trial, spent: str, fraction: float) -> None:
        self.trials.append(trial)
        self.fractions.append(fraction)

    def message(self, text: str) -> None:
        pass

    def finished(self, stop: str) -> None:
        self.ends.append(stop)


def searched(
    budget: str = "300",
    task: Task = TASK,
    engine: FakeVlm | None = None,
    journal: Journal | None = None,
    seed: int = 0,
    listener: Listener | None = None,
) -> RunResult:
    return run(
        task,
        engine or FakeVlm(),
        METRIC,
        POOL,
        Budget.parse(budget),
        observer=listener or Listener(),
        journal=journal,
        seed=seed,
    )


def timeless(result: RunResult) -> str:
    """Everything but the seconds, which no two runs share."""
    return re.sub(r"seconds=[\d.e-]+", "", repr(result))


def test_a_search_beats_the_seed_prompt_on_held_out_pictures() -> None:
    found = searched()
    assert found.test is None
    tested = final_test(found, FakeVlm(), METRIC)
    assert tested.test is not None
    assert tested.test.winner.value > 0.9 > 0.75 > tested.test.baseline.value
    assert tested.test.comparison.reliable
    assert tested.recommended == "winner"
    assert tested.verdict.startswith("The winner beats the seed prompt")
    assert tested.cost.evaluations == found.cost.evaluations + 80


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
    assert len(listener.plans) == len(listener.ends) == 1
    assert listener.ends[0].startswith("Stopped: ")
    assert [t.id for t in listener.trials] == list(range(len(found.trials)))
    assert listener.fractions == sorted(listener.fractions)


def test_a_budget_below_the_seed_prompt_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="does not cover the seed prompt"):
        searched("15")


def relabelled(task: Task, seed: int) -> tuple:  # type: ignore[type-arg]
    labels = [example.answer for example in task.train]
    random.Random(seed).shuffle(labels)
    return tuple(replace(e, answer=x) for e, x in zip(task.train, labels, strict=True))


def test_random_labels_give_no_reliable_gain() -> None:
    """The selection score of the winner is an honest one: cross-fitted, and corrected."""
    for seed in range(4):
        noise = replace(TASK, train=relabelled(TASK, seed), test=())
        found = final_test(searched("200", noise), FakeVlm(), METRIC)
        assert found.recommended == "baseline"
        assert "keep the seed prompt" in found.verdict.lower()


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
    assert [t["id"] for t in trials] == list(range(len(unbroken.trials)))


def test_a_finished_run_resumes_without_asking_anything(tmp_path: Path) -> None:
    header = header_for(TASK, FakeVlm().info(), 0)
    engine, silent = FakeVlm(), FakeVlm()
    with Journal.create(tmp_path, header) as journal:
        done = final_test(searched(engine=engine, journal=journal), engine, METRIC, journal=journal)
    with Journal.resume(tmp_path, header) as again:
        found = final_test(searched(engine=silent, journal=again), silent, METRIC, journal=again)
    assert silent.calls == 0
    assert found.verdict == done.verdict
    assert found.cost.evaluations == done.cost.evaluations


def test_the_plan_says_what_the_budget_buys() -> None:
    assert plan(TASK, Budget.parse("300")) == (
        "16 training pictures; budget: 300 evaluations. After the seed prompt (16) and the model's "
        "descriptions (16) this buys 16 prompts scored on every picture, or up to 33 where racing "
        "drops the weak ones early, up to about 3 edits deep."
    )
    assert "10 min 0 s" in plan(TASK, Budget.parse("10m"))


def test_a_budget_in_tokens_is_reported_in_prompts_after_the_seed_prompt() -> None:
    said: list[str] = []

    class Heard(Listener):
        def message(self, text: str) -> None:
            said.append(text)

    for budget in ("9ktok", "300"):
        run(TASK, FakeVlm(), METRIC, POOL, Budget.parse(budget), observer=Heard())
    assert len(said) == 1
    assert re.search(r"bears \d+ evaluations more, .* up to about \d edits? deep", said[0])


def test_a_task_without_training_pictures_is_refused() -> None:
    with pytest.raises(UsageError, match="no training pictures"):
        searched(task=replace(TASK, train=()))


def test_three_labels_and_another_metric() -> None:
    task = shop_task(attribute="colour", n_train=24)
    names = {"red": "A", "green": "B", "blue": "C", "white": "C"}

    def named(examples: tuple) -> tuple:  # type: ignore[type-arg]
        return tuple(replace(e, answer=names[e.id.split("_")[1]]) for e in examples)

    task = replace(task, labels=("A", "B", "C"), train=named(task.train), test=named(task.test))
    metric = METRICS["macro_f1"]
    found = run(task, FakeVlm(), metric, POOL, Budget.parse("300"), observer=Listener())
    tested = final_test(found, FakeVlm(), metric)
    assert tested.test is not None
    assert tested.test.winner.value > 0.9


def test_a_search_stops_on_request_and_continues_from_other_prompts() -> None:
    limit = Budget(evaluations=900)
    search = begin(graded_task(), FakeVlm(), METRIC, POOL, limit, observer=Listener())
    assert search.go(lambda: len(search.trials) >= 3) == "settled"
    root, count = search.tree.nodes[0], len(search.trials)
    assert root.trial.evaluation is not None
    sure = replace(
        root.trial,
        id=count,
        parent=0,
        strategy="elsewhere",
        prompt=Prompt("What pattern is it?"),
        evaluation=replace(root.trial.evaluation, value=1.0),
    )
    search.adopt([sure, replace(sure, id=count + 1, parent=count)], {count})
    assert [node.trial.id for node in search.tree.nodes][-1] == count
    assert search.tree.nodes[-1].parent is root
    search.go()
    assert len(search.trials) > count + 2
    assert [trial.id for trial in search.trials] == list(range(len(search.trials)))

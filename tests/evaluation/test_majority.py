"""Majority vote: a prompt must beat it too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from idealprompt_cli.core.results import Evaluation, Outcome, SplitScores
from idealprompt_cli.core.task import Example, Task
from idealprompt_cli.evaluation.majority import majority_vote
from idealprompt_cli.evaluation.statistics import compare, recommended, verdict, wilson
from idealprompt_cli.metrics import METRICS

COUNTS = {"A": 4, "B": 4, "C": 32}
EXAMPLES = tuple(
    Example(f"{label}{n}", (), label, "t") for label, count in COUNTS.items() for n in range(count)
)
TASK = Task("t", Path(), "q", tuple(COUNTS), "accuracy", EXAMPLES, EXAMPLES)


def evaluated(answers: list[str], metric: str = "accuracy") -> Evaluation:
    outcomes = tuple(
        Outcome(e.id, e.answer, said, METRICS[metric].grade(said, e.answers))
        for e, said in zip(EXAMPLES, answers, strict=True)
    )
    value = METRICS[metric].aggregate(outcomes)
    return Evaluation(metric, value, wilson(value * len(outcomes), len(outcomes)), outcomes)


def split_of(before: list[str], after: list[str], metric: str = "accuracy") -> SplitScores:
    first, second = evaluated(before, metric), evaluated(after, metric)
    vote = majority_vote(TASK, EXAMPLES, second, METRICS[metric])
    return SplitScores(first, second, compare(first.outcomes, second.outcomes), vote)


def test_always_answering_the_commonest_label_is_no_reliable_gain() -> None:
    split = split_of(["A"] * 40, ["C"] * 40)
    assert split.majority is not None
    assert (split.majority.label, split.majority.value, split.majority.n) == ("C", 0.8, 40)
    assert split.comparison.reliable
    assert not split.majority.beaten
    assert recommended(split) == "baseline"
    text = verdict(split, "held-out", TASK.labels)
    assert text.startswith("No reliable gain: it beats the seed prompt")
    assert "but not the majority vote" in text
    assert "Always answering C scores 80.0 %" in text
    assert text.endswith("It never answers A, B.")


def test_more_right_examples_are_no_gain_where_the_metric_does_not_rise() -> None:
    split = split_of(["A"] * 40, ["C"] * 40, "balanced_accuracy")
    assert split.comparison.reliable
    assert split.winner.value == split.baseline.value
    assert recommended(split) == "baseline"
    text = verdict(split, "held-out", TASK.labels)
    assert text.startswith(
        "No reliable gain: more examples are right, but balanced_accuracy is no higher (33.3 %"
    )
    assert "beats the seed prompt" not in text


def test_a_prompt_that_is_right_beats_both() -> None:
    split = split_of(["C"] * 40, [example.answer for example in EXAMPLES])
    assert split.majority is not None
    assert split.majority.beaten
    assert recommended(split) == "winner"
    assert "It never answers" not in verdict(split, "held-out", TASK.labels)


@pytest.mark.parametrize("metric", ["macro_f1", "balanced_accuracy"])
def test_metrics_that_are_no_mean_of_grades(metric: str) -> None:
    split = split_of(["C"] * 40, [example.answer for example in EXAMPLES], metric)
    assert split.majority is not None
    assert split.majority.value < 0.4
    assert split.majority.beaten
    worse = split_of(["A"] * 40, ["A"] * 4 + ["C"] * 36, metric)
    assert worse.majority is not None
    assert worse.majority.value < worse.winner.value


def test_tasks_without_labels_have_none() -> None:
    free = replace(TASK, labels=(), answer="text")
    assert majority_vote(free, EXAMPLES, evaluated(["C"] * 40), METRICS["accuracy"]) is None


def test_an_unchanged_prompt_is_named() -> None:
    split = split_of(["C"] * 40, ["C"] * 40)
    text = verdict(split, "held-out", TASK.labels, "given prompt", unchanged=True)
    assert text.startswith("Nothing was changed: the given prompt scores 80.0 %")

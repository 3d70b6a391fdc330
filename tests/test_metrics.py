"""Every metric keeps the contract, and each gives the values that its definition does."""

from __future__ import annotations

import pytest

from idealprompt_cli.errors import UsageError
from idealprompt_cli.interfaces import Metric
from idealprompt_cli.metrics import METRICS, get
from idealprompt_cli.types import Outcome


def outcomes(metric: Metric, pairs: list[tuple[str, str]]) -> list[Outcome]:
    return [Outcome(str(i), g, p, metric.grade(p, g)) for i, (g, p) in enumerate(pairs)]


@pytest.mark.parametrize("name", METRICS)
def test_contract(name: str) -> None:
    metric = METRICS[name]
    assert metric.name == name
    assert metric.summary
    assert metric.grade("a", "a") == 1.0
    assert 0.0 <= metric.grade("b", "a") <= 1.0
    assert metric.aggregate([]) == 0.0
    assert metric.aggregate(outcomes(metric, [("a", "a"), ("b", "b")])) == 1.0
    assert metric.aggregate(outcomes(metric, [("a", "b"), ("b", "a")])) == 0.0


PAIRS = [("a", "a"), ("a", "a"), ("a", "b"), ("b", "b")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accuracy", 0.75),
        ("exact_match", 0.75),
        ("balanced_accuracy", (2 / 3 + 1) / 2),
        ("macro_f1", (4 / 5 + 2 / 3) / 2),
    ],
)
def test_values(name: str, value: float) -> None:
    assert METRICS[name].aggregate(outcomes(METRICS[name], PAIRS)) == pytest.approx(value)


def test_macro_f1_counts_labels_that_were_only_predicted() -> None:
    metric = METRICS["macro_f1"]
    assert metric.aggregate(outcomes(metric, [("a", "a"), ("a", "c")])) == pytest.approx(1 / 3)


@pytest.mark.parametrize("said", ["The Mug.", " mug", "MUG!", "a  mug", "ｍｕｇ"])
def test_exact_match_ignores_what_does_not_matter(said: str) -> None:
    assert METRICS["exact_match"].grade(said, "mug") == 1.0


def test_exact_match_keeps_what_matters() -> None:
    assert METRICS["exact_match"].grade("red mug", "mug") == 0.0


def test_an_unknown_name_is_a_usage_error_naming_the_nearest() -> None:
    assert get("accuracy").name == "accuracy"
    with pytest.raises(UsageError, match="did you mean 'macro_f1'"):
        get("macrof1")

"""Budgets: parsing, sharing out, refusing."""

from __future__ import annotations

import pytest

from idealprompt_cli.core.errors import UsageError
from idealprompt_cli.core.results import Cost
from idealprompt_cli.evaluation.budget import Budget


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("300", Budget(evaluations=300)),
        ("10m", Budget(seconds=600)),
        ("1h30m", Budget(seconds=5400)),
        ("10min", Budget(seconds=600)),
        ("2 hours", Budget(seconds=7200)),
        ("1 hour 30 mins 5 seconds", Budget(seconds=5405)),
        ("90s", Budget(seconds=90)),
        ("0.5h", Budget(seconds=1800)),
        ("200ktok", Budget(tokens=200_000)),
        ("1.5Mtokens", Budget(tokens=1_500_000)),
        ("800tok", Budget(tokens=800)),
        ("300, 10m", Budget(evaluations=300, seconds=600)),
    ],
)
def test_parse(text: str, budget: Budget) -> None:
    assert Budget.parse(text) == budget


@pytest.mark.parametrize("text", ["", "ten", "-3", "0", "0m", "3.5", "300,200", "5x", "10m,", "m"])
def test_nonsense_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--budget"):
        Budget.parse(text)


def test_affordable_is_the_tightest_of_all_limits() -> None:
    cost = Cost(evaluations=10, tokens=1000, seconds=5.0)
    assert Budget(evaluations=30).affordable(cost) == 20
    assert Budget(evaluations=30, tokens=1500).affordable(cost) == 5
    assert Budget(evaluations=30, seconds=6.0).affordable(cost) == 2
    assert Budget(evaluations=5).affordable(cost) == 0
    assert Budget().affordable(cost) > 10**6


def test_what_was_spent_is_reported_in_the_unit_that_ends_first() -> None:
    cost = Cost(evaluations=10, tokens=1000, seconds=50.0)
    budget = Budget(evaluations=100, seconds=60.0)
    assert budget.tightest(cost) == "seconds"
    assert budget.spent(cost) == "50 s of 1 min 0 s"
    assert budget.fraction(cost) == pytest.approx(50 / 60)
    assert Budget(tokens=1100).spent(cost) == "1,000 of 1,100 tokens"
    assert Budget().spent(cost) == "10 evaluations"


def test_describe() -> None:
    assert Budget(evaluations=300).describe() == "300 evaluations"
    both = Budget(evaluations=300, seconds=3660).describe()
    assert both == "300 evaluations or 1 h 1 min, whichever comes first"

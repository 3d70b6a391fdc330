"""Intervals, tests and bounds against values from the literature or scipy."""

from __future__ import annotations

import pytest
from scipy import stats

from idealprompt_cli.core.results import Evaluation, Outcome, SplitScores
from idealprompt_cli.evaluation.statistics import (
    _t_quantile,
    cannot_win,
    compare,
    interval,
    merit,
    sign_test,
    soft_value,
    squash,
    verdict,
    wilson,
)
from idealprompt_cli.metrics import METRICS


def graded(scores: str, margin: float = 0.0) -> list[Outcome]:
    """ "101" -> three outcomes."""
    return [
        Outcome(str(i), "a", "a" if s == "1" else "b", float(s), margin)
        for i, s in enumerate(scores)
    ]


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 30, 31, 200])
def test_students_t_equals_scipy(freedom: int) -> None:
    for level in (0.6, 0.9, 0.975, 0.999):
        assert _t_quantile(level, freedom) == pytest.approx(stats.t.ppf(level, freedom), rel=1e-9)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (5, 10), (57, 60), (60, 60)])
def test_wilson_equals_scipy(hits: int, n: int) -> None:
    ours = wilson(hits, n)
    theirs = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_wilson_of_nothing_is_everything() -> None:
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)


@pytest.mark.parametrize(("better", "worse"), [(0, 0), (1, 0), (6, 0), (9, 2), (3, 3), (28, 0)])
def test_sign_test_equals_the_exact_binomial(better: int, worse: int) -> None:
    n = better + worse
    expected = stats.binomtest(better, n).pvalue if n else 1.0
    assert sign_test(better, worse) == pytest.approx(expected)


def test_compare_counts_discordant_pairs_and_corrects_for_trials() -> None:
    before, after = graded("0000000011"), graded("1111111110")
    alone = compare(before, after)
    assert (alone.better, alone.worse) == (8, 1)
    assert alone.reliable
    assert alone.p_value == pytest.approx(20 / 512)
    corrected = compare(before, after, tried=10)
    assert corrected.p_value == pytest.approx(200 / 512)
    assert not corrected.reliable


def test_a_loss_is_never_reliable() -> None:
    assert not compare(graded("1" * 12), graded("0" * 12)).reliable


def test_bootstrap_for_what_is_no_share_and_it_is_repeatable() -> None:
    metric = METRICS["macro_f1"]
    outcomes = graded("1110")
    assert interval(outcomes, metric) == interval(outcomes, metric)
    assert interval(outcomes, metric) != wilson(3, 4)
    assert interval(outcomes, METRICS["accuracy"]) == wilson(3, 4)
    assert interval(graded("1111"), metric) == wilson(4, 4)


def test_soft_value_breaks_ties_of_the_metric() -> None:
    assert squash(0.0) == 0.5
    assert soft_value([]) == 0.0
    assert merit(0.5, graded("10", 2.0)) > merit(0.5, graded("10", 1.0))
    assert merit(0.75, graded("1110", -1.0)) > merit(0.5, graded("1100", 1.0))


def test_racing_drops_only_what_is_clearly_worse() -> None:
    good, bad = graded("11111111", 2.0), graded("01010000", -1.0)
    assert cannot_win(good, bad, remaining=8)
    assert not cannot_win(bad, good, remaining=8)
    assert not cannot_win(good, good, remaining=8)
    assert not cannot_win(good, graded("11111110", 2.0), remaining=50)


def test_racing_ignores_examples_that_the_incumbent_has_not_seen() -> None:
    assert not cannot_win([], graded("0000"), remaining=4)


def evaluation(scores: str) -> Evaluation:
    outcomes = tuple(graded(scores))
    value = METRICS["accuracy"].aggregate(outcomes)
    return Evaluation("accuracy", value, interval(outcomes, METRICS["accuracy"]), outcomes)


def split(before: str, after: str) -> SplitScores:
    a, b = evaluation(before), evaluation(after)
    return SplitScores(a, b, compare(a.outcomes, b.outcomes))


def test_verdicts() -> None:
    won = verdict(split("0" * 10 + "1" * 10, "1" * 20))
    assert won.startswith("The winner beats the seed prompt: 100.0 % [84, 100] against 50.0 %")
    assert won.endswith("on 20 held-out examples; exact McNemar p = 2e-3.")
    assert verdict(split("0101", "0111")).startswith("No reliable gain: keep the seed prompt")
    assert verdict(split("0101", "0101")).startswith("No gain:")

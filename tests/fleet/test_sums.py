"""Sums over groups, and what follows from them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from idealprompt_cli import metrics
from idealprompt_cli.core.results import Outcome
from idealprompt_cli.evaluation.statistics import soft_value, squash
from idealprompt_cli.fleet.federation.sums import (
    expanded,
    gold_of,
    margin_of,
    names,
    right_of,
    sums_of,
)

LABELS = ("A", "B", "C")
PAIRS = st.lists(
    st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS), st.floats(-9, 9)), min_size=1
)


def outcomes(pairs: list[tuple[str, str, float]]) -> list[Outcome]:
    return [
        Outcome(str(place), gold, said, float(gold == said), margin)
        for place, (gold, said, margin) in enumerate(pairs)
    ]


@given(PAIRS)
@settings(max_examples=60, deadline=None)
def test_metrics_follow_from_the_sums(pairs: list[tuple[str, str, float]]) -> None:
    """Accuracy and recalls exactly; F1 wherever wrong answers can be set against other labels."""
    own = outcomes(pairs)
    sums = sums_of(own, LABELS)
    assert len(sums) == len(names(LABELS))
    gold = gold_of([o.gold for o in own], LABELS)
    made = expanded("box/0", sums, gold, LABELS, len(own))
    assert len(made) == len(own)
    assert right_of(sums, LABELS, len(own)) == sum(o.score for o in own)
    for name in ("accuracy", "balanced_accuracy"):
        metric = metrics.get(name)
        assert abs(metric.aggregate(made) - metric.aggregate(own)) < 1e-9
    if "?" not in {o.predicted for o in made}:
        metric = metrics.get("macro_f1")
        assert abs(metric.aggregate(made) - metric.aggregate(own)) < 1e-9


@given(st.lists(st.integers(-40, 60), min_size=14, max_size=14), st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_noisy_sums_still_make_a_group(noisy: list[int], size: int) -> None:
    gold = [0] * 11 + [size, 0, 0]
    made = expanded("box/0", noisy, gold, LABELS, size)
    assert len(made) == size
    assert 0 <= right_of(noisy, LABELS, size) <= size
    assert 0 < squash(margin_of(noisy)) < 1


def test_margins_in_bins_are_near_the_margins() -> None:
    own = outcomes([("A", "A", 0.5), ("A", "B", -1.2), ("B", "B", 2.5), ("C", "C", 5.5)])
    assert abs(squash(margin_of(sums_of(own, LABELS))) - soft_value(own)) < 0.05


def test_an_accepted_answer_counts_as_right() -> None:
    own = [Outcome("1", "A", "B", 1.0, 0.3)]
    assert right_of(sums_of(own, LABELS), LABELS, 1) == 1.0

"""The sums of one prompt over one group of examples, and outcomes made of them.

A vector has the margins in bins, how often each label was answered, and how often each label was
answered rightly. It says nothing of single examples.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence

from ...core.results import Outcome
from ...evaluation.statistics import squash
from .privacy import Sums

EDGES = (-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0)
"""Edges of the bins of margins (natural log)."""
_MIDDLES = (-5.0, -3.0, -1.5, -0.5, 0.5, 1.5, 3.0, 5.0)
BINS = len(_MIDDLES)
_UNKNOWN = "?"


def names(labels: Sequence[str]) -> tuple[str, ...]:
    """A name for each place of a vector."""
    return (
        *(f"margin {place}" for place in range(BINS)),
        *(f"answered {label}" for label in labels),
        *(f"right {label}" for label in labels),
    )


def sums_of(outcomes: Sequence[Outcome], labels: Sequence[str]) -> Sums:
    """The vector of a group. An answer that is right counts for the accepted label that it is."""
    margins = [0] * BINS
    answered, right = dict.fromkeys(labels, 0), dict.fromkeys(labels, 0)
    for outcome in outcomes:
        margins[bisect.bisect_right(EDGES, outcome.margin)] += 1
        if outcome.predicted in answered:
            answered[outcome.predicted] += 1
        if outcome.score >= 1.0 and outcome.predicted in right:
            right[outcome.predicted] += 1
    return (*margins, *answered.values(), *right.values())


def gold_of(golds: Sequence[str], labels: Sequence[str]) -> Sums:
    """How many examples of a group have each label, as a vector of the same length (the rest is
    0), so that it is protected like one."""
    counts = tuple(golds.count(label) for label in labels)
    return (*([0] * (BINS + len(labels))), *counts)


def right_of(sums: Sequence[float], labels: Sequence[str], size: int) -> float:
    """How many answers are right, between 0 and the group's size."""
    return min(float(size), max(0.0, float(sum(sums[BINS + len(labels) :]))))


def margin_of(sums: Sequence[float]) -> float:
    """The margin whose squashed value is the mean squashed margin by the bins; 0.0 for none."""
    counts = [max(0.0, float(one)) for one in sums[:BINS]]
    total = sum(counts)
    if not total:
        return 0.0
    mean = sum(n * squash(m) for n, m in zip(counts, _MIDDLES, strict=True)) / total
    return math.log(mean / (1 - mean))


def expanded(
    name: str, sums: Sequence[float], gold: Sequence[float], labels: Sequence[str], size: int
) -> list[Outcome]:
    """One outcome for each example of a group, whose counts are those of the sums: which answer
    goes with which wrong label is not known, so only measures that depend on the counts (accuracy,
    recalls, F1) are right. Noisy counts are brought to the nearest possible ones."""
    answered = _counts(sums[BINS : BINS + len(labels)], size)
    golds = _counts(gold[BINS + len(labels) :], size)
    right = [
        min(max(0, round(own)), a, g)
        for own, a, g in zip(sums[BINS + len(labels) :], answered, golds, strict=True)
    ]
    pairs = [(label, label) for label, n in zip(labels, right, strict=True) for _ in range(n)]
    wrong = _spread(golds, right, labels), _spread(answered, right, labels)
    pairs += _mismatched(*wrong)
    margin = margin_of(sums)
    return [
        Outcome(f"{name}#{place}", gold_, said, float(gold_ == said), margin)
        for place, (gold_, said) in enumerate(pairs)
    ]


def _counts(values: Sequence[float], size: int) -> list[int]:
    """Whole counts that add up to `size`: the largest ones give or take what is over."""
    counts = [max(0, round(one)) for one in values]
    while sum(counts) != size and counts:
        step = 1 if sum(counts) < size else -1
        place = max(range(len(counts)), key=lambda i: (counts[i], -i))
        counts[place] += step
    return counts


def _spread(counts: Sequence[int], right: Sequence[int], labels: Sequence[str]) -> list[str]:
    rows = zip(labels, counts, right, strict=True)
    return [label for label, n, hit in rows for _ in range(n - hit)]


def _mismatched(golds: Sequence[str], answers: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of a gold label and another answer, as far as that can be: the answers are turned
    against the labels until none meets itself."""
    best = list(zip(golds, answers, strict=True))
    for turn in range(len(answers)):
        turned = [*answers[turn:], *answers[:turn]]
        pairs = list(zip(golds, turned, strict=True))
        if all(a != b for a, b in pairs):
            return pairs
    return [(a, b if a != b else _UNKNOWN) for a, b in best]


def mean_score(
    sums: Mapping[str, Sequence[float]], labels: Sequence[str], sizes: Mapping[str, int]
) -> float:
    """The share of right answers over groups."""
    total = sum(sizes[group] for group in sums)
    right = sum(right_of(own, labels, sizes[group]) for group, own in sums.items())
    return right / total if total else 0.0

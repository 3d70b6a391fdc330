"""Label bias (labels that a model favours whatever it is shown): measured and corrected by offsets.

Offsets are added to the labels' log-probabilities. `contextual` takes them from a picture without
content (contextual calibration, arXiv 2102.09690), `batch` from the mean over the examples at hand
(batch calibration, arXiv 2309.17249), `fitted` from their labels. Works on probabilities; knows no
model.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from ..core.results import Outcome

Offsets = tuple[tuple[str, float], ...]

_LEAST = 1e-6
_RIDGE = 0.5
_STEPS = 12


def label_bias(outcomes: Sequence[Outcome], labels: Sequence[str]) -> Mapping[str, float]:
    """label -> how much more often it is predicted than it is right (a share of all outcomes)."""
    said, gold = Counter(o.predicted for o in outcomes), Counter(o.gold for o in outcomes)
    return {label: (said[label] - gold[label]) / max(1, len(outcomes)) for label in labels}


def contextual(blank: Outcome, labels: Sequence[str]) -> Offsets:
    """Offsets that make the labels equally likely for a picture without content."""
    return _centred({x: -math.log(max(_LEAST, blank.probabilities.get(x, 0.0))) for x in labels})


def batch(outcomes: Sequence[Outcome], labels: Sequence[str]) -> Offsets:
    """Offsets that bring the mean (log) probability of each label to its share of the gold."""
    logs = [
        (o.gold, {x: math.log(max(_LEAST, o.probabilities[x])) for x in labels}) for o in outcomes
    ]
    return mean_offsets(logs, labels)


def mean_offsets(logs: Sequence[tuple[str, Mapping[str, float]]], labels: Sequence[str]) -> Offsets:
    """The same from (gold, label -> log-probability) of each example."""
    gold = Counter(label for label, _ in logs)
    offsets = {}
    for label in labels:
        mean = sum(row[label] for _, row in logs) / len(logs)
        share = (gold[label] + 0.5) / (len(logs) + 0.5 * len(labels))
        offsets[label] = math.log(share) - mean
    return _centred(offsets)


def fitted(outcomes: Sequence[Outcome], labels: Sequence[str]) -> Offsets:
    """Offsets of greatest penalised likelihood (a logistic regression with intercepts only, by
    Newton's method)."""
    table = np.array([[max(_LEAST, o.probabilities[x]) for x in labels] for o in outcomes])
    logs = np.log(table)
    truth = np.eye(len(labels))[[labels.index(o.gold) for o in outcomes]]
    offsets = np.zeros(len(labels))
    for _ in range(_STEPS):
        shifted = logs + offsets
        odds = np.exp(shifted - shifted.max(axis=1, keepdims=True))
        odds /= odds.sum(axis=1, keepdims=True)
        slope = (truth - odds).sum(axis=0) - _RIDGE * offsets
        bend = np.diag(odds.sum(axis=0) + _RIDGE) - odds.T @ odds
        # Far from the top a full step may overshoot: no offset moves by more than 2 at a time.
        offsets += np.clip(np.linalg.solve(bend, slope), -2.0, 2.0)
    return _centred(dict(zip(labels, offsets.tolist(), strict=True)))


def added(first: Offsets, second: Offsets) -> Offsets:
    """The sum of two sets of offsets."""
    sums = Counter(dict(first))
    for label, offset in second:
        sums[label] += offset  # type: ignore[assignment]
    return _centred(dict(sums))


def _centred(offsets: Mapping[str, float]) -> Offsets:
    """Offsets with mean zero in steps of 0.001 (only their differences count), within +-30."""
    mean = sum(offsets.values()) / max(1, len(offsets))
    return tuple((x, round(max(-30.0, min(30.0, o - mean)), 3)) for x, o in offsets.items())

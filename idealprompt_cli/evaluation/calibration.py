"""Label bias (labels that a model favours whatever it is shown): measured and corrected by offsets.

Offsets are added to the labels' log-probabilities. `contextual` takes them from a picture without
content (contextual calibration, arXiv 2102.09690), `batch` from the mean over the examples at hand
(batch calibration, arXiv 2309.17249), `fitted` from their labels. Works on probabilities; knows no
model.

`best_calibration` is a part of how every candidate of a search is scored: a small language model
favours some words whatever it sees, and with that corrected a plain question often works. Offsets
are fitted across folds, so that no example is scored by offsets that it helped to fit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..core.results import Outcome
from .cross_fitting import Candidate
from .statistics import mixed_mean

Offsets = tuple[tuple[str, float], ...]

Rule = Callable[[Sequence[Outcome], Sequence[str]], Offsets]

# What offsets must add to the mean of score and squashed margin, or the plain prompt is kept.
LEAST_GAIN = 0.02
# Fewer examples than these fit no offsets.
FEWEST = 4
_LEAST = 1e-30
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
    import numpy as np  # here, so that `--help` does not load it

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


# --- as a part of scoring -------------------------------------------------------------------------


@dataclass(frozen=True)
class Calibration:
    """Offsets fitted on all examples, and for each fold on the examples outside it."""

    whole: Offsets
    by_fold: Mapping[int, Offsets]

    def applied_to(self, candidate: Candidate) -> Candidate:
        """The candidate with these offsets added to its own, in each of its versions."""
        prompt = candidate.prompt
        variants = {}
        for fold, offsets in self.by_fold.items():
            version = candidate.version(fold)
            variants[fold] = version.with_(calibration=added(version.calibration, offsets))
        whole = prompt.with_(calibration=added(prompt.calibration, self.whole))
        return Candidate(whole, variants)


Shift = Callable[[Outcome, Mapping[str, float]], Outcome]
"""What an outcome is with offsets added to its labels' log-probabilities, graded again."""


def best_calibration(
    outcomes: Sequence[Outcome], labels: Sequence[str], fold_of: Mapping[str, int], shift: Shift
) -> tuple[Calibration, list[Outcome]] | None:
    """The offsets that answer best across folds, with the outcomes that they give; None where none
    of them are clearly better than no offsets."""
    usable = len(labels) > 1 and len(outcomes) >= FEWEST
    if not usable or not all(outcome.probabilities for outcome in outcomes):
        return None
    best, found = mixed_mean(outcomes) + LEAST_GAIN, None
    for rule in (batch, fitted):
        calibration = _across_folds(outcomes, labels, fold_of, rule)
        shifted = [
            shift(outcome, dict(calibration.by_fold[fold_of[outcome.example_id]]))
            for outcome in outcomes
        ]
        if mixed_mean(shifted) > best:
            best, found = mixed_mean(shifted), (calibration, shifted)
    return found


def _across_folds(
    outcomes: Sequence[Outcome], labels: Sequence[str], fold_of: Mapping[str, int], rule: Rule
) -> Calibration:
    """Offsets by a rule; a fold that holds an example not seen yet gets those of all seen."""
    whole = rule(outcomes, labels)
    by_fold = {}
    for fold in sorted(set(fold_of.values())):
        others = [o for o in outcomes if fold_of[o.example_id] != fold]
        by_fold[fold] = rule(others, labels) if 0 < len(others) < len(outcomes) else whole
    return Calibration(whole, by_fold)


def shifted_logs(
    probabilities: Mapping[str, float], offsets: Mapping[str, float]
) -> dict[str, float]:
    """Log-probabilities of the labels with offsets added; not normalised."""
    return {
        label: math.log(max(_LEAST, p)) + offsets.get(label, 0.0)
        for label, p in probabilities.items()
    }

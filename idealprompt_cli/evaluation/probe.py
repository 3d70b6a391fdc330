"""What a user would try first instead of a prompt: a small classifier on the model's embeddings.

A linear probe (logistic regression, its regularisation chosen on the training examples) and the
nearest class mean, the usual alternatives in few-shot inspection (arXiv 2501.12596). numpy only;
knows nothing of prompts or engines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.interfaces import Embeds, Metric
from ..core.results import Interval, Outcome, Probe, ProbeScore
from ..core.task import Example, Task
from .statistics import interval, wilson

Array = NDArray[np.float64]

STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Penalties tried, for embeddings of mean squared length 1."""
FOLDS = 5
LINEAR = "linear probe"
STEPS = 60


@dataclass(frozen=True)
class Classified:
    """Accuracy of one classifier on `n` held-out examples; `answers` are its labels, in order."""

    name: str
    accuracy: float
    interval: Interval
    n: int
    answers: tuple[str, ...]


def fit_probe(task: Task, metric: Metric, embeds: Embeds) -> Probe | None:
    """A linear probe for a label task whose examples all have pictures, else None. Raises
    `ImageError`."""
    if not task.labels or not all(e.images for e in (*task.train, *task.test)):
        return None
    labels = [example.answer for example in task.train]
    if len(set(labels)) < 2:
        return None
    train = _pooled(task.train, embeds)
    selection = _graded(task.train, cross_validated(train, labels), metric)
    if not task.test:
        return Probe(LINEAR, selection, None)
    fit, held = _standardised(train, _pooled(task.test, embeds))
    return Probe(LINEAR, selection, _graded(task.test, linear_probe(fit, labels, held), metric))


def cross_validated(train: Array, labels: Sequence[str]) -> list[str]:
    """Labels of the training examples by linear probes that were fitted without them."""
    names = sorted(set(labels))
    fold = _folds(np.array([names.index(label) for label in labels]))
    answers = [""] * len(labels)
    for part in range(fold.max() + 1):
        held = np.flatnonzero(fold == part)
        rest = np.flatnonzero(fold != part)
        rows, asked = _standardised(train[rest], train[held])
        found = linear_probe(rows, [labels[i] for i in rest.tolist()], asked)
        for place, answer in zip(held, found, strict=True):
            answers[place] = answer
    return answers


def _pooled(examples: Sequence[Example], embeds: Embeds) -> Array:
    """(examples, width): the mean over an example's pictures."""
    found = iter(embeds.embed([image for example in examples for image in example.images]))
    rows = [np.mean([next(found) for _ in example.images], axis=0) for example in examples]
    return np.asarray(rows, float)


def _graded(examples: Sequence[Example], answers: Sequence[str], metric: Metric) -> ProbeScore:
    outcomes = [
        Outcome(
            example.id,
            answer if answer in example.answers else example.answer,
            answer,
            metric.grade(answer, example.answers),
        )
        for example, answer in zip(examples, answers, strict=True)
    ]
    return ProbeScore(metric.aggregate(outcomes), interval(outcomes, metric), len(outcomes))


def probes(
    train: Array, train_labels: Sequence[str], test: Array, test_labels: Sequence[str]
) -> tuple[Classified, Classified]:
    """The linear probe and the nearest class mean, fitted on `train` and scored on `test`.

    `train` and `test` are (examples, width). Raises `ValueError` where a side has no examples.
    """
    if not len(train) or not len(test):
        raise ValueError("a probe needs training and held-out examples")
    fit, held = _standardised(np.asarray(train, float), np.asarray(test, float))
    linear = linear_probe(fit, train_labels, held)
    nearest = nearest_mean(fit, train_labels, held)
    return (
        _scored(LINEAR, linear, test_labels),
        _scored("nearest class mean", nearest, test_labels),
    )


def linear_probe(train: Array, labels: Sequence[str], test: Array) -> list[str]:
    """Labels of `test` by multinomial logistic regression with a ridge penalty. The penalty is the
    one with the lowest cross-validated log-loss on `train`: leave-one-out below 20 examples, else
    five folds that have every label alike."""
    names = sorted(set(labels))
    targets = np.array([names.index(label) for label in labels])
    if len(names) == 1:
        return [names[0]] * len(test)
    chosen = _chances(fitted_weights(train, targets, len(names)), test).argmax(axis=1)
    return [names[place] for place in chosen]


def fitted_weights(train: Array, targets: NDArray[np.int_], labels: int) -> Array:
    """Weights (labels, width + 1), the bias last, at the best penalty by cross-validation."""
    best = min(STRENGTHS, key=lambda strength: _loss(train, targets, labels, strength))
    return _fitted(train, targets, labels, best)


def nearest_mean(train: Array, labels: Sequence[str], test: Array) -> list[str]:
    """Labels of `test` by the closest mean of a label's training embeddings."""
    names = sorted(set(labels))
    marks = np.array(labels)
    means = np.stack([train[marks == name].mean(axis=0) for name in names])
    distances = ((test[:, None, :] - means[None]) ** 2).sum(axis=2)
    return [names[place] for place in distances.argmin(axis=1)]


def _scored(name: str, answers: Sequence[str], gold: Sequence[str]) -> Classified:
    right = sum(a == b for a, b in zip(answers, gold, strict=True))
    n = len(gold)
    return Classified(name, right / n, wilson(right, n), n, tuple(answers))


def _standardised(train: Array, test: Array) -> tuple[Array, Array]:
    """Both centred on the training mean, directions without spread left at zero, and scaled so
    that an embedding's mean squared length is 1."""
    mean = train.mean(axis=0)
    spread = train.std(axis=0)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-9)
    scale /= np.sqrt(max(1, int((scale > 0).sum())))
    return (train - mean) * scale, (test - mean) * scale


def _folds(targets: NDArray[np.int_]) -> NDArray[np.int_]:
    """The fold of each example."""
    if len(targets) < 20:
        return np.arange(len(targets))
    fold = np.empty(len(targets), dtype=int)
    fold[np.argsort(targets, kind="stable")] = np.arange(len(targets)) % FOLDS
    return fold


def _loss(train: Array, targets: NDArray[np.int_], labels: int, strength: float) -> float:
    """Cross-validated log-loss of a penalty."""
    fold, losses = _folds(targets), []
    for part in range(fold.max() + 1):
        held = fold == part
        chances = _chances(_fitted(train[~held], targets[~held], labels, strength), train[held])
        losses += list(-np.log(chances[np.arange(held.sum()), targets[held]] + 1e-12))
    return float(np.mean(losses))


def _fitted(rows: Array, targets: NDArray[np.int_], labels: int, strength: float) -> Array:
    """Weights (labels, width + 1) at the least sum of log-losses plus `strength` / 2 times their
    squared length, the bias apart. Works in the space that the rows span, so that the width costs
    nothing; steps use a fixed bound of the curvature (Boehning 1992)."""
    n = len(rows)
    kernel = rows @ rows.T
    onehot = np.eye(labels)[targets]
    dual, bias = np.zeros((n, labels)), np.log(onehot.mean(axis=0) + 1e-3)
    # The curvature of the log-loss is at most half of the identity.
    step = np.linalg.inv(0.5 * kernel + strength * np.eye(n))
    for _ in range(STEPS):
        gap = onehot - _softmax(kernel @ dual + bias)
        dual += step @ (gap - strength * dual)
        bias += gap.mean(axis=0)
    return np.hstack([dual.T @ rows, bias[:, None]])


def _chances(weights: Array, rows: Array) -> Array:
    return _softmax(rows @ weights[:, :-1].T + weights[:, -1])


def _softmax(scores: Array) -> Array:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))

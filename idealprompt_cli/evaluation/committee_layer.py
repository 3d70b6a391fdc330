"""Which prompts make a committee, and its linear layer. numpy only.

After FeatLLM (arXiv 2404.09491) and prompt boosting, without text: the features of an example are
the log-probabilities of each prompt's answer words. Members are chosen by forward selection
(Caruana et al. 2004) on the leave-one-out error of ridge regression, which has a closed form; the
weights are those of the logistic regression that is the linear probe too.

`logs` has for each prompt the log-probabilities of its words, (examples, words); `gold` has each
example's label by its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.committee import REACH
from .probe import Array, fitted_weights

Ints = NDArray[np.int_]

RIDGE = 0.3
"""Penalty of the regression that chooses members, for features of mean squared length 1."""


FEW, FEW_EACH = 6, 1.5
"""With fewer examples, or fewer for a label, the weights are those of the nearest mean, which have
no penalty to choose."""

INSIDE = 1 / 6
"""The share of the features' variance that is taken to be within a label: so few examples do not
show it."""

NEVER = -30.0


@dataclass(frozen=True)
class Layer:
    """Members' places in the order of their choice, the weights of each one's words (labels,
    words), and the labels' biases."""

    members: tuple[int, ...]
    weights: tuple[Array, ...]
    biases: Array


def fit(logs: Sequence[Array], gold: Ints, labels: int, most: int) -> Layer:
    """The layer of up to `most` members that these examples lead to."""
    blocks = [_block(one) for one in logs]
    chosen = _forward([block.rows @ block.rows.T for block in blocks], gold, labels, most)
    share = 1 / np.sqrt(len(chosen))
    rows = np.hstack([blocks[place].rows for place in chosen]) * share
    few = len(gold) < max(FEW, FEW_EACH * labels)
    fitted = _nearest_means(rows, gold, labels) if few else fitted_weights(rows, gold, labels)
    biases, start, weights = fitted[:, -1].copy(), 0, []
    for place in chosen:
        block = blocks[place]
        own = fitted[:, start : start + len(block.mean)] * share / block.scale
        start += len(block.mean)
        biases -= own @ block.mean
        weights.append(own - own.mean(axis=1, keepdims=True))
    return Layer(tuple(chosen), tuple(weights), biases - biases.mean())


def _nearest_means(rows: Array, gold: Ints, labels: int) -> Array:
    """Weights (labels, width + 1), the bias last, of the linear discriminant with equal variances:
    the label whose mean is nearest. A label without an example is never answered."""
    fitted = np.zeros((labels, rows.shape[1] + 1))
    fitted[:, -1] = NEVER
    for place in np.unique(gold):
        mean = rows[gold == place].mean(axis=0)
        fitted[place] = [*mean / INSIDE, -(mean @ mean) / 2 / INSIDE]
    return fitted


@dataclass(frozen=True)
class _Block:
    """One prompt's features: `rows` are of mean squared length 1; `mean` is over examples."""

    rows: Array
    mean: Array
    scale: float


def _block(logs: Array) -> _Block:
    rows = np.maximum(logs - logs.max(axis=1, keepdims=True), -REACH)
    rows = rows - rows.mean(axis=1, keepdims=True)
    mean = rows.mean(axis=0)
    rows = rows - mean
    scale = float(np.sqrt((rows**2).sum(axis=1).mean())) or 1.0
    return _Block(rows / scale, mean, scale)


def _forward(kernels: Sequence[Array], gold: Ints, labels: int, most: int) -> list[int]:
    """Places of the members: one more as long as the leave-one-out error falls."""
    truth = np.eye(labels)[gold] - 1 / labels
    chosen: list[int] = []
    best, total = np.inf, np.zeros_like(kernels[0])
    while len(chosen) < min(most, len(kernels)):
        rest = [place for place in range(len(kernels)) if place not in chosen]
        errors = [_left_out((total + kernels[p]) / (len(chosen) + 1), truth) for p in rest]
        place = rest[int(np.argmin(errors))]
        if min(errors) >= best:
            break
        best, total = min(errors), total + kernels[place]
        chosen.append(place)
    return chosen


def _left_out(kernel: Array, truth: Array) -> float:
    """The mean squared leave-one-out error of ridge regression with a bias (Allen's PRESS)."""
    inverse = np.linalg.inv(kernel + 1.0 + RIDGE * np.eye(len(kernel)))
    errors = inverse @ truth / np.diag(inverse)[:, None]
    return float((errors**2).sum(axis=1).mean())

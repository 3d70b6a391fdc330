"""Statistics of the comparison of searches: curves, areas, paired differences, evaluations saved.

Pure functions on the runs of `results/compare.json`. A cell is a (task, seed); its curve has a test
score per budget. Intervals come from a bootstrap that draws tasks, and seeds within each: what is
drawn again in another world are the tasks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Run = Mapping[str, Any]
Cell = tuple[str, int]
DRAWS = 2_000
FLIPS = 10_000


@dataclass(frozen=True)
class Curves:
    """Test scores of one method: (tasks, seeds, budgets), NaN where a run is missing."""

    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    budgets: tuple[int, ...]
    scores: np.ndarray

    def mean(self) -> np.ndarray:
        """Per budget: the mean over tasks of the mean over seeds."""
        return np.asarray(np.nanmean(np.nanmean(self.scores, axis=1), axis=0))


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval, and the p-value of its being zero (1.0 where untested)."""

    value: float
    low: float
    high: float
    p_value: float = 1.0


def curves(runs: Sequence[Run], method: str, field: str = "test") -> Curves:
    """A method's curves over the tasks, seeds and budgets that any run has."""
    tasks = tuple(sorted({run["task"] for run in runs}))
    seeds = tuple(sorted({run["seed"] for run in runs}))
    budgets = tuple(sorted({int(b) for run in runs for b in run["points"]}))
    scores = np.full((len(tasks), len(seeds), len(budgets)), np.nan)
    for run in runs:
        if run["method"] == method:
            for budget, point in run["points"].items():
                place = tasks.index(run["task"]), seeds.index(run["seed"])
                scores[(*place, budgets.index(int(budget)))] = point[field]
    return Curves(tasks, seeds, budgets, scores)


def area(budgets: Sequence[int], values: np.ndarray) -> np.ndarray:
    """Area under curves (last axis) over the logarithm of the budget, as a mean height."""
    places = np.log(np.asarray(budgets, dtype=float))
    if len(places) == 1:
        return np.asarray(values[..., 0])
    heights = (values[..., 1:] + values[..., :-1]) / 2
    return np.asarray((heights * np.diff(places)).sum(axis=-1) / (places[-1] - places[0]))


def estimated(
    cells: np.ndarray, value: Callable[[np.ndarray], float] | None = None, seed: int = 0
) -> Estimate:
    """Mean over tasks of means over seeds of (tasks, seeds) values, with a bootstrap interval over
    tasks and seeds. NaN cells are left out."""
    mean = value or _mean
    rng = np.random.default_rng(seed)
    rows, columns = cells.shape
    draws = []
    for _ in range(DRAWS):
        picked = cells[rng.integers(0, rows, rows)]
        order = rng.integers(0, columns, (rows, columns))
        draws.append(mean(np.take_along_axis(picked, order, axis=1)))
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return Estimate(mean(cells), float(low), float(high))


def compared(ours: np.ndarray, theirs: np.ndarray, seed: int = 0) -> Estimate:
    """The paired difference of (tasks, seeds) values, with a p-value: a permutation test that
    flips the sign of whole tasks and of their seeds (two-sided, on the cells both have)."""
    gaps = ours - theirs
    found = estimated(gaps, seed=seed)
    rng = np.random.default_rng(seed)
    here = np.nan_to_num(gaps)
    signs = rng.choice([-1.0, 1.0], (FLIPS, *gaps.shape))
    counts = np.maximum(1, (~np.isnan(gaps)).sum(axis=1))
    flipped = np.abs(((signs * here).sum(axis=2) / counts).mean(axis=1))
    p_value = (1 + (flipped >= abs(found.value) - 1e-12).sum()) / (1 + FLIPS)
    return Estimate(found.value, found.low, found.high, float(p_value))


def reached(budgets: Sequence[int], means: np.ndarray, goal: float) -> float:
    """Evaluations after which a mean curve first reaches a score, between two budgets by the
    logarithm; infinite where it never does, the first budget where it begins above it."""
    best = np.maximum.accumulate(means)
    for place, height in enumerate(best):
        if height >= goal - 1e-12:
            if place == 0 or height == best[place - 1]:
                return float(budgets[place])
            before = float(best[place - 1])
            share = (goal - before) / (float(height) - before)
            low, high = math.log(budgets[place - 1]), math.log(budgets[place])
            return math.exp(low + share * (high - low))
    return math.inf


def _mean(cells: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        counts = (~np.isnan(cells)).sum(axis=1)
        sums = np.nansum(cells, axis=1)
        rows = sums[counts > 0] / counts[counts > 0]
    return float(rows.mean()) if len(rows) else math.nan

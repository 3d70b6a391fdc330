"""The mean of grades, which is the value of most metrics."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.results import Outcome


def mean(outcomes: Sequence[Outcome]) -> float:
    """Mean grade in [0, 1]; 0.0 for no outcomes."""
    return sum(o.score for o in outcomes) / len(outcomes) if outcomes else 0.0

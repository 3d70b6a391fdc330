"""Share of answers that are right."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.results import Outcome
from .mean import mean


class Accuracy:
    """1 for the gold label, 0 for any other; the value is the mean."""

    name = "accuracy"
    summary = "share of examples whose label is right"
    kinds = ("label", "labels")

    def grade(self, predicted: str, gold: str) -> float:
        return float(predicted == gold)

    def aggregate(self, outcomes: Sequence[Outcome]) -> float:
        return mean(outcomes)

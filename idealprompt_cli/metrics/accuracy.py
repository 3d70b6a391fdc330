"""Share of answers that are right."""

from __future__ import annotations

from collections.abc import Sequence

from ..types import Outcome


class Accuracy:
    """1 for the gold label, 0 for any other; the value is the mean."""

    name = "accuracy"
    summary = "share of examples whose label is right"

    def grade(self, predicted: str, gold: str) -> float:
        return float(predicted == gold)

    def aggregate(self, outcomes: Sequence[Outcome]) -> float:
        """Mean grade in [0, 1]; 0.0 for no outcomes."""
        return sum(o.score for o in outcomes) / len(outcomes) if outcomes else 0.0

"""Recall averaged over labels: accuracy as it would be if all labels were equally frequent."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.results import Outcome


class BalancedAccuracy:
    """Unweighted mean of per-label recall (Brodersen et al. 2010)."""

    name = "balanced_accuracy"
    summary = "recall averaged over labels"
    kinds = ("label",)

    def grade(self, predicted: str, accepted: Sequence[str]) -> float:
        return float(predicted in accepted)

    def aggregate(self, outcomes: Sequence[Outcome]) -> float:
        """Balanced accuracy in [0, 1]; 0.0 for no outcomes."""
        recalls = []
        for label in sorted({o.gold for o in outcomes}):
            grades = [o.score for o in outcomes if o.gold == label]
            recalls.append(sum(grades) / len(grades))
        return sum(recalls) / len(recalls) if recalls else 0.0

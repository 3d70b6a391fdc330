"""Share of answers that are right."""

from __future__ import annotations

from .base import BestMatch


class Accuracy(BestMatch):
    """1 for an accepted label, 0 for any other; the value is the mean."""

    name = "accuracy"
    summary = "share of examples whose label is right"
    kinds = ("label", "labels")

    def compare(self, predicted: str, right: str) -> float:
        return float(predicted == right)

"""Share of answers that equal the right one once both are normalised."""

from __future__ import annotations

from ..answers import normalised
from .base import BestMatch


class NormalisedMatch(BestMatch):
    """Equality without case, surrounding punctuation, runs of spaces and a leading English article
    (the exact match of the SQuAD evaluation, arXiv 1606.05250)."""

    name = "normalised_match"
    summary = "share of answers that equal the right one but for case, punctuation and article"
    kinds = ("label", "text", "labels")

    def compare(self, predicted: str, right: str) -> float:
        return float(normalised(predicted) == normalised(right))

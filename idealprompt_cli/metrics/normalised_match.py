"""Share of answers that equal the right one once both are normalised."""

from __future__ import annotations

from collections.abc import Sequence

from ..answers import normalised
from ..core.results import Outcome
from .mean import mean


class NormalisedMatch:
    """Equality without case, surrounding punctuation, runs of spaces and a leading English article
    (the exact match of the SQuAD evaluation, arXiv 1606.05250)."""

    name = "normalised_match"
    summary = "share of answers that equal the right one but for case, punctuation and article"
    kinds = ("label", "text", "labels")

    def grade(self, predicted: str, gold: str) -> float:
        return float(normalised(predicted) == normalised(gold))

    def aggregate(self, outcomes: Sequence[Outcome]) -> float:
        return mean(outcomes)

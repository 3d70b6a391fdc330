"""How many annotators agree with an answer."""

from __future__ import annotations

from collections.abc import Sequence

from ..answers import normalised
from ..core.results import Outcome
from .base import mean

ENOUGH = 3


class VqaAccuracy:
    """min(matches / 3, 1) over the accepted answers, compared as in `normalised_match`; where an
    example has fewer than three, any match counts 1 (Antol et al. 2015, without the average over
    subsets of annotators)."""

    name = "vqa_accuracy"
    summary = "share of annotators that agree, three of them are enough"
    kinds = ("text", "label")

    def grade(self, predicted: str, accepted: Sequence[str]) -> float:
        matches = sum(normalised(predicted) == normalised(right) for right in accepted)
        return min(1.0, matches / (ENOUGH if len(accepted) >= ENOUGH else 1))

    def aggregate(self, outcomes: Sequence[Outcome]) -> float:
        return mean(outcomes)

"""How well sets of labels agree, example by example."""

from __future__ import annotations

from collections.abc import Sequence

from ..answers import split
from ..core.results import Outcome
from .mean import mean


class MultilabelF1:
    """Per example F1 = 2 |said and right| / (|said| + |right|), 1 where both are empty; the value
    is the mean (the "samples" average of scikit-learn's `f1_score`)."""

    name = "multilabel_f1"
    summary = "F1 of the labels that were ticked, averaged over examples"
    kinds = ("labels",)

    def grade(self, predicted: str, gold: str) -> float:
        said, right = split(predicted), split(gold)
        if not said and not right:
            return 1.0
        return 2 * len(said & right) / (len(said) + len(right))

    def aggregate(self, outcomes: Sequence[Outcome]) -> float:
        return mean(outcomes)

"""How well sets of labels agree, example by example."""

from __future__ import annotations

from ..answers import split
from .base import BestMatch


class MultilabelF1(BestMatch):
    """Per example F1 = 2 |predicted and right| / (|predicted| + |right|), 1 where both are empty;
    the value is the mean (the "samples" average of scikit-learn's `f1_score`)."""

    name = "multilabel_f1"
    summary = "F1 of the labels that were ticked, averaged over examples"
    kinds = ("labels",)

    def compare(self, predicted: str, right: str) -> float:
        named, wanted = split(predicted), split(right)
        if not named and not wanted:
            return 1.0
        return 2 * len(named & wanted) / (len(named) + len(wanted))

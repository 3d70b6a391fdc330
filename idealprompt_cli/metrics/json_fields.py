"""Share of a JSON answer's fields that are right."""

from __future__ import annotations

from collections.abc import Sequence

from ..answers import object_of, same
from ..core.results import Outcome
from .mean import mean


class JsonFields:
    """Every field of the right answer counts alike, and one that is too many counts as wrong. Texts
    are compared as in `normalised_match`, numbers by value."""

    name = "json_fields"
    summary = "share of a JSON answer's fields that are right"
    kinds = ("json",)

    def grade(self, predicted: str, gold: str) -> float:
        right = object_of(gold)
        said = object_of(predicted)
        if right is None or said is None:
            return float(predicted == gold)
        names = [*right, *(name for name, value in said.items() if name not in right)]
        hits = [same(said.get(name), right.get(name)) for name in names]
        return sum(hits) / len(hits) if hits else 1.0

    def aggregate(self, outcomes: Sequence[Outcome]) -> float:
        return mean(outcomes)

"""Share of a JSON answer's fields that are right."""

from __future__ import annotations

from ..answers import object_of, same
from .base import BestMatch


class JsonFields(BestMatch):
    """Every field of the right answer counts alike, and one that is too many counts as wrong. Texts
    are compared as in `normalised_match`, numbers by value."""

    name = "json_fields"
    summary = "share of a JSON answer's fields that are right"
    kinds = ("json",)

    def compare(self, predicted: str, right: str) -> float:
        wanted, given = object_of(right), object_of(predicted)
        if wanted is None or given is None:
            return float(predicted == right)
        names = [*wanted, *(name for name in given if name not in wanted)]
        hits = [same(given.get(name), wanted.get(name)) for name in names]
        return sum(hits) / len(hits) if hits else 1.0

"""How near a text comes to the right one, with nothing for less than half of it."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.results import Outcome
from .distance import distance
from .mean import mean

THRESHOLD = 0.5


class Anls:
    """Average normalised Levenshtein similarity: 1 - d / length of the longer text, 0 where that
    is below 0.5; case and runs of spaces are ignored (ST-VQA, arXiv 1905.13648)."""

    name = "anls"
    summary = "average normalised Levenshtein similarity, for text read from pictures"
    kinds = ("text",)

    def grade(self, predicted: str, gold: str) -> float:
        said, right = (" ".join(text.casefold().split()) for text in (predicted, gold))
        longer = max(len(said), len(right))
        near = 1.0 - distance(said, right) / longer if longer else 1.0
        return near if near >= THRESHOLD else 0.0

    def aggregate(self, outcomes: Sequence[Outcome]) -> float:
        return mean(outcomes)

"""What most metrics share: the best match among the accepted answers, and the mean of grades."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ..core.results import Outcome


def mean(outcomes: Sequence[Outcome]) -> float:
    """Mean grade in [0, 1]; 0.0 for no outcomes."""
    return sum(o.score for o in outcomes) / len(outcomes) if outcomes else 0.0


class BestMatch(ABC):
    """A metric that compares with each accepted answer and takes the best."""

    @abstractmethod
    def compare(self, predicted: str, right: str) -> float:
        """How well an answer agrees with one accepted answer, in [0, 1]."""

    def grade(self, predicted: str, accepted: Sequence[str]) -> float:
        return max(self.compare(predicted, right) for right in accepted)

    def aggregate(self, outcomes: Sequence[Outcome]) -> float:
        return mean(outcomes)

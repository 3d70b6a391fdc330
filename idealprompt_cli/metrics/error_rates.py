"""One minus the error rate of characters or words: what reading text is usually measured by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..core.results import Outcome
from .distance import distance


@dataclass
class ErrorRate:
    """1 - edits / length of the right text, at least 0. Over a set the edits and the lengths are
    summed first, as is usual for CER and WER (Levenshtein 1966), so a long text counts more."""

    name: str
    summary: str
    parts: Callable[[str], Sequence[str]]
    kinds: tuple[str, ...] = ("text",)

    def grade(self, predicted: str, gold: str) -> float:
        return self._rest(*self._count(predicted, gold))

    def aggregate(self, outcomes: Sequence[Outcome]) -> float:
        counts = [self._count(o.predicted, o.gold) for o in outcomes]
        if not counts:
            return 0.0
        return self._rest(sum(edits for edits, _ in counts), sum(length for _, length in counts))

    def _count(self, predicted: str, gold: str) -> tuple[int, int]:
        said, right = self.parts(predicted), self.parts(gold)
        return distance(said, right), len(right)

    @staticmethod
    def _rest(edits: int, length: int) -> float:
        return max(0.0, 1.0 - edits / length) if length else float(edits == 0)


CER = ErrorRate("1-cer", "one minus the error rate of characters", list)
WER = ErrorRate("1-wer", "one minus the error rate of words", str.split)

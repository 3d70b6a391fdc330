"""Metrics that count edits: what reading text is usually measured by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..core.results import Outcome
from .base import BestMatch

THRESHOLD = 0.5


class Anls(BestMatch):
    """Average normalised Levenshtein similarity to the nearest accepted answer: 1 - d / length of
    the longer text, 0 where that is below 0.5; case and runs of spaces are ignored (ST-VQA, arXiv
    1905.13648)."""

    name = "anls"
    summary = "average normalised Levenshtein similarity, for text read from images"
    kinds = ("text",)

    def compare(self, predicted: str, right: str) -> float:
        first, second = (" ".join(text.casefold().split()) for text in (predicted, right))
        longer = max(len(first), len(second))
        near = 1.0 - distance(first, second) / longer if longer else 1.0
        return near if near >= THRESHOLD else 0.0


@dataclass
class ErrorRate(BestMatch):
    """1 - edits / length of the right text, at least 0. Over a set the edits and the lengths are
    summed first, as is usual for CER and WER (Levenshtein 1966), so a long text counts more."""

    name: str
    summary: str
    parts: Callable[[str], Sequence[str]]
    kinds: tuple[str, ...] = ("text",)

    def compare(self, predicted: str, right: str) -> float:
        return self._rest(*self._count(predicted, right))

    def aggregate(self, outcomes: Sequence[Outcome]) -> float:
        counts = [self._count(o.predicted, o.gold) for o in outcomes]
        if not counts:
            return 0.0
        return self._rest(sum(edits for edits, _ in counts), sum(length for _, length in counts))

    def _count(self, predicted: str, right: str) -> tuple[int, int]:
        wanted = self.parts(right)
        return distance(self.parts(predicted), wanted), len(wanted)

    @staticmethod
    def _rest(edits: int, length: int) -> float:
        return max(0.0, 1.0 - edits / length) if length else float(edits == 0)


CER = ErrorRate("1-cer", "one minus the error rate of characters", list)
WER = ErrorRate("1-wer", "one minus the error rate of words", str.split)


def distance(first: Sequence[str], second: Sequence[str]) -> int:
    """Least number of insertions, deletions and substitutions (Levenshtein 1966)."""
    return _distance(tuple(first), tuple(second))


@lru_cache(maxsize=65536)
def _distance(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    codes = {letter: code for code, letter in enumerate(dict.fromkeys((*first, *second)))}
    target = np.array([codes[letter] for letter in second], dtype=np.int64)
    steps = np.arange(len(second) + 1)
    row = steps.copy()
    for number, letter in enumerate(first, 1):
        # An insertion costs one more than its left neighbour: a running minimum over the row.
        best = np.concatenate(
            ([number], np.minimum(row[1:] + 1, row[:-1] + (target != codes[letter])))
        )
        row = np.minimum.accumulate(best - steps) + steps
    return int(row[-1])

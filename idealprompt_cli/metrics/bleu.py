"""BLEU-4: how many runs of words a text shares with the right one (extra `text`)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from ..core.results import Outcome
from .base import BestMatch

_Counts = tuple[tuple[int, ...], tuple[int, ...], int, int]


class Bleu(BestMatch):
    """Corpus BLEU with n-grams of up to 4 words (Papineni et al. 2002), computed by sacrebleu with
    its standard tokens; sentences of fewer words are judged by the n-grams that they have. The
    grade of one example is its sentence BLEU with exponential smoothing."""

    name = "bleu"
    summary = "BLEU-4 of the whole set by sacrebleu, for captions in one style"
    kinds = ("text",)
    needs = ("sacrebleu", "text")

    def compare(self, predicted: str, right: str) -> float:
        return _score([_counts(predicted, right)])

    def aggregate(self, outcomes: Sequence[Outcome]) -> float:
        return _score([_counts(o.predicted, o.gold) for o in outcomes])


@lru_cache(maxsize=65536)
def _counts(predicted: str, right: str) -> _Counts:
    """Matched and possible n-grams by n, and both lengths in words."""
    from sacrebleu.metrics.bleu import BLEU

    found = BLEU(effective_order=True).sentence_score(predicted, [right])
    return tuple(found.counts), tuple(found.totals), found.sys_len, found.ref_len


def _score(counts: Sequence[_Counts]) -> float:
    from sacrebleu.metrics.bleu import BLEU

    if not counts:
        return 0.0
    matched = [sum(column) for column in zip(*(one[0] for one in counts), strict=True)]
    possible = [sum(column) for column in zip(*(one[1] for one in counts), strict=True)]
    lengths = sum(one[2] for one in counts), sum(one[3] for one in counts)
    found = BLEU.compute_bleu(
        matched, possible, *lengths, smooth_method="exp", effective_order=True
    )
    return min(1.0, float(found.score) / 100)

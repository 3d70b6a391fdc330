"""ROUGE-L: the longest common run of words in order (extra `text`)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from ..core.results import Outcome
from .mean import mean


class RougeL:
    """F-measure of the longest common subsequence of words (Lin 2004), computed by rouge-score
    without stemming; made for English, it drops letters other than a to z and figures."""

    name = "rouge_l"
    summary = "ROUGE-L F-measure by rouge-score, for captions and summaries"
    kinds = ("text",)
    needs = ("rouge_score", "text")

    def grade(self, predicted: str, gold: str) -> float:
        return _grade(predicted, gold)

    def aggregate(self, outcomes: Sequence[Outcome]) -> float:
        return mean(outcomes)


@lru_cache(maxsize=65536)
def _grade(predicted: str, gold: str) -> float:
    from rouge_score import rouge_scorer

    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    return float(scorer.score(gold, predicted)["rougeL"].fmeasure)

"""ROUGE-L: the longest common run of words in order (extra `text`)."""

from __future__ import annotations

from functools import lru_cache

from .base import BestMatch


class RougeL(BestMatch):
    """F-measure of the longest common subsequence of words (Lin 2004), computed by rouge-score
    without stemming; made for English, it drops letters other than a to z and digits."""

    name = "rouge_l"
    summary = "ROUGE-L F-measure by rouge-score, for captions and summaries"
    kinds = ("text",)
    needs = ("rouge_score", "text")

    def compare(self, predicted: str, right: str) -> float:
        return _compare(predicted, right)


@lru_cache(maxsize=65536)
def _compare(predicted: str, right: str) -> float:
    from rouge_score import rouge_scorer

    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    return float(scorer.score(right, predicted)["rougeL"].fmeasure)

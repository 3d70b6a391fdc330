"""Share of free-text answers that equal the gold text once both are normalised."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from ..types import Outcome

_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
_ARTICLE = re.compile(r"^(?:a|an|the)\s+")


class ExactMatch:
    """Equality after Unicode folding; case, surrounding punctuation, runs of spaces and a leading
    English article are ignored (after the SQuAD evaluation, arXiv 1606.05250)."""

    name = "exact_match"
    summary = "share of examples whose normalised text equals the gold text"

    def grade(self, predicted: str, gold: str) -> float:
        return float(_normalised(predicted) == _normalised(gold))

    def aggregate(self, outcomes: Sequence[Outcome]) -> float:
        """Mean grade in [0, 1]; 0.0 for no outcomes."""
        return sum(o.score for o in outcomes) / len(outcomes) if outcomes else 0.0


def _normalised(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _ARTICLE.sub("", _EDGES.sub("", " ".join(folded.split())))

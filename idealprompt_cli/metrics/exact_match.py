"""Share of answers that equal the right one letter by letter."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from ..core.results import Outcome
from .mean import mean


class ExactMatch:
    """Equality but for outer blanks and for how Unicode writes a letter; for codes, plates and
    serial numbers, where case and punctuation count."""

    name = "exact_match"
    summary = "share of answers that equal the right one letter by letter"
    kinds = ()

    def grade(self, predicted: str, gold: str) -> float:
        said, right = (unicodedata.normalize("NFC", text).strip() for text in (predicted, gold))
        return float(said == right)

    def aggregate(self, outcomes: Sequence[Outcome]) -> float:
        return mean(outcomes)

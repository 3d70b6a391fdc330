"""Share of answers that equal the right one letter by letter."""

from __future__ import annotations

import unicodedata

from .base import BestMatch


class ExactMatch(BestMatch):
    """Equality but for outer blanks and for how Unicode writes a letter; for codes, plates and
    serial numbers, where case and punctuation count."""

    name = "exact_match"
    summary = "share of answers that equal the right one letter by letter"
    kinds = ()

    def compare(self, predicted: str, right: str) -> float:
        first, second = (unicodedata.normalize("NFC", text).strip() for text in (predicted, right))
        return float(first == second)

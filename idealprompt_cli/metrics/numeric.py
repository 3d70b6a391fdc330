"""Share of numbers that are right, or near enough."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..answers import parse_number
from ..core.errors import UsageError
from .base import BestMatch


@dataclass
class Numeric(BestMatch):
    """1 where the numbers differ by at most `tolerance`: in units, or as a share of the right one.
    As `numeric:0.5` or `numeric:5%` in a task."""

    name: str = "numeric"
    summary: str = "share of numbers that are right; numeric:0.5 or numeric:5% within that"
    tolerance: float = 0.0
    share: bool = False
    kinds: tuple[str, ...] = ("number",)

    def within(self, text: str) -> Numeric:
        """The same with a tolerance. Raises UsageError for a text that is none."""
        share = text.endswith("%")
        try:
            value = float(text.removesuffix("%")) / (100 if share else 1)
        except ValueError:
            value = math.nan
        if not 0.0 <= value < math.inf:
            raise UsageError(f"metric numeric:{text}: write numeric:0.5 or numeric:5%")
        return Numeric(f"numeric:{text}", f"share of numbers within {text}", value, share)

    def compare(self, predicted: str, right: str) -> float:
        given, wanted = parse_number(predicted), parse_number(right)
        if given is None or wanted is None:
            return float(predicted == right)
        room = self.tolerance * (abs(wanted) if self.share else 1.0)
        return float(abs(given - wanted) <= room + 1e-9 * max(1.0, abs(wanted)))

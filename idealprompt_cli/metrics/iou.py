"""How far boxes overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..answers import parse_box
from ..core.errors import UsageError
from .base import BestMatch


@dataclass
class Iou(BestMatch):
    """Intersection over union of the two boxes; with a threshold, as in `iou@0.5`, 1 where it is
    reached and 0 elsewhere (PASCAL VOC, Everingham et al. 2010)."""

    name: str = "iou"
    summary: str = "intersection over union of boxes"
    threshold: float = 0.0
    kinds: tuple[str, ...] = ("box",)

    def compare(self, predicted: str, right: str) -> float:
        first, second = parse_box(predicted), parse_box(right)
        if first is None or second is None:
            return float(predicted == right)
        overlap = _overlap(first, second)
        return float(overlap >= self.threshold) if self.threshold else overlap


def at_threshold(text: str) -> Iou:
    """The metric of `iou@text`. Raises UsageError for a text that is no threshold."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value <= 1.0:
        raise UsageError(f"metric iou@{text}: write iou@0.5, a threshold between 0 and 1")
    return Iou(f"iou@{text}", f"share of boxes whose overlap is {text} or more", value)


def _overlap(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    sides = [
        max(0.0, min(first[axis + 2], second[axis + 2]) - max(first[axis], second[axis]))
        for axis in (0, 1)
    ]
    shared = sides[0] * sides[1]
    union = _area(first) + _area(second) - shared
    return shared / union if union > 0 else float(first == second)


def _area(box: tuple[float, ...]) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])

"""The metrics, by the name that `task.yaml` uses. A new one: one file here and one line below."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from ..errors import UsageError
from ..interfaces import Metric
from .accuracy import Accuracy
from .balanced_accuracy import BalancedAccuracy
from .exact_match import ExactMatch
from .macro_f1 import MacroF1

METRICS: Mapping[str, Metric] = {
    "accuracy": Accuracy(),
    "balanced_accuracy": BalancedAccuracy(),
    "exact_match": ExactMatch(),
    "macro_f1": MacroF1(),
}


def get(name: str) -> Metric:
    """The metric of that name; UsageError naming the nearest one for any other."""
    if name in METRICS:
        return METRICS[name]
    near = difflib.get_close_matches(name, METRICS, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(METRICS)}"
    raise UsageError(f"unknown metric {name!r}; {hint}")

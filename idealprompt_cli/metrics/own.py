"""A user's own metric: `module:function`, or an entry point of an installed package.

A function gets the answer and one accepted answer as texts and returns a grade in [0, 1]; anything
with `grade` and `aggregate` is taken as a whole metric (see `interfaces.Metric`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from ..core.errors import UsageError
from ..core.interfaces import Metric
from ..io.plugins import plugin, plugin_names
from .base import BestMatch


@dataclass
class Own(BestMatch):
    """A function as a metric: the best of its grades over the accepted answers, and their mean."""

    name: str
    function: Callable[[str, str], object]
    summary: str = "your own"

    def compare(self, predicted: str, right: str) -> float:
        """Raises UsageError for what the function raises, and for a grade outside [0, 1]."""
        try:
            value = self.function(predicted, right)
        except Exception as problem:
            kind = type(problem).__name__
            raise UsageError(
                f"metric {self.name}: {kind} on {predicted!r}, {right!r}: {problem}"
            ) from problem
        if not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
            raise UsageError(
                f"metric {self.name}: gave {value!r} on {predicted!r}, {right!r}: should be a "
                "number from 0 to 1"
            )
        return float(value)


def named(name: str, *, trusted: bool) -> Metric | None:
    """The metric of `module:function` or of an entry point, None where there is none.

    Code is run only for a name that is `trusted`: given by the user, not by a task folder, which
    may come from someone else. Raises UsageError for a module that cannot be imported.
    """
    if ":" in name and not trusted:
        raise UsageError(
            f"metric {name}: a task.yaml cannot name code; use --metric {name} to run it"
        )
    if not trusted and name in plugin_names("metrics"):
        raise UsageError(
            f"metric {name}: comes with an installed package, whose code a task.yaml cannot name; "
            f"use --metric {name} to run it"
        )
    found = plugin("metrics", name) if trusted else None
    return None if found is None else _metric(name, found)


def _metric(name: str, found: Any) -> Metric:
    made = found() if isinstance(found, type) else found
    if callable(getattr(made, "grade", None)) and callable(getattr(made, "aggregate", None)):
        return cast(Metric, made)
    if callable(made):
        return Own(name, made)
    raise UsageError(f"metric {name}: is no function and has no grade and aggregate")

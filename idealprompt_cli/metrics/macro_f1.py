"""F1 averaged over labels, so that a rare label counts as much as a frequent one."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.results import Outcome


class MacroF1:
    """Per label F1 = 2 TP / (2 TP + FP + FN), unweighted mean over every label that is gold or
    was predicted (van Rijsbergen; the convention of scikit-learn's `f1_score`)."""

    name = "macro_f1"
    summary = "F1 averaged over labels"
    kinds = ("label",)

    def grade(self, predicted: str, accepted: Sequence[str]) -> float:
        return float(predicted in accepted)

    def aggregate(self, outcomes: Sequence[Outcome]) -> float:
        """Macro-F1 in [0, 1]; 0.0 for no outcomes."""
        labels = sorted({o.gold for o in outcomes} | {o.predicted for o in outcomes})
        if not labels:
            return 0.0
        return sum(_f1(outcomes, label) for label in labels) / len(labels)


def _f1(outcomes: Sequence[Outcome], label: str) -> float:
    hits = sum(o.gold == label == o.predicted for o in outcomes)
    wrong = sum((o.gold == label) != (o.predicted == label) for o in outcomes)
    return 2 * hits / (2 * hits + wrong)

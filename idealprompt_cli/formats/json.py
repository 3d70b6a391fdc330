"""One JSON object, for programs."""

from __future__ import annotations

import json
from typing import Any

from ..artifact import Artifact, to_data
from ..types import Evaluation
from .base import EvalReport, Screen


class JsonFormat:
    """The artifact's keys (and `written`), or the evaluation with its labels."""

    name = "json"
    summary = "one JSON object, for programs"

    def run(self, artifact: Artifact, written: str, screen: Screen) -> str:
        del screen
        return _text({**to_data(artifact), "written": written})

    def evaluation(self, report: EvalReport, screen: Screen) -> str:
        del screen
        evaluation = report.evaluation
        return _text(
            {
                "task": report.task.name,
                "model": report.model.name,
                "prompt": report.which,
                "split": report.split,
                "metric": evaluation.metric,
                "value": round(evaluation.value, 6),
                "low": round(evaluation.interval.low, 6),
                "high": round(evaluation.interval.high, 6),
                "n": evaluation.n,
                "margin": round(evaluation.margin, 6),
                "recorded": report.recorded,
                "labels": _labels(evaluation, report.task.labels),
                "cost": {
                    "evaluations": evaluation.cost.evaluations,
                    "tokens": evaluation.cost.tokens,
                    "seconds": round(evaluation.cost.seconds, 3),
                },
            }
        )


def _text(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, indent=2)


def _labels(evaluation: Evaluation, labels: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Per gold label: how many there are, and how often each label was answered."""
    table = {label: dict.fromkeys(labels, 0) for label in labels}
    for outcome in evaluation.outcomes:
        if outcome.gold in table and outcome.predicted in table[outcome.gold]:
            table[outcome.gold][outcome.predicted] += 1
    return table

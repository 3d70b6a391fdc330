"""One JSON object, for programs."""

from __future__ import annotations

from typing import Any

from ...artifact import Artifact, to_data
from ...core.results import Evaluation
from ...io.terminal import json_text
from ...storage.predictions import confusion, data_of, per_field, per_label, per_option, worst
from ..drift import drift_data
from .base import ComparedPrompt, EvalReport, Screen, Work


class JsonFormat:
    """The artifact's keys (with `written`, and `work` where the engine gives an account of it), or
    the evaluation with its labels."""

    name = "json"
    summary = "one JSON object, for programs"

    def run(
        self, artifact: Artifact, written: str, screen: Screen, work: Work | None = None
    ) -> str:
        del screen
        account = {"work": {key: round(value, 3) for key, value in work.items()}} if work else {}
        return _text({**to_data(artifact), "written": [written] if written else [], **account})

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
                "per_label": _per_label(report),
                "per_field": _per_field(report),
                "against": [_compared(other) for other in report.against],
                "worst": [data_of(one) for one in worst(evaluation.outcomes, report.worst)],
                "cost": {
                    "evaluations": evaluation.cost.evaluations,
                    "tokens": evaluation.cost.tokens,
                    "seconds": round(evaluation.cost.seconds, 3),
                },
                "per_example": _per_example(evaluation),
                **({"regression": drift_data(report.drift)} if report.drift else {}),
            }
        )


def _text(data: Any) -> str:
    return json_text(data, indent=2)


def _per_example(evaluation: Evaluation) -> dict[str, float]:
    """Mean cost of an answer that had to be computed."""
    n, cost = max(1, evaluation.cost.evaluations), evaluation.cost
    return {"seconds": round(cost.seconds / n, 6), "tokens": round(cost.tokens / n, 3)}


def _labels(evaluation: Evaluation, labels: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Per gold label: how many there are, and how often each label was answered."""
    rows = confusion(evaluation.outcomes, labels)
    return {
        label: dict(zip(labels, row, strict=True)) for label, row in zip(labels, rows, strict=True)
    }


def _per_label(report: EvalReport) -> dict[str, dict[str, float]]:
    outcomes, task = report.evaluation.outcomes, report.task
    options = task.answer_schema.options
    scores = per_option(outcomes, options) if options else per_label(outcomes, task.labels)
    return {
        one.label: {
            "n": one.n,
            "precision": round(one.precision, 6),
            "recall": round(one.recall, 6),
            "f1": round(one.f1, 6),
        }
        for one in scores
    }


def _per_field(report: EvalReport) -> dict[str, dict[str, float]]:
    names = [field.name for field in report.task.answer_schema.fields]
    return {
        one.name: {"n": one.n, "right": one.right, "share": round(one.share, 6)}
        for one in per_field(report.evaluation.outcomes, names)
    }


def _compared(other: ComparedPrompt) -> dict[str, Any]:
    evaluation, test = other.evaluation, other.comparison
    return {
        "prompt": other.name,
        "value": round(evaluation.value, 6),
        "low": round(evaluation.interval.low, 6),
        "high": round(evaluation.interval.high, 6),
        "better": test.better,
        "worse": test.worse,
        "p_value": test.p_value,
        "reliable": test.reliable,
    }

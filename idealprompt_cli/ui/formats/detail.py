"""The longer part of an evaluation's table: labels, confusions, other prompts, wrong answers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...core.results import Evaluation
from ...storage.predictions import (
    LabelScore,
    confusion,
    per_field,
    per_label,
    per_option,
    worst,
)
from ..confusion_matrix import confusion_lines
from ..wrong_answers import ranking, wrong_lines
from .base import EvalReport


def show_parts(console: Console, report: EvalReport) -> None:
    """The score by label or by field, whatever the answers are made of."""
    evaluation, task = report.evaluation, report.task
    if task.labels:
        _show_labels(console, evaluation, task.labels)
    elif task.answer_schema.options:
        _show(console, _by_label(per_option(evaluation.outcomes, task.answer_schema.options)))
    elif task.answer_schema.fields:
        _show(console, _by_field(evaluation, [field.name for field in task.answer_schema.fields]))


def _show_labels(console: Console, evaluation: Evaluation, labels: tuple[str, ...]) -> None:
    """Precision and recall, and the confusion matrix."""
    _show(console, _by_label(per_label(evaluation.outcomes, labels)))
    if len(labels) > 2:
        console.print(Text("Confusion matrix (rows: right label, columns: answer):"))
        for line in confusion_lines(labels, confusion(evaluation.outcomes, labels), console.width):
            console.print(Text(line), soft_wrap=True)


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for place, heading in enumerate(headings):
        justify: Literal["left", "right"] = "left" if place == 0 else "right"
        table.add_column(Text(heading), justify=justify, overflow="fold")
    return table


def _show(console: Console, table: Table) -> None:
    """The columns closer together where they would not fit otherwise."""
    if Console(file=io.StringIO(), width=1000).measure(table).maximum > console.width:
        table.padding = (0, 0)
    console.print(table)


def _by_field(evaluation: Evaluation, names: Sequence[str]) -> Table:
    table = _table("field", "examples", "right", "")
    for one in per_field(evaluation.outcomes, names):
        table.add_row(Text(one.name), str(one.n), str(one.right), f"{100 * one.share:.0f} %")
    return table


def _by_label(scores: Sequence[LabelScore]) -> Table:
    table = _table("label", "examples", "right", "answered", "precision", "recall")
    for one in scores:
        shares = (f"{100 * one.precision:.0f} %", f"{100 * one.recall:.0f} %")
        table.add_row(Text(one.label), str(one.n), str(one.right), str(one.answered), *shares)
    return table


def show_comparisons(console: Console, report: EvalReport) -> None:
    """The other prompts, each with the paired test."""
    if not report.against:
        return
    graded = {o.score for o in report.evaluation.outcomes} - {0.0, 1.0}
    heads = ("this better", "that better") if graded else ("only this right", "only that")
    table = _table("against", report.evaluation.metric, "95 %", *heads, "p")
    table.columns[2].min_width = len("[21, 50]")
    for other in report.against:
        found, test = other.evaluation, other.comparison
        table.add_row(
            Text(other.name),
            f"{100 * found.value:.1f} %",
            f"[{100 * found.interval.low:.0f}, {100 * found.interval.high:.0f}]",
            str(test.better),
            str(test.worse),
            f"{test.p_value:.2g}",
        )
    _show(console, table)
    if any(other.comparison.reliable for other in report.against):
        text = "p <= 0.05: better than chance would have it (exact paired test, same examples)."
        console.print(Text(text), soft_wrap=True)


def show_worst(console: Console, report: EvalReport) -> None:
    """The most confident wrong answers."""
    wrong = worst(report.evaluation.outcomes, report.worst)
    if not wrong:
        return
    task = report.task
    fields = {e.id: e.fields for e in (*task.train, *task.validation, *task.test)}
    console.print(Text(f"{ranking(bool(task.labels))}:"))
    for line in wrong_lines((one, fields.get(one.example_id, {})) for one in wrong):
        console.print(Text(line), soft_wrap=True)

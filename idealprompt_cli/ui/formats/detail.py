"""The longer part of an evaluation's table: labels, confusions, other prompts, wrong answers."""

from __future__ import annotations

import io
import textwrap
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

NARROW = 80
"""Columns below which lines of text are folded here; others are left to the terminal."""


def say(console: Console, text: str, style: str = "") -> None:
    """A line of text, which a narrow screen gets in lines of whole words under its indent."""
    lines = [text]
    if console.width < NARROW:
        indent = " " * (len(text) - len(text.lstrip()))
        lines = textwrap.wrap(
            text,
            console.width,
            subsequent_indent=f"{indent}  " if indent else "",
            break_on_hyphens=False,
            break_long_words=False,
        )
    for line in lines:
        console.print(Text(line, style=style), soft_wrap=True)


def show_parts(console: Console, report: EvalReport) -> None:
    """The score by label or by field, whatever the answers are made of."""
    evaluation, task = report.evaluation, report.task
    if task.labels:
        _show_labels(console, evaluation, task.labels)
    elif task.answer_schema.options:
        _show_scores(console, per_option(evaluation.outcomes, task.answer_schema.options))
    elif task.answer_schema.fields:
        _show(console, _by_field(evaluation, [field.name for field in task.answer_schema.fields]))


def _show_labels(console: Console, evaluation: Evaluation, labels: tuple[str, ...]) -> None:
    """Precision and recall, and the confusion matrix."""
    _show_scores(console, per_label(evaluation.outcomes, labels))
    if len(labels) > 2:
        say(console, "Confusion matrix (rows: right label, columns: answer):")
        counts = confusion(evaluation.outcomes, labels)
        for line in confusion_lines(labels, counts, console.width):
            say(console, line)


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for place, heading in enumerate(headings):
        justify: Literal["left", "right"] = "left" if place == 0 else "right"
        table.add_column(Text(heading), justify=justify, overflow="fold")
    return table


def _show(console: Console, table: Table) -> None:
    """The columns closer together where they would not fit otherwise."""
    if not _fits(console, table):
        table.padding = (0, 0)
    console.print(table)


def _fits(console: Console, table: Table) -> bool:
    return Console(file=io.StringIO(), width=1000).measure(table).maximum <= console.width


def _by_field(evaluation: Evaluation, names: Sequence[str]) -> Table:
    table = _table("field", "examples", "right", "")
    for one in per_field(evaluation.outcomes, names):
        table.add_row(Text(one.name), str(one.n), str(one.right), f"{100 * one.share:.0f} %")
    return table


def _show_scores(console: Console, scores: Sequence[LabelScore]) -> None:
    """A table of labels, or where it does not fit a sentence for each."""
    table = _by_label(scores)
    if _fits(console, table):
        console.print(table)
        return
    for one in scores:
        say(
            console,
            f"  {one.label}: {one.right} of {one.n} right, answered {one.answered} times; "
            f"precision {100 * one.precision:.0f} %, recall {100 * one.recall:.0f} %",
        )


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
        say(
            console,
            "p <= 0.05: better than chance would have it (exact paired test, same examples).",
        )


def show_worst(console: Console, report: EvalReport) -> None:
    """The most confident wrong answers."""
    wrong = worst(report.evaluation.outcomes, report.worst)
    if not wrong:
        return
    task = report.task
    fields = {e.id: e.fields for e in (*task.train, *task.validation, *task.test)}
    console.print(Text(f"{ranking(bool(task.labels))}:"))
    for line in wrong_lines((one, fields.get(one.example_id, {})) for one in wrong):
        say(console, line)

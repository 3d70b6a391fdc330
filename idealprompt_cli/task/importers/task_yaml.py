"""The commented `task.yaml` of a new task, and the question and metric to begin with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...answers import plain_field
from ...core.answer_schema import AnswerKind
from ...core.placeholders import escape
from ...io.yaml import dump
from ..settings import DEFAULT_METRIC
from .options import Found

SKEWED = 3.0
"""The most frequent label counts this many times the rarest: accuracy would favour it."""


@dataclass(frozen=True)
class Written:
    """The text of task.yaml and the metric in it."""

    text: str
    metric: str


def default_question(found: Found) -> str:
    """A question to begin with, made of the labels or fields. A question for each row is asked as
    it is; other text fields precede the question."""
    if [name.lower() for name in found.inputs] == ["question"]:
        return f"{{{found.inputs[0]}}}"
    asked = escape(_asked(found))
    texts = [f"{{{name}}}" for name in found.inputs]
    if len(texts) > 1:
        texts = [f"{name}: {text}" for name, text in zip(found.inputs, texts, strict=True)]
    return "\n".join([*texts, asked])


def _asked(found: Found) -> str:
    labels = found.labels()
    pictures = any(row.images for row in found.rows)
    if found.kind == "text":
        return "What does the picture say?" if pictures else "What is the answer?"
    if found.kind == "number":
        shown = "does the picture show" if pictures else "is it"
        return f"Which number {shown}? Answer with the number."
    if found.kind == "box":
        return "Where is it? Answer with the box [left, top, right, bottom]."
    if found.kind == "json":
        names = ", ".join(field.name for field in found.schema.fields)
        return f"Answer as JSON with the keys {names}."
    if found.kind == "labels":
        what = "the picture" if pictures else "it"
        return f"Which of these fit {what}: {', '.join(_named(found.schema.options))}?"
    if len(labels) > 12:
        return "Which class is it?"
    *first, last = _named(labels)
    return f"Which is it, {', '.join(first)} or {last}?" if first else "Which class is it?"


def _named(labels: Sequence[str]) -> list[str]:
    """Labels as a list shows them: in quotes where commas or words within would divide them."""
    divided = any(
        "," in label or f" {word} " in label for label in labels for word in ("or", "and")
    )
    return [f'"{label}"' if divided else label for label in labels]


def is_skewed(found: Found) -> bool:
    """Whether labels are of such unequal number that accuracy rewards always giving one."""
    if found.kind != "label":
        return False
    counts = Counter(row.answer for row in found.rows).values()
    return max(counts) >= SKEWED * min(counts)


def default_metric(found: Found) -> str:
    """The metric to begin with."""
    if found.kind == "text" and _by_annotators(found):
        return "vqa_accuracy"
    return "balanced_accuracy" if is_skewed(found) else DEFAULT_METRIC[found.kind]


def _by_annotators(found: Found) -> bool:
    """Whether the accepted answers are those of several annotators, who often agree."""
    answers = [row.answers for row in found.rows]
    often = sum(len(set(one)) < len(one) for one in answers)
    return all(len(one) >= 3 for one in answers) and 2 * often > len(answers)


def task_yaml(folder: Path, found: Found, question: str, *, guessed: bool) -> Written:
    """The commented settings."""
    who = "sees the image" if any(row.images for row in found.rows) else "reads the text"
    edit = (
        f"# EDIT THIS: what would you ask somebody who {who}? The search starts here.\n"
        if guessed
        else "# What the model is asked. The search starts here.\n"
    )
    if found.inputs:
        edit += "# {column} is the text of that column; double braces that are text.\n"
    named = any(row.split == "test" for row in found.rows)
    held_out = (
        "# Share of the examples that the search never sees, and the seed of that draw.\n"
        f"test_fraction: 0.4\nseed: {found.seed}\n"
    )
    metric = default_metric(found)
    text = (
        f"# Made by idealprompt init: {len(found.rows)} examples, {_by(found)}.\n"
        f"{dump({'name': folder.resolve().name})}"
        f"{edit}{dump({'question': question})}"
        f"{_answers(found)}# {_METRICS[found.kind]}\n"
        f"{dump({'metric': metric})}"
        f"{'' if named else held_out}"
        "# Your own model, relative to this folder (default: flags, environment, embedded one):\n"
        "# model: model.gguf\n# mmproj: mmproj.gguf\n"
    )
    return Written(text, metric)


def _by(found: Found) -> str:
    return f"labels by {' '.join(found.how.split())}"


_METRICS: Mapping[AnswerKind, str] = {
    "label": "accuracy, macro_f1 or balanced_accuracy (labels of unequal number)",
    "labels": "multilabel_f1, or accuracy (all labels of an image right)",
    "text": "normalised_match, exact_match, vqa_accuracy, anls, 1-cer, 1-wer, bleu or rouge_l",
    "number": "numeric, or with a tolerance numeric:0.5 or numeric:5%",
    "json": "json_fields (share of fields right), or exact_match (all of them)",
    "box": "iou (how much the boxes overlap), or iou@0.5 (share that overlap by half)",
}


def _answers(found: Found) -> str:
    """The lines on what is answered."""
    if found.kind == "label":
        return "# The possible answers.\n" + dump({"labels": list(found.labels())})
    lines = dump({"answer": found.kind})
    if found.kind == "labels":
        lines += "# Any of these may hold, or none.\n" + dump(
            {"labels": list(found.schema.options)}
        )
    if found.kind == "json":
        lines += "# text, number, integer, boolean (with ? if it may be missing), or the values\n"
        lines += dump({"fields": {one.name: plain_field(one) for one in found.schema.fields}})
    if found.schema.max_lines > 1:
        lines += dump({"max_lines": found.schema.max_lines})
    return lines

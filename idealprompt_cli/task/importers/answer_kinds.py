"""What kind of answers a column holds, and their form; guessed where nobody says it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from ...answers import KINDS, infer, split
from ...answers.labels import named
from ...core.answer_schema import PLAIN, AnswerKind, AnswerSchema
from ...core.errors import TaskError

MOST_LABELS = 50
_FIGURES = re.compile(r"-?(0|[1-9]\d*)([.,]\d+)?")


def guess(answers: Sequence[str], tabular: bool) -> AnswerKind:
    """The kind of answers that these are; only a table holds others than single labels."""
    different = set(answers)
    if not tabular:
        return "label"
    if all(answer.startswith("{") for answer in answers):
        return "json"
    if any(answer.startswith("[") for answer in answers) or _several(different):
        return "labels"
    if len(different) <= MOST_LABELS and len(different) <= max(10, len(answers) // 2):
        return "label"
    return "number" if all(_FIGURES.fullmatch(answer) for answer in answers) else "text"


def _several(different: set[str]) -> bool:
    """Whether cells join few labels by ; or | in many ways."""
    joined = [answer for answer in different if re.search(r"[;|]", answer)]
    labels = {part for answer in different for part in re.split(r"\s*[;|]\s*", answer) if part}
    return len(joined) > 1 and len(labels) <= MOST_LABELS and len(labels) < len(different) + 2


def formed(
    answers: Sequence[str], kind: AnswerKind, places: Sequence[str]
) -> tuple[list[str], AnswerSchema]:
    """The answers in one form, and that form. Raises `TaskError` naming the place of an answer that
    does not fit the kind."""
    if kind == "label":
        return list(answers), PLAIN
    loose = _all(answers, kind, PLAIN, places)
    schema = PLAIN
    if kind == "labels":
        options = tuple(sorted({label for answer in loose for label in split(answer)}))
        schema = replace(schema, options=options)
    if kind == "json":
        schema = replace(schema, fields=infer(loose))
    return _all(answers, kind, schema, places), schema


def _all(
    answers: Sequence[str], kind: AnswerKind, schema: AnswerSchema, places: Sequence[str]
) -> list[str]:
    found = []
    for answer, place in zip(answers, places, strict=True):
        try:
            found.append(KINDS[kind].gold(answer, schema))
        except ValueError as problem:
            raise TaskError(f"{place}: {answer[:60]!r} {problem}") from None
    return found


def columns_as_json(cells: dict[str, list[str]]) -> list[str]:
    """One JSON object a row out of columns; a column of figures alone becomes numbers, an empty
    cell a missing value."""
    typed = {name: _typed(column) for name, column in cells.items()}
    rows = zip(*typed.values(), strict=True)
    return [json.dumps(dict(zip(typed, row, strict=True)), ensure_ascii=False) for row in rows]


def _typed(column: list[str]) -> list[object]:
    there = [cell for cell in column if cell]
    if there and all(_FIGURES.fullmatch(cell) for cell in there):
        numbers = [float(cell.replace(",", ".")) if cell else None for cell in column]
        return [int(n) if n is not None and n.is_integer() else n for n in numbers]
    return [cell or None for cell in column]


def count_labels(answers: Sequence[str]) -> list[str]:
    """Every label of every answer, once for each picture that has it."""
    return [label for answer in answers for label in sorted(named(answer))]

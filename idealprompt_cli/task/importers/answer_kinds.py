"""Which kind of answers a column holds, where nobody states it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...core.answer_schema import AnswerKind

MOST_LABELS = 50
MOST_FREQUENT_LABELS, OFTEN = 500, 5
"""More labels than `MOST_LABELS` are still labels if each comes back this often on average."""
MOST_COMMON_ANSWERS = 4
"""A question for each row has labels in common with the others only if they are this few."""
_FIGURES = re.compile(r"-?(0|[1-9]\d*)([.,]\d+)?")


@dataclass(frozen=True)
class Guess:
    """A kind of answers, and what else they could be."""

    kind: AnswerKind
    note: str = ""


def guess(answers: Sequence[Sequence[str]], *, questions: bool = False) -> Guess:
    """The kind of these answers of a table, each with all that are accepted; `questions`: each row
    asks its own."""
    first = [accepted[0] for accepted in answers]
    if any(len(accepted) > 1 for accepted in answers):
        kind = _single([one for accepted in answers for one in accepted], questions).kind
        return Guess(
            "text" if questions else kind,
            "lists are accepted answers, any of which is right (--answer labels: all of them hold)",
        )
    if all(_is_object(answer) for answer in first):
        return Guess("json")
    if all(_is_box(answer) for answer in first):
        return Guess("box")
    joined = [answer for answer in set(first) if re.search(r"[;|]", answer)]
    if joined and _recombined(set(first)):
        return Guess("labels", "cells list several labels (--answer label: each cell is one label)")
    found = _single(first, questions)
    if joined and found.kind == "label":
        return Guess("label", f"{joined[0]!r} is one label (--answer labels splits it at ; and |)")
    return found


def _single(answers: Sequence[str], questions: bool) -> Guess:
    different = set(answers)
    few = len(different) <= MOST_LABELS and len(different) <= max(10, len(answers) // 2)
    often = len(different) <= MOST_FREQUENT_LABELS and OFTEN * len(different) <= len(answers)
    if questions and len(different) > MOST_COMMON_ANSWERS and not _are_numbers(different):
        return Guess("text", "each row asks its own question, so the answers are free text")
    if few or often:
        return Guess("label")
    if _are_numbers(different):
        return Guess("number", "almost every answer is a different number (--answer label|text)")
    lines = max(answer.count("\n") + 1 for answer in answers)
    note = "almost every answer is different, so they are treated as free text (--answer label)"
    return Guess("text", note if lines == 1 else f"{note}; up to {lines} lines (max_lines)")


def _are_numbers(answers: Iterable[str]) -> bool:
    return all(_FIGURES.fullmatch(answer) for answer in answers)


def _is_object(answer: str) -> bool:
    try:
        return isinstance(json.loads(answer), dict)
    except ValueError:
        return False


def _is_box(answer: str) -> bool:
    """Four numbers in a JSON list, as boxes are written."""
    try:
        value = json.loads(answer)
    except ValueError:
        return False
    return isinstance(value, list) and len(value) == 4 and all(_is_number(one) for one in value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _recombined(different: set[str]) -> bool:
    """Whether cells join few labels by ; or | in several ways: each part is in other cells too."""
    parts = [re.split(r"\s*[;|]\s*", answer.strip()) for answer in different]
    counts = Counter(part for cell in parts for part in set(cell) if part)
    joined = [cell for cell in parts if len(cell) > 1]
    again = all(counts[part] > 1 for cell in joined for part in cell if part)
    return len(joined) > 1 and len(counts) <= MOST_LABELS and again


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

"""Answers that are written, in one form: labels in their order, numbers and JSON fields as declared
or as the answers have them."""

from __future__ import annotations

from dataclasses import replace

from ..answers import KINDS, infer, split
from ..core.answer_schema import AnswerSchema
from ..core.errors import TaskError
from .examples import Row
from .settings import Settings


def with_form(rows: list[Row], settings: Settings) -> tuple[list[Row], AnswerSchema]:
    """The rows with their answers in one form, and their schema. Raises `TaskError` for an answer
    that does not fit it."""
    if settings.answer == "label":
        return rows, settings.answer_schema
    loose = [_in_form(row, settings, replace(settings.answer_schema, fields=())) for row in rows]
    schema = _answer_schema(loose, settings)
    return [_in_form(row, settings, schema) for row in rows], schema


def _answer_schema(rows: list[Row], settings: Settings) -> AnswerSchema:
    """What task.yaml declares, completed by what the answers have."""
    answers = [row.answer for row in rows]
    if settings.answer == "labels":
        found = {label for answer in answers for label in split(answer)}
        options = settings.labels or tuple(sorted(found))
        if len(options) < 2:
            raise TaskError(f"{settings.source}: the answers have fewer than two labels")
        return replace(settings.answer_schema, options=options)
    if settings.answer == "json":
        return replace(
            settings.answer_schema, fields=settings.answer_schema.fields or infer(answers)
        )
    return settings.answer_schema


def _in_form(row: Row, settings: Settings, schema: AnswerSchema) -> Row:
    try:
        return replace(row, answer=KINDS[settings.answer].gold(row.answer, schema))
    except ValueError as problem:
        raise TaskError(f"{row.source}: {row.id}: {row.answer[:60]!r} {problem}") from None

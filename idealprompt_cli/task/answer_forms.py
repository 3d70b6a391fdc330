"""Brings the written answers of a task into one form: labels in their order, numbers and JSON
fields as declared or as the answers have them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..answers import KINDS, infer, split
from ..core.answer_schema import AnswerKind, AnswerSchema
from ..core.errors import TaskError
from .faults import Faults

Accepted = tuple[str, ...]


def in_one_form(
    answers: Sequence[Accepted],
    kind: AnswerKind,
    schema: AnswerSchema,
    place: Callable[[int], str],
    options: Sequence[str] = (),
    *,
    declared: bool = True,
) -> tuple[list[Accepted], AnswerSchema]:
    """The accepted answers of each example in one form, and the schema that they follow: what is
    declared, completed by what the answers have. `place(i)` names example i. Where nothing is
    `declared` yet, a text has as many lines as it has.

    Raises `TaskError` that lists every answer which does not fit.
    """
    if kind == "label":
        return list(answers), schema
    any_form = replace(schema, fields=(), options=())
    if not declared:
        any_form = replace(any_form, max_lines=sys.maxsize)
    loose = _converted(answers, kind, any_form, place)
    flat = [one for accepted in loose for one in accepted]
    if kind == "labels":
        known = tuple(options) or tuple(sorted({label for one in flat for label in split(one)}))
        schema = replace(schema, options=known)
    if kind == "text" and not declared:
        schema = replace(schema, max_lines=max(one.count("\n") + 1 for one in flat))
    if kind == "json":
        schema = replace(schema, fields=schema.fields or infer(flat))
    return _converted(answers, kind, schema, place), schema


def _converted(
    answers: Sequence[Accepted], kind: AnswerKind, schema: AnswerSchema, place: Callable[[int], str]
) -> list[Accepted]:
    faults, found = Faults(), []
    for position, accepted in enumerate(answers):
        try:
            found.append(tuple(KINDS[kind].gold(one, schema) for one in accepted))
        except ValueError as problem:
            faults.add(f"{place(position)}: {', '.join(accepted)[:60]!r} {problem}")
    faults.check()
    return found


def check_options(schema: AnswerSchema, source: str) -> None:
    """Raises `TaskError` where a task of several labels at once has fewer than two."""
    if len(schema.options) < 2:
        raise TaskError(f"{source}: the answers have fewer than two labels")

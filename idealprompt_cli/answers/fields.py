"""The fields of a JSON answer: declared by a task, or inferred from its answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, get_args

from ..core.answer_schema import Field, FieldKind
from .number import parse_number

KINDS = tuple(kind for kind in get_args(FieldKind) if kind != "choice")


def parse_field(name: str, declared: object) -> Field:
    """A field as `task.yaml` says it: "text", "number", "integer", "boolean", with ? for one that
    may be missing, or a list of its values. Raises ValueError."""
    if isinstance(declared, list):
        if len(declared) < 2 or not all(isinstance(one, str) and one for one in declared):
            raise ValueError("should be a list of two or more texts")
        return Field(name, "choice", tuple(declared))
    kind = str(declared)
    bare = kind.removesuffix("?")
    if bare not in KINDS:
        raise ValueError(f"is {kind!r}: should be {', '.join(KINDS)} or a list of values")
    return Field(name, bare, optional=bare != kind)  # type: ignore[arg-type]


def plain_field(field: Field) -> str | list[str]:
    """The declaration that `parse_field` reads as this field."""
    if field.kind == "choice":
        return list(field.choices)
    return field.kind + ("?" if field.optional else "")


def infer(answers: Sequence[str]) -> tuple[Field, ...]:
    """The fields of JSON objects, in the order in which they turn up."""
    objects = [json.loads(answer) for answer in answers]
    names = dict.fromkeys(name for one in objects for name in one)
    return tuple(_inferred(name, [one.get(name) for one in objects]) for name in names)


def _inferred(name: str, values: Sequence[Any]) -> Field:
    there = [value for value in values if value is not None]
    optional = len(there) < len(values)
    if there and all(isinstance(value, bool) for value in there):
        return Field(name, "boolean", optional=optional)
    if there and all(_is_number(value) for value in there):
        whole = all(float(value).is_integer() for value in there)
        return Field(name, "integer" if whole else "number", optional=optional)
    return Field(name, "text", optional=optional)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def fitted(value: Any, field: Field) -> Any:
    """The value in the form of its field. Raises ValueError if that is impossible."""
    if value is None:
        if field.optional:
            return None
        raise ValueError(f"{field.name} is missing: fill it in, or declare it with a ?")
    if field.kind == "boolean":
        return _boolean(value, field)
    if field.kind in ("number", "integer"):
        return _number(value, field)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if field.kind == "choice" and text not in field.choices:
        raise ValueError(f"{field.name} is {text!r}: should be one of {', '.join(field.choices)}")
    return text


def _boolean(value: Any, field: Field) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    word = str(value).strip().lower()
    if word not in known:
        raise ValueError(f"{field.name} is {value!r}: should be true or false")
    return known[word]


def _number(value: Any, field: Field) -> int | float:
    number: Any = parse_number(value) if isinstance(value, str) else value
    if not _is_number(number):
        raise ValueError(f"{field.name} is {value!r}: should be a number")
    if float(number).is_integer():
        return int(number)
    if field.kind == "integer":
        raise ValueError(f"{field.name} is {value!r}: should be a whole number")
    return float(number)

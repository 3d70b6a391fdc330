"""A parsed YAML `Section` checked against a pydantic type, with errors that name file and line.

The JSON schema of the type supplies the known keys and choices of a message, so that a message is
as specific for a nested record as for the top level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from ..core.errors import IdealPromptError
from ..core.nearest import did_you_mean
from .yaml import Section, describe_kind, describe_value

Model = TypeVar("Model")

_NUMBERS = {
    "int_parsing": "should be a whole number",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_parsing": "should be a number",
    "float_type": "should be a number",
    "finite_number": "should be a number",
    "bool_parsing": "should be true or false",
}
MOST_LISTED = 4
"""Choices that a message lists in full, even where one of them is near."""

_UNKNOWN_KEY = ("extra_forbidden", "unexpected_keyword_argument")
_MISSING = ("missing", "missing_argument")


def validated(adapter: TypeAdapter[Model], section: Section) -> Model:
    """The value that `section` describes.

    Raises the section's own error class for the first fault: file, line, key, value, fix. A key
    that is unknown comes before one that is missing, because it is usually the same key misspelt.
    """
    try:
        return adapter.validate_python(section.plain())
    except ValidationError as problem:
        errors = problem.errors(include_url=False)
    schema = adapter.json_schema(mode="serialization")
    faults = [_fault(section, schema, error) for error in errors]
    raise min(faults, key=lambda fault: fault[0])[1]


def _fault(
    top: Section, schema: Mapping[str, Any], error: ErrorDetails
) -> tuple[int, IdealPromptError]:
    """(rank, error) of one fault; the lowest rank is reported."""
    where, key, value, rule = _located(top, schema, error["loc"])
    if error["type"] in _MISSING and key not in where:
        return 1_000_000 + where.line, where.fail(key, "is missing: add this key")
    if error["type"] in _UNKNOWN_KEY:
        known = list(rule.get("properties", {}))
        problem = f"unknown key: {did_you_mean(key, known)}" if known else "unknown key"
    else:
        problem = _problem(error, value, rule)
    return where.lines.get(key.partition("[")[0], where.line), where.fail(key, problem)


def _located(
    top: Section, schema: Mapping[str, Any], loc: Sequence[int | str]
) -> tuple[Section, str, Any, Mapping[str, Any]]:
    """(innermost section, key in it, value there, schema of the value) at an error's location.

    Steps that name a member of a union rather than a key of the file are skipped. For a key that
    the schema does not know, the schema is the section's own.
    """
    section, key, rule = top, "", _resolved(schema, schema)
    value: Any = top
    for step in loc:
        if isinstance(step, int) and isinstance(value, list) and step < len(value):
            key, value = f"{key}[{step + 1}]", value[step]
            rule = _resolved(rule.get("items", {}), schema)
        elif isinstance(step, str) and isinstance(value, Section):
            section, key = value, step
            value = section.values.get(step)
            inner = rule.get("properties", {}).get(step, rule.get("additionalProperties"))
            rule = _resolved(inner, schema) if isinstance(inner, Mapping) else rule
    return section, key, value, rule


def _resolved(rule: Any, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The rule itself behind a reference or an optional value."""
    while isinstance(rule, Mapping) and ("$ref" in rule or "anyOf" in rule):
        if "$ref" in rule:
            rule = schema["$defs"][rule["$ref"].rpartition("/")[2]]
        else:
            rule = next((one for one in rule["anyOf"] if one.get("type") != "null"), {})
    return rule if isinstance(rule, Mapping) else {}


def _problem(error: ErrorDetails, value: Any, rule: Mapping[str, Any]) -> str:
    """What is wrong with a value, and what it should be."""
    kind = error["type"]
    if kind in _NUMBERS:
        return f"is {describe_value(value)}: {_NUMBERS[kind]}"
    if kind == "literal_error":
        known = [str(one) for one in rule.get("enum", [rule.get("const")])]
        few = f"known: {', '.join(known)}" if len(known) <= MOST_LISTED else ""
        return f"is {describe_value(value)}: {few or did_you_mean(str(value), known)}"
    if kind == "string_type":
        return f"should be text, not {describe_kind(value)}: put it in quotes"
    if kind in ("tuple_type", "list_type"):
        return f"should be a list, not {describe_kind(value)}: write it as [a, b]"
    if kind in ("dict_type", "mapping_type", "model_type", "dataclass_type"):
        return f"should hold keys of its own, not {describe_kind(value)}"
    context = error.get("ctx", {})
    for bound, words in (("ge", "or more"), ("le", "or less")):
        if bound in context:
            return f"is {_bare(value)}: should be {context[bound]:g} {words}"
    if kind == "value_error":
        return str(context.get("error", error["msg"]))
    return f"is {describe_value(value)}: {error['msg'].lower()}"


def _bare(value: Any) -> str:
    return value if isinstance(value, str) else describe_value(value)

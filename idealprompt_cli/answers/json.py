"""A JSON object with the task's fields, one line, its keys in their order."""

from __future__ import annotations

import json
from typing import Any

from ..core.answer_schema import AnswerSchema, Field
from .base import ONE_LINE, gbnf_literal
from .fields import fitted

LONGEST_TEXT = 200
_RULES = {
    "text": f'"\\"" letter{{0,{LONGEST_TEXT}}} "\\""',
    "number": '"-"? digits ("." [0-9]{1,9})?',
    "integer": '"-"? digits',
    "boolean": '"true" | "false"',
}
_LETTER = 'letter ::= [^"\\\\\\x00-\\x1f] | "\\\\" ["\\\\/bfnrt]'
_DIGITS = 'digits ::= "0" | [1-9] [0-9]{0,14}'


class Json:
    """Written under a grammar, so that every answer can be read and has all fields."""

    name = "json"
    summary = "a JSON object with the same fields for every image"

    def gold(self, text: str, schema: AnswerSchema) -> str:
        value = _parsed(text)
        if not isinstance(value, dict) or not value:
            raise ValueError('is no JSON object: write {"field": "value", ...}')
        if not schema.fields:
            return dumped(value)
        known = [field.name for field in schema.fields]
        other = next((name for name in value if name not in known), None)
        if other is not None:
            raise ValueError(f"{other!r} is none of the fields {', '.join(known)}")
        return dumped({one.name: fitted(value.get(one.name), one) for one in schema.fields})

    def read(self, text: str, schema: AnswerSchema) -> str:
        value = _parsed(text)
        if not isinstance(value, dict):
            return ""
        return dumped(
            {field.name: _lenient(value.get(field.name), field) for field in schema.fields}
        )

    def ends(self, schema: AnswerSchema) -> tuple[str, ...]:
        del schema
        return ONE_LINE

    def grammar(self, schema: AnswerSchema) -> str | None:
        parts = ' ", " '.join(
            f"{gbnf_literal(json.dumps(field.name, ensure_ascii=False) + ': ')} value{place}"
            for place, field in enumerate(schema.fields)
        )
        rules = [f"value{place} ::= {_rule(field)}" for place, field in enumerate(schema.fields)]
        return "\n".join([f'root ::= " "? "{{" {parts} "}}"', *rules, _LETTER, _DIGITS])

    def longest(self, schema: AnswerSchema) -> int:
        """Room for every key, and for a text of a dozen words in every field."""
        return 8 + sum(len(field.name) + 48 for field in schema.fields)


def dumped(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _parsed(text: str) -> Any:
    """The first JSON object of a text, None where there is none."""
    start = text.find("{")
    if start < 0:
        return None
    try:
        return json.JSONDecoder().raw_decode(text, start)[0]
    except (ValueError, RecursionError):
        return None


def _lenient(value: Any, field: Field) -> Any:
    try:
        return fitted(value, field)
    except ValueError:
        return value if isinstance(value, str) else None


def _rule(field: Field) -> str:
    if field.kind == "choice":
        return " | ".join(
            gbnf_literal(json.dumps(one, ensure_ascii=False)) for one in field.choices
        )
    return _RULES[field.kind] + (' | "null"' if field.optional else "")

"""Text that is safe to print: control characters are shown, not sent.

Names, labels, model output and a server's words come from others. A raw escape sequence in one of
them could recolour, overwrite or retitle a terminal, and a direction mark can make a text read as
another one.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

Value = TypeVar("Value")

_DIRECTION = "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff"
_UNSAFE = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_DIRECTION}\ud800-\udfff]")
# In JSON, json.dumps escapes the characters below 32 already.
_UNSAFE_IN_JSON = re.compile(f"[\x7f-\x9f{_DIRECTION}\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with control and direction characters as `\\x1b` or `\\u202e`; newlines and tabs
    stay."""
    return _UNSAFE.sub(_escaped, text)


def one_line(text: str) -> str:
    """The text as a single printable line: any whitespace becomes one space."""
    return printable(" ".join(text.split()))


def json_text(data: Any, *, indent: int | None = None) -> str:
    """JSON that is safe to print and reads back to the same values."""
    text = json.dumps(data, ensure_ascii=False, indent=indent)
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def printable_values(value: Value) -> Value:
    """A copy in which every text of nested dataclasses, mappings and sequences is printable."""
    return _cleaned(value)  # type: ignore[no-any-return]


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {_cleaned(key): _cleaned(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_cleaned(one) for one in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed = {}
        for field in dataclasses.fields(value):
            before = getattr(value, field.name)
            after = _cleaned(before)
            if after is not before and after != before:
                changed[field.name] = after
        return dataclasses.replace(value, **changed) if changed else value
    return value


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"

"""`{column}` in a question: the place of an example's text field. `{{` and `}}` are braces."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from .prompt import FieldText

_MARK = re.compile(r"\{\{|\}\}|\{([^{}\n]*)\}|[{}]")


def placeholder_names(text: str) -> tuple[str, ...]:
    """The names in their order, each once. Raises ValueError for a brace without its partner and
    for an empty name."""
    return tuple(dict.fromkeys(name for _, name in _parsed(text) if name is not None))


def fill(text: str, fields: Mapping[str, str]) -> tuple[str, ...]:
    """The text in pieces: its own as `str`, an example's field as `FieldText`; none is empty.

    Raises ValueError for a name that is not among the fields, and where `placeholder_names` does.
    """
    pieces: list[str] = []
    for literal, name in _parsed(text):
        if literal:
            pieces.append(literal)
        if name is not None:
            if name not in fields:
                known = ", ".join(fields) or "none"
                raise ValueError(f"{{{name}}} is not a field of this example (fields: {known})")
            if fields[name]:
                pieces.append(FieldText(fields[name]))
    return tuple(pieces)


def escape(text: str) -> str:
    """The text with its braces doubled, so that it has no placeholder."""
    return text.replace("{", "{{").replace("}", "}}")


def _parsed(text: str) -> Iterator[tuple[str, str | None]]:
    """(literal text, name of the placeholder that follows it), the last with None for a name."""
    literal, end = "", 0
    for mark in _MARK.finditer(text):
        literal += text[end : mark.start()]
        end = mark.end()
        if mark[0] in ("{{", "}}"):
            literal += mark[0][0]
        elif mark[1] is None or not mark[1].strip():
            raise ValueError(f"has a {mark[0]!r} that names no field: double braces that are text")
        else:
            yield literal, mark[1].strip()
            literal = ""
    yield literal + text[end:], None

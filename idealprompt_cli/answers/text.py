"""Free text: what is written on the image, a caption, a name, a few lines."""

from __future__ import annotations

from ..core.answer_schema import AnswerSchema
from .base import ONE_LINE

LONGEST_LINE = 64
LONGEST = 512


class Text:
    """Written freely to the end of the line, or up to `max_lines` lines."""

    name = "text"
    summary = "free text: a caption, what is written on a label"

    def gold(self, text: str, schema: AnswerSchema) -> str:
        found = _lines(text)
        if len(found) > schema.max_lines:
            raise ValueError(
                f"has several lines ({len(found)}): an answer has at most {schema.max_lines} "
                "(max_lines)"
            )
        return "\n".join(found)

    def read(self, text: str, schema: AnswerSchema) -> str:
        return "\n".join(_lines(text)[: schema.max_lines])

    def ends(self, schema: AnswerSchema) -> tuple[str, ...]:
        return ONE_LINE if schema.max_lines == 1 else ()

    def grammar(self, schema: AnswerSchema) -> str | None:
        if schema.max_lines == 1:
            return None
        more = schema.max_lines - 1
        return f'root ::= line ("\\n" line){{0,{more}}}\nline ::= [^\\x00-\\x1f]{{1,400}}'

    def longest(self, schema: AnswerSchema) -> int:
        return min(LONGEST, LONGEST_LINE * schema.max_lines)


def _lines(text: str) -> list[str]:
    """The lines without blanks at their ends, from the first to the last that is not empty."""
    return [line.rstrip() for line in text.strip().splitlines()]

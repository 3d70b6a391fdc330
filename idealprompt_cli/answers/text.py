"""A line of text: what is written on the picture, a caption, a name."""

from __future__ import annotations

from ..core.answer_schema import AnswerSchema

LONGEST = 64


class Text:
    """Written freely, to the end of the line."""

    name = "text"
    summary = "a line of free text: a caption, what is written on a label"
    ends: tuple[str, ...] = ("\n",)

    def gold(self, text: str, schema: AnswerSchema) -> str:
        del schema
        if "\n" in text.strip():
            raise ValueError("has several lines: an answer is one line")
        return text.strip()

    def read(self, text: str, schema: AnswerSchema) -> str:
        del schema
        return text.strip()

    def grammar(self, schema: AnswerSchema) -> str | None:
        del schema
        return None

    def longest(self, schema: AnswerSchema) -> int:
        del schema
        return LONGEST

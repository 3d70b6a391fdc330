"""What every kind of free answer can do."""

from __future__ import annotations

from typing import Protocol

from ..core.answer_schema import AnswerSchema

ONE_LINE = ("\n",)


class Kind(Protocol):
    """`gold` and `read` give the answer in one form; `grammar` is GBNF of what may be written, None
    where nothing limits it; `longest` bounds its tokens."""

    name: str
    summary: str

    def gold(self, text: str, schema: AnswerSchema) -> str:
        """A right answer as a table holds it. Raises ValueError with the fix."""

    def read(self, text: str, schema: AnswerSchema) -> str:
        """The answer in what a model wrote, "" where there is none."""

    def ends(self, schema: AnswerSchema) -> tuple[str, ...]:
        """Texts before which an answer ends."""

    def grammar(self, schema: AnswerSchema) -> str | None: ...

    def longest(self, schema: AnswerSchema) -> int: ...


def gbnf_literal(text: str) -> str:
    """`text` as a quoted literal of a GBNF grammar."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(escapes.get(letter, letter) for letter in text) + '"'

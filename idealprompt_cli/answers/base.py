"""What every kind of free answer can do."""

from __future__ import annotations

from typing import Protocol

from ..forms import AnswerForm


class Kind(Protocol):
    """`gold` and `read` give the answer in one form; `grammar` is GBNF of what may be written, None
    where nothing limits it; `longest` bounds its tokens. `ends` are the texts that end it."""

    name: str
    summary: str
    ends: tuple[str, ...]

    def gold(self, text: str, form: AnswerForm) -> str:
        """A right answer as a table holds it. Raises ValueError with what would mend it."""

    def read(self, text: str, form: AnswerForm) -> str:
        """The answer in what a model wrote, "" where there is none."""

    def grammar(self, form: AnswerForm) -> str | None: ...

    def longest(self, form: AnswerForm) -> int: ...


def literal(text: str) -> str:
    """A GBNF literal."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(escapes.get(letter, letter) for letter in text) + '"'

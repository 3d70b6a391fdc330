"""The form of an answer: its kind, and its settings in the task (layer 0).

Frozen data alone; `answers/` knows how each kind is asked for and read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

AnswerKind = Literal["label", "labels", "text", "number", "json", "box"]
FieldKind = Literal["text", "number", "integer", "boolean", "choice"]


@dataclass(frozen=True)
class Field:
    """One key of a JSON answer. `choices` are the values of a "choice"; `optional` allows null."""

    name: str
    kind: FieldKind = "text"
    choices: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True)
class AnswerSchema:
    """What a task's answers are made of: `options` for several labels at once, `fields` for JSON.
    `max_tokens` bounds the longest answer; 0 means the kind's own bound. `max_lines` bounds the
    lines of a text."""

    options: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    max_tokens: int = 0
    max_lines: int = 1


PLAIN = AnswerSchema()
"""Nothing is said of the answer beyond its kind."""

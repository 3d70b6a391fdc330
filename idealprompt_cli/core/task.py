"""A task: labelled examples and what is asked of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .answer_schema import PLAIN, AnswerKind, AnswerSchema

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Example:
    """One labelled example of a task folder: zero or more pictures and zero or more text fields.

    `id` is unique in the task and stable across runs (the path relative to the task folder);
    `answer` is the gold label or text; `source` is where it was declared, for error messages
    ("metadata.csv:12" or "class folder K7/"). `fields` are texts by column name, which the question
    refers to as `{name}`; `accepted` are further answers that count as right.
    """

    id: str
    images: tuple[Path, ...]
    answer: str
    source: str
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)
    accepted: tuple[str, ...] = ()

    @property
    def answers(self) -> tuple[str, ...]:
        """Every answer that counts as right, the preferred one first."""
        return (self.answer, *self.accepted)


@dataclass(frozen=True)
class ModelRef:
    """A model's GGUF files: text, and vision projector (None: a text-only model)."""

    text: Path
    mmproj: Path | None = None


@dataclass(frozen=True)
class Task:
    """A validated task folder.

    `train` inspires and selects prompts; `validation` selects prompts and inspires none; `test` is
    locked: it is read once, for the baseline and the winner. `fields` are the names of the text
    fields that the question refers to. `labels` are those of a task with one label an example.
    """

    name: str
    root: Path
    question: str
    labels: tuple[str, ...]
    metric: str
    train: tuple[Example, ...]
    test: tuple[Example, ...]
    answer: AnswerKind = "label"
    answer_schema: AnswerSchema = PLAIN
    language: str = "en"
    model: ModelRef | None = None
    fingerprint: str = ""
    validation: tuple[Example, ...] = ()
    fields: tuple[str, ...] = ()

    @property
    def selection(self) -> tuple[Example, ...]:
        """The examples that prompts are selected by: the validation split, or without one the
        training split (cross-fitted)."""
        return self.validation or self.train

    @property
    def pictured(self) -> bool:
        """Whether any training example has a picture; otherwise all is text."""
        return pictured(self.train)


def pictured(examples: Iterable[Example]) -> bool:
    """Whether any of the examples has a picture."""
    return any(example.images for example in examples)

"""A task: labelled examples and what is asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .answer_schema import PLAIN, AnswerKind, AnswerSchema

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Example:
    """One labelled picture (or several that belong together) of a task folder.

    `id` is unique in the task and stable across runs (the path relative to the task folder);
    `answer` is the gold label or text; `source` is where it was declared, for error messages
    ("metadata.csv:12" or "class folder K7/").
    """

    id: str
    images: tuple[Path, ...]
    answer: str
    source: str


@dataclass(frozen=True)
class ModelRef:
    """Where a model's two GGUF files are (text and vision projector)."""

    text: Path
    mmproj: Path


@dataclass(frozen=True)
class Task:
    """A validated task folder. `train` inspires and selects prompts; `test` is locked: it is read
    once, for the baseline and the winner. `labels` are those of a task with one label a picture."""

    name: str
    root: Path
    question: str
    labels: tuple[str, ...]
    metric: str
    train: tuple[Example, ...]
    test: tuple[Example, ...]
    answer: AnswerKind = "label"
    form: AnswerSchema = PLAIN
    language: str = "en"
    model: ModelRef | None = None
    fingerprint: str = ""

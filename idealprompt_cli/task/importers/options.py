"""What the user states about the data that `init` reads, and what was found in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ...answers.labels import named
from ...core.answer_schema import PLAIN, AnswerKind, AnswerSchema
from ...core.task import Split

Form = Literal["class folders", "metadata table", "table", "file names"]
READY: tuple[Form, ...] = ("class folders", "metadata table")
"""Forms that a task folder may have as they are."""


@dataclass(frozen=True)
class Sampling:
    """How many examples to take of a large source; 0 for all. Labels with fewer examples than
    `min_per_label` are left out."""

    train: int = 0
    test: int = 0
    seed: int = 0
    min_per_label: int = 0


@dataclass(frozen=True)
class Hints:
    """What the user states about the source; "", () and None mean guess."""

    label_from: str = ""
    file_column: str = ""
    label_columns: tuple[str, ...] = ()
    only_labels: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    answer: AnswerKind | Literal[""] = ""
    question: str = ""
    image_template: str = ""
    skip_missing: bool = False
    encoding: str = ""
    header: bool | None = None
    sampling: Sampling = Sampling()


@dataclass(frozen=True)
class Labelled:
    """One example: its pictures, the answers that count as right, its split (None where none is
    named), its text fields and the place in the user's data that it comes from."""

    images: tuple[Path, ...]
    answers: tuple[str, ...]
    split: Split | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    source: str = ""

    @property
    def answer(self) -> str:
        return self.answers[0]


@dataclass(frozen=True)
class Found:
    """The examples at `source`; `root` is the folder that the pictures lie in. `how` says what was
    used as the label, `notes` what was left out, read in an unusual way or may be meant
    otherwise. `columns` are the columns that a JSON answer is spread over, `unused` those that the
    task does not take. `native`: a task can read the table as it is. `selected`: only some examples
    were taken. `seed` is that of the draws."""

    source: Path
    root: Path
    form: Form
    rows: tuple[Labelled, ...]
    how: str
    notes: tuple[str, ...] = ()
    kind: AnswerKind = "label"
    schema: AnswerSchema = PLAIN
    columns: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    native: bool = False
    selected: bool = False
    seed: int = 0

    def labels(self) -> tuple[str, ...]:
        """Every answer that counts as right somewhere, sorted."""
        return tuple(sorted({answer for row in self.rows for answer in row.answers}))

    def counts(self) -> dict[str, int]:
        """Examples of each label, in the order of the labels."""
        answers = [row.answer for row in self.rows]
        if self.kind == "labels":
            answers = [label for answer in answers for label in sorted(named(answer))]
        return dict(sorted(Counter(answers).items()))

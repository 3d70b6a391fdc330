"""What every format is asked to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ...artifact import Artifact
from ...core.requests import ModelInfo
from ...core.results import Comparison, Evaluation
from ...core.task import Split, Task
from ...synthesis.drift import DriftReport

Work = Mapping[str, float]


@dataclass(frozen=True)
class Screen:
    """Where the text will be read: columns, and whether colours are welcome."""

    width: int = 100
    colour: bool = False


@dataclass(frozen=True)
class ComparedPrompt:
    """Another prompt on the same pictures; `comparison` is the own prompt against this one."""

    name: str
    evaluation: Evaluation
    comparison: Comparison


@dataclass(frozen=True)
class EvalReport:
    """One prompt of an artifact on one split of a task. `recorded` is the artifact's value for
    the same prompt and split, where it was made on the same task and model; `worst` is how many
    wrong answers are listed; `drift` is what the prompt does to unrelated answers."""

    task: Task
    model: ModelInfo
    split: Split
    which: str
    evaluation: Evaluation
    recorded: float | None = None
    against: tuple[ComparedPrompt, ...] = ()
    worst: int = 0
    drift: DriftReport | None = None


class Format(Protocol):
    """`run` shows a search's artifact, the file it was written to ('' for none) and the engine's
    account of its work, if it gives one; `evaluation` shows what `eval` found. Both return text
    that ends without a newline."""

    name: str
    summary: str

    def run(
        self, artifact: Artifact, written: str, screen: Screen, work: Work | None = None
    ) -> str: ...

    def evaluation(self, report: EvalReport, screen: Screen) -> str: ...

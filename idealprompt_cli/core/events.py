"""What a run reports while it works: one frozen dataclass for each kind of event (layer 0).

An `Observer` gets them one by one. `spent` is what a run has spent, in words ("12/600
evaluations"); `fraction` is its share of the budget, in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .requests import ModelInfo
from .results import StopReason, Trial
from .task import Task

EditState = Literal["accepted", "passed", "rejected", "refused", "changed"]
"""`passed` edits held, but another one was better; a person `refused` or `changed` the others."""


@dataclass(frozen=True)
class Started:
    """A run starts; `plan` is a sentence on what the budget buys."""

    task: Task
    model: ModelInfo
    plan: str


@dataclass(frozen=True)
class Trying:
    """What is scored next, in words."""

    what: str


@dataclass(frozen=True)
class Progress:
    """Answers came in the middle of what is being tried."""

    spent: str
    fraction: float


@dataclass(frozen=True)
class TrialDone:
    """A trial was recorded; `best` is the best one so far."""

    trial: Trial
    best: Trial
    spent: str
    fraction: float


@dataclass(frozen=True)
class Announced:
    """A sentence for the user."""

    text: str


@dataclass(frozen=True)
class HeldOutStarted:
    """The held-out test starts; `answers` is how many are needed."""

    examples: int
    answers: int


@dataclass(frozen=True)
class HeldOutProgress:
    """So many more answers of the held-out test came."""

    answers: int


@dataclass(frozen=True)
class HeldOutFinished:
    """The held-out test ended."""


@dataclass(frozen=True)
class Finished:
    """A run ended; `summary` says why, and after how much."""

    summary: str


# --- reflection -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class FailureCase:
    """One example that is answered wrongly or unsurely; `consequence` is its weight in the ranking
    of cases."""

    example: str
    loss: float
    consequence: float
    reason: str


@dataclass(frozen=True)
class ConfusionChosen:
    """The confusion that reflection works on next; `weight` is its share of the loss."""

    confusion: str
    weight: float
    cases: tuple[FailureCase, ...]


@dataclass(frozen=True)
class EditsTested:
    """Edits that are about to be scored together (their kinds), and the level of the test."""

    confusion: str
    edits: tuple[str, ...]
    level: float
    spent: str
    fraction: float


@dataclass(frozen=True)
class EditJudged:
    """An edit after its test; `value` is None where it could not be scored. `fixed` and `broke`
    are example ids."""

    edit: str
    state: EditState
    why: str
    confusion: str
    inspired_by: tuple[str, ...]
    scored_on: int
    value: float | None
    gain: float
    p_value: float
    level: float
    fixed: tuple[str, ...]
    broke: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class IncumbentChanged:
    """An accepted edit made a new incumbent."""

    trial: int
    value: float
    strategy: str
    spent: str
    fraction: float


@dataclass(frozen=True)
class ReflectionStopped:
    """One reflection ended."""

    reason: StopReason
    why: str
    evaluations: int


ReflectionEvent = ConfusionChosen | EditsTested | EditJudged | IncumbentChanged | ReflectionStopped
HeldOutEvent = HeldOutStarted | HeldOutProgress | HeldOutFinished
Event = (
    Started | Trying | Progress | TrialDone | Announced | Finished | HeldOutEvent | ReflectionEvent
)


class SilentObserver:
    """An observer that ignores everything."""

    def notify(self, event: Event) -> None:
        """Do nothing."""

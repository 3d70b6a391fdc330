"""What the artifact holds, as frozen values, and how they are taken from a `RunResult`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from ..core.answer_schema import PLAIN, AnswerKind, AnswerSchema
from ..core.edits import EditReport
from ..core.prompt import Message, Prompt
from ..core.requests import ModelInfo
from ..core.results import Cost, Evaluation, RunResult, StopReason, Trial, TrialState
from ..prompts.prompts import render

SCHEMA = 1
Recommended = Literal["winner", "baseline"]
STOP_REASONS: tuple[StopReason, ...] = get_args(StopReason)
STOPPED: Mapping[StopReason, str] = {
    "evaluations": "the budget of evaluations was spent",
    "seconds": "the time was up",
    "tokens": "the budget of tokens was spent",
    "exhausted": "every strategy had been tried",
    "perfect": "nothing was left to gain on the training pictures",
    "interrupted": "it was interrupted",
    "settled": "no confusion was left open",
    "patience": "reflection found nothing better several times in a row",
}


@dataclass(frozen=True)
class TaskSummary:
    """The task as the artifact remembers it."""

    name: str
    question: str
    answer: AnswerKind
    metric: str
    language: str
    images: int
    fingerprint: str
    answer_schema: AnswerSchema = PLAIN


@dataclass(frozen=True)
class Score:
    """A metric's value on a split of `n` examples, with its 95 % interval."""

    metric: str
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Scores:
    """`test` is None where the held-out part was empty or not looked at."""

    selection: Score
    test: Score | None


@dataclass(frozen=True)
class Step:
    """One edit on the way to the winner, with the score on what it was tried on. `edit` is what
    reflection says of it: the parts changed, and the examples that it fixed and broke."""

    strategy: str
    note: str
    state: TrialState
    value: float | None
    n: int
    prompt_tokens: int
    edit: EditReport | None = None


@dataclass(frozen=True)
class Artifact:
    """All that the file holds. `recommended` says which of the two prompts the figures support."""

    task: TaskSummary
    model: ModelInfo
    prompt: Prompt
    baseline_prompt: Prompt
    messages: tuple[Message, ...]
    labels: tuple[str, ...]
    baseline: Scores
    winner: Scores
    verdict: str
    recommended: Recommended
    cost: Cost
    stop: StopReason
    seed: int
    trail: tuple[Step, ...]

    @property
    def stopped_because(self) -> str:
        """Why the run stopped, as the end of a sentence."""
        return STOPPED[self.stop]

    def rendered_now(self) -> tuple[Message, ...]:
        """What this version of the package makes of `prompt`; differs from `messages` where the
        file was edited by hand or written by another version."""
        return render(self.prompt, self.labels, self.task.images)


# --- from a run ----------------------------------------------------------------------------------


def from_run(result: RunResult) -> Artifact:
    """What is kept of a run."""
    task = result.task
    images = len(task.train[0].images)
    selection, test = result.selection, result.test
    return Artifact(
        task=TaskSummary(
            name=task.name,
            question=task.question,
            answer=task.answer,
            metric=task.metric,
            language=task.language,
            images=images,
            fingerprint=task.fingerprint,
            answer_schema=task.answer_schema,
        ),
        model=replace(result.model, details={}),
        prompt=result.winner,
        baseline_prompt=result.baseline,
        messages=render(result.winner, task.labels, images),
        labels=task.labels,
        baseline=Scores(_score(selection.baseline), _score(test.baseline) if test else None),
        winner=Scores(_score(selection.winner), _score(test.winner) if test else None),
        verdict=result.verdict,
        recommended=result.recommended,
        cost=Cost(result.cost.evaluations, result.cost.tokens, round(result.cost.seconds, 2)),
        stop=result.stop,
        seed=result.seed,
        trail=_trail(result),
    )


def _score(evaluation: Evaluation) -> Score:
    low, high = evaluation.interval.low, evaluation.interval.high
    value = round(evaluation.value, 6)
    return Score(evaluation.metric, value, round(low, 6), round(high, 6), evaluation.n)


def _trail(result: RunResult) -> tuple[Step, ...]:
    """From the root to the winner's trial; empty if no trial is the winner's."""
    by_id = {trial.id: trial for trial in result.trials}
    own = [trial for trial in result.trials if trial.prompt == result.winner]
    trial = max(own, key=lambda one: one.state == "complete", default=None)
    steps: list[Step] = []
    while trial is not None:
        steps.append(_step(trial))
        trial = by_id.get(trial.parent) if trial.parent is not None else None
    return tuple(reversed(steps))


def _step(trial: Trial) -> Step:
    evaluation = trial.evaluation
    return Step(
        strategy=trial.strategy,
        note=trial.note,
        state=trial.state,
        value=round(evaluation.value, 6) if evaluation else None,
        n=evaluation.n if evaluation else 0,
        prompt_tokens=trial.prompt_tokens,
        edit=trial.edit,
    )

"""One task's reflections: what they may use, where they start, and what they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import UsageError
from ..core.interfaces import Metric, Observer, Proposer
from ..core.prompt import Prompt
from ..core.results import RunResult, StopReason, Trial
from ..core.task import Task
from ..evaluation.budget import OutOfBudget
from ..evaluation.cross_fitting import Candidate, deal, shuffled
from ..evaluation.evaluator import Evaluator
from ..evaluation.metered_engine import MeteredEngine
from ..evaluation.racing import race
from ..evaluation.statistics import merit
from ..fitting.evidence import ModelEvidence
from ..priors import Beliefs
from ..prompts.rendering import render
from ..storage.journal import Journal
from .acceptance import ALPHA
from .diagnosis import Clinic
from .events import Review, Tell, noted, remembered
from .loop import PATIENCE, Rounds
from .record import Standing
from .selection import Offers, Past

# Other good prompts of a search that parts are taken from.
BEST_FEW = 3
STOP_TEXT: Mapping[StopReason, str] = {
    "evaluations": "the budget of evaluations is spent",
    "seconds": "the time is up",
    "tokens": "the budget of tokens is spent",
    "exhausted": "the evidence speaks for no further edit",
    "settled": "no confusion is left open",
    "patience": "no edit was accepted several times in a row",
}


@dataclass(frozen=True)
class Settings:
    """What reflection may use beside the model: probing questions, a picture without content, a
    proposer, a person's review; and when it gives up."""

    questions: Sequence[str] = ()
    blank: Path | None = None
    proposer: Proposer | None = None
    review: Review | None = None
    beliefs: Beliefs = field(default_factory=Beliefs)
    patience: int = PATIENCE
    alpha: float = ALPHA


@dataclass(frozen=True)
class Start:
    """Where reflection starts. `trials` are those of a search (none: the prompts are scored
    first); `prompt` is what it improves."""

    baseline: Prompt
    prompt: Prompt
    trials: tuple[Trial, ...] = ()


def from_search(result: RunResult) -> Start:
    """The best few of a search."""
    return Start(result.baseline, result.winner, result.trials)


def from_prompt(baseline: Prompt, prompt: Prompt) -> Start:
    """A prompt on its own, as from an artifact."""
    return Start(baseline, prompt)


@dataclass(frozen=True)
class Reflected:
    """What one reflection came to: all trials up to its end, the ids of those that it accepted,
    and the one that stands."""

    trials: tuple[Trial, ...]
    accepted: frozenset[int]
    standing: Standing
    stop: StopReason


class Reflection:
    """Reflects on one task with one ledger, as often as it is asked; what was rejected stays so.
    `evidence`: a search's on the same pictures and seed, whose answers are used again."""

    def __init__(
        self,
        task: Task,
        ledger: MeteredEngine,
        metric: Metric,
        observer: Observer,
        settings: Settings | None,
        journal: Journal | None,
        seed: int,
        tell: Tell | None,
        evidence: ModelEvidence | None = None,
    ) -> None:
        if not task.train:
            raise UsageError(f"task {task.name}: no training pictures to reflect on")
        self.settings = settings or Settings()
        self.observer, self.seed = observer, seed
        self.journal = journal or Journal.memory()
        self.tell = noted(tell or _silent, self.journal)
        review = self.settings.review
        self.review = remembered(review, self.journal) if review else None
        self.examples = shuffled(task.train, seed)
        self.evaluator = Evaluator(ledger, task, metric)
        self.clinic = Clinic(
            self.evaluator,
            evidence or ModelEvidence(ledger, task.labels, self.examples),
            self.examples,
            self.settings.questions,
            self.settings.blank,
            self.settings.proposer,
        )
        self.past = Past(known=len(self.journal.records("edit")))

    def on(self, start: Start) -> Reflected:
        """One reflection. OutOfBudget ends it; KeyboardInterrupt passes through."""
        rounds = self.rounds(start)
        stop = rounds.go()
        ledger = self.evaluator.ledger
        why = {"reason": stop, "why": STOP_TEXT[stop], "evaluations": ledger.spent.evaluations}
        self.tell("stop", why)
        return Reflected(tuple(rounds.trials), frozenset(rounds.accepted), rounds.incumbent, stop)

    def rounds(self, start: Start) -> Rounds:
        """The rounds before the first one, with the prompts to start from scored."""
        trials = list(start.trials)
        if not trials:
            trials = _scored(self.evaluator, start, self.seed)
            for trial in trials:
                self.journal.append_trial(trial)
        standing, folds = _standings(trials, start.prompt), deal(self.examples)
        return Rounds(
            offers=Offers(
                self.clinic,
                standing[1 : BEST_FEW + 1],
                start.baseline,
                folds,
                self.settings.beliefs,
                self.past,
            ),
            incumbent=standing[0],
            examples=self.examples,
            folds=folds,
            trials=trials,
            journal=self.journal,
            observer=self.observer,
            tell=self.tell,
            review=self.review,
            patience=self.settings.patience,
            alpha=self.settings.alpha,
        )


def _silent(kind: str, data: Mapping[str, Any]) -> None:
    del kind, data


def _scored(evaluator: Evaluator, start: Start, seed: int) -> list[Trial]:
    """The seed prompt and the given one as trials."""
    examples = shuffled(evaluator.task.train, seed)
    given = [("seed", "the seed prompt", start.baseline)]
    if start.prompt != start.baseline:
        given.append(("given", "the prompt to reflect on", start.prompt))
    try:
        finishes = race(
            evaluator,
            [Candidate(p) for _, _, p in given],
            None,
            examples,
            {example.id: 0 for example in examples},
        )
    except OutOfBudget as stop:
        raise UsageError(
            f"a budget of {evaluator.ledger.budget.describe()} does not cover the prompt to start "
            f"from on {len(examples)} training pictures; give more"
        ) from stop
    trials = []
    for place, ((name, note, prompt), finish) in enumerate(zip(given, finishes, strict=True)):
        if finish.state != "complete":
            raise UsageError(f"{note} cannot be scored: {finish.note}")
        tokens = evaluator.ledger.count_tokens(render(prompt, evaluator.task.labels))
        parent = place - 1 if place else None
        trials.append(
            Trial(place, parent, name, prompt, "complete", finish.evaluation, tokens, note)
        )
    return trials


def _standings(trials: Sequence[Trial], prompt: Prompt) -> list[Standing]:
    """Complete trials, that of `prompt` first, then by merit; one that the end of a budget cut
    short stands for no other part than its own."""
    scored = [t for t in trials if t.state == "complete" and t.evaluation is not None]
    full = max((t.evaluation.n for t in scored if t.evaluation), default=0)
    complete = [
        t for t in scored if t.prompt == prompt or (t.evaluation and t.evaluation.n == full)
    ]
    found = [Standing(trial, Candidate(trial.prompt, dict(trial.variants))) for trial in complete]

    def rank(standing: Standing) -> tuple[bool, float, int]:
        value = merit(standing.evaluation.value, standing.outcomes)
        return (standing.trial.prompt != prompt, -value, standing.trial.id)

    return sorted(found, key=rank)

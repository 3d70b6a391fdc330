"""One task's reflections: where they start, what they share, one run of them and its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..core.edits import Change
from ..core.errors import UsageError
from ..core.events import Announced, Finished, ReflectionStopped
from ..core.interfaces import Proposer
from ..core.prompt import Prompt
from ..core.results import BaselineName, RunResult, StopReason, Trial
from ..core.task import Example
from ..evaluation.budget import OutOfBudget
from ..evaluation.context import RunContext
from ..evaluation.cross_fitting import Candidate, deal, shuffled
from ..evaluation.racing import race
from ..evaluation.statistics import merit
from ..fitting.evidence import ModelEvidence
from ..priors import Beliefs
from ..prompts.serialisation import fingerprint
from ..search.trial_recorder import TrialRecorder
from ..storage.journal import Journal
from ..storage.records import EditRecord, ReviewRecord
from .acceptance import ALPHA
from .cases import Case, Confusion, confusions, ranked
from .diagnosis import Clinic
from .loop import PATIENCE, Review, Rounds
from .proposal import Proposal, Standing, differences
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
    """What reflection may use beside the model: probing questions (none: general
    ones), a picture without content, a proposer, a person's review; and when it gives up."""

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
    and the current one."""

    trials: tuple[Trial, ...]
    accepted: frozenset[int]
    standing: Standing
    stop: StopReason


class Reflection:
    """Reflects on one task, as often as it is asked; what was rejected stays so. `evidence`: a
    search's on the same pictures and seed, whose answers are used again."""

    def __init__(
        self,
        context: RunContext,
        settings: Settings | None = None,
        evidence: ModelEvidence | None = None,
    ) -> None:
        task = context.task
        if not task.train:
            raise UsageError(f"task {task.name}: no training examples to reflect on")
        self.context, self.settings = context, settings or Settings()
        review = self.settings.review
        self.review = remembered(review, context.journal) if review else None
        self.examples = shuffled(task.train, context.seed)
        self.clinic = Clinic(
            context.evaluator,
            evidence or ModelEvidence(context.engine, task.labels, self.examples),
            self.examples,
            self.settings.questions,
            self.settings.blank,
            self.settings.proposer,
        )
        self.past = Past(known=len(context.journal.records(EditRecord)))

    def on(self, start: Start) -> Reflected:
        """One reflection. OutOfBudget ends it; KeyboardInterrupt passes through."""
        rounds = self.rounds(start)
        stop = rounds.go()
        spent = self.context.account.spent.evaluations
        self.context.notify(ReflectionStopped(stop, STOP_TEXT[stop], spent))
        trials = tuple(rounds.recorder.trials)
        return Reflected(trials, frozenset(rounds.accepted), rounds.incumbent, stop)

    def rounds(self, start: Start) -> Rounds:
        """The rounds before the first one, with the prompts to start from scored."""
        recorder = TrialRecorder(self.context, list(start.trials))
        if not start.trials:
            _score_start(recorder, start, self.examples)
        standing, folds = (
            _standings(recorder.trials, start.prompt),
            deal(self.examples, self.context.task.labels),
        )
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
            recorder=recorder,
            review=self.review,
            patience=self.settings.patience,
            alpha=self.settings.alpha,
        )


def _score_start(recorder: TrialRecorder, start: Start, examples: Sequence[Example]) -> None:
    """Record the seed prompt and the given one as trials."""
    context = recorder.context
    given = [("seed", "the seed prompt", start.baseline)]
    if start.prompt != start.baseline:
        given.append(("given", "the prompt to reflect on", start.prompt))
    candidates = [Candidate(prompt) for _, _, prompt in given]
    fold_of = {example.id: 0 for example in examples}
    try:
        finishes = race(context.evaluator, candidates, None, examples, fold_of)
    except OutOfBudget as stop:
        raise UsageError(
            f"a budget of {context.account.budget.describe()} does not cover the prompt to start "
            f"from on {len(examples)} training examples; give more"
        ) from stop
    for (name, note, _), finish in zip(given, finishes, strict=True):
        if finish.state != "complete":
            raise UsageError(f"{note} cannot be scored: {finish.note}")
        parent = recorder.trials[-1] if recorder.trials else None
        recorder.record(recorder.trial(finish, name, parent, note))


def _standings(trials: Sequence[Trial], prompt: Prompt) -> list[Standing]:
    """Complete trials, that of `prompt` first, then by merit."""
    complete = [t for t in trials if t.state == "complete" and t.evaluation is not None]
    found = [Standing(trial, Candidate(trial.prompt, dict(trial.variants))) for trial in complete]

    def rank(standing: Standing) -> tuple[bool, float, int]:
        value = merit(standing.evaluation.value, standing.outcomes)
        return (standing.trial.prompt != prompt, -value, standing.trial.id)

    return sorted(found, key=rank)


# --- a run ----------------------------------------------------------------------------------------


FIRST = ("the prompt to start from",)
"""What reflection asks about every example before its first edit."""


@dataclass(frozen=True)
class Diagnosis:
    """The ranked cases, their confusions, and what would be tried for the heaviest of them."""

    prompt: Prompt
    value: float
    cases: tuple[Case, ...]
    confusions: tuple[Confusion, ...]
    said: Mapping[str, str]
    proposals: tuple[Proposal, ...]

    def changes(self, proposal: Proposal) -> tuple[Change, ...]:
        """The parts that a proposal would change."""
        return differences(self.prompt, proposal.draft.prompt)


def reflect(context: RunContext, start: Start, settings: Settings | None = None) -> RunResult:
    """Improve a prompt within the budget; the result's baseline is the prompt that came in, and its
    `test` is None.

    Same context, engine answers and journal give the same result, interrupted and resumed or not.
    Raises UsageError when the budget does not cover the prompts it starts from, and Interrupted on
    Ctrl-C, with all that was computed in the journal.
    """
    session = Reflection(context, settings)
    with context.running(FIRST):
        done = session.on(start)
    spent = context.account.describe()
    context.notify(Finished(f"Reflection stopped: {STOP_TEXT[done.stop]} ({spent})."))
    given = next(t for t in done.trials if t.prompt == start.prompt and t.evaluation)
    name: BaselineName = "seed prompt" if start.prompt == start.baseline else "given prompt"
    recorder = TrialRecorder(context, list(done.trials))
    return recorder.result(given, done.standing.trial, done.stop, baseline_name=name)


def diagnose(context: RunContext, start: Start, settings: Settings | None = None) -> Diagnosis:
    """What goes wrong with the prompt and which edits would be tried first. Nothing is edited."""
    session = Reflection(context, settings)
    with context.running(FIRST):
        rounds = session.rounds(start)
        standing = rounds.incumbent
        found = confusions(standing.outcomes)
        cases = ranked(found)
        try:
            offered = _offered(rounds, found)
            said = session.clinic.said_of([case.example_id for case in cases]) if found else {}
        except OutOfBudget:
            offered, said = [], {}
            context.notify(
                Announced("The budget does not cover the evidence: no edit can be proposed.")
            )
    value, prompt = standing.evaluation.value, standing.trial.prompt
    return Diagnosis(prompt, value, cases, found, said, tuple(offered))


# --- inside ---------------------------------------------------------------------------------------


def _offered(rounds: Rounds, found: Sequence[Confusion]) -> list[Proposal]:
    """What would be tried first for the heaviest confusion."""
    if not found:
        return []
    offers = rounds.offers.free(rounds.incumbent)
    offers += rounds.offers.priced(rounds.incumbent, found[0], found)
    return [proposal for proposal, _ in offers]


def remembered(review: Review, journal: Journal) -> Review:
    """`review`, with its answers in the journal: those of an interrupted run still hold."""
    known = iter(journal.records(ReviewRecord))

    def reviewed(trial: Trial, before: Prompt) -> Prompt | None:
        of, record = fingerprint(trial.prompt), next(known, None)
        if record is not None and record.of == of:
            return record.answer
        answer = review(trial, before)
        journal.append([ReviewRecord(of, answer)])
        return answer

    return reviewed

"""Reflection from outside: where it starts, one run of it, and its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..core.edits import Change
from ..core.errors import Interrupted
from ..core.interfaces import Metric, Observer
from ..core.prompt import Prompt
from ..core.results import RunResult, SplitScores
from ..core.task import Task
from ..evaluation.budget import OutOfBudget
from ..evaluation.metered_engine import MeteredEngine
from ..evaluation.racing import FIRST_BLOCK
from ..evaluation.statistics import compare, recommended, verdict
from ..storage.journal import Journal
from .cases import Case, Confusion, confusions, ranked
from .events import Tell
from .loop import Rounds
from .proposal import Proposal, differences
from .session import STOP_TEXT, Reflected, Reflection, Settings, Start


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


def reflect(
    task: Task,
    ledger: MeteredEngine,
    metric: Metric,
    start: Start,
    *,
    observer: Observer,
    settings: Settings | None = None,
    journal: Journal | None = None,
    seed: int = 0,
    tell: Tell | None = None,
) -> RunResult:
    """Improve a prompt within the ledger's budget; the result's `test` is None.

    Same arguments, engine answers and journal give the same result, broken and resumed or not.
    Raises UsageError when the budget does not cover the prompts it starts from, and Interrupted on
    Ctrl-C, with all that was computed in the journal.
    """
    session = Reflection(task, ledger, metric, observer, settings, journal, seed, tell)
    observer.started(task, ledger.info(), plan(task, ledger))
    try:
        done = session.on(start)
    except KeyboardInterrupt as error:
        spent = ledger.budget.spent(ledger.spent)
        observer.finished(f"Interrupted after {spent}.")
        raise Interrupted(f"interrupted after {spent}; what was computed is kept") from error
    spent = ledger.budget.spent(ledger.spent)
    observer.finished(f"Reflection stopped: {STOP_TEXT[done.stop]} ({spent}).")
    return _result(done, start, task, ledger, seed)


def diagnose(
    task: Task,
    ledger: MeteredEngine,
    metric: Metric,
    start: Start,
    *,
    observer: Observer,
    settings: Settings | None = None,
    seed: int = 0,
) -> Diagnosis:
    """What goes wrong with the prompt and which edits would be tried first. Nothing is edited."""
    session = Reflection(task, ledger, metric, observer, settings, None, seed, None)
    observer.started(task, ledger.info(), plan(task, ledger))
    rounds = session.rounds(start)
    standing = rounds.incumbent
    found = confusions(standing.outcomes)
    cases = ranked(found)
    try:
        offered = _offered(rounds, found)
        said = session.clinic.said_of([case.example_id for case in cases]) if found else {}
    except OutOfBudget:
        offered, said = [], {}
        observer.message("The budget does not cover the evidence: no edit can be proposed.")
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


def plan(task: Task, ledger: MeteredEngine) -> str:
    """What the budget buys, in a sentence."""
    n = len(task.train)
    text = f"{n} training pictures; budget: {ledger.budget.describe()}"
    text += f"; scoring a prompt takes {n} evaluations, a weak edit is dropped after {FIRST_BLOCK}."
    if ledger.budget.evaluations is None:
        return text
    few, many = (ledger.budget.evaluations // size for size in (n, min(n, FIRST_BLOCK)))
    return f"{text} This buys {few} edits in full, or up to {many} weak ones, less the evidence."


def _result(
    done: Reflected, start: Start, task: Task, ledger: MeteredEngine, seed: int
) -> RunResult:
    seeded = next(t for t in done.trials if t.prompt == start.baseline and t.evaluation)
    assert seeded.evaluation is not None, "the filter holds"
    before, after = seeded.evaluation, done.standing.evaluation
    tried = max(1, sum(trial.evaluation is not None for trial in done.trials) - 1)
    split = SplitScores(before, after, compare(before.outcomes, after.outcomes, tried))
    return RunResult(
        task=task,
        model=ledger.info(),
        baseline=start.baseline,
        winner=done.standing.trial.prompt,
        selection=split,
        test=None,
        trials=done.trials,
        cost=ledger.spent,
        stop=done.stop,
        seed=seed,
        verdict=verdict(split, "training"),
        recommended=recommended(split),
    )

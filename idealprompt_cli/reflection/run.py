"""Reflection from outside: where it starts, one run of it, and its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..core.edits import Change
from ..core.events import Announced, Finished
from ..core.prompt import Prompt
from ..core.results import BaselineName, RunResult
from ..evaluation.budget import OutOfBudget
from ..evaluation.context import RunContext
from ..search.trial_recorder import TrialRecorder
from .cases import Case, Confusion, confusions, ranked
from .loop import Rounds
from .proposal import Proposal, differences
from .session import STOP_TEXT, Reflection, Settings, Start

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

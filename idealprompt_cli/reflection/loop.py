"""Rounds of reflection: diagnose, propose, score together, accept or reject, until a reason to
stop. Knows no concrete engine or metric, and never sees the test split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from ..core.events import Announced, ConfusionChosen, EditState, EditsTested, IncumbentChanged
from ..core.interfaces import Draft
from ..core.prompt import Prompt
from ..core.results import StopReason, Trial
from ..core.task import Example
from ..evaluation.budget import OutOfBudget
from ..evaluation.cross_fitting import Candidate, Fold, derive, fold_places
from ..evaluation.racing import Finish, Race, Rules, race
from ..evaluation.statistics import merit, within_one_error
from ..prompts.readability import readability
from ..prompts.rendering import length
from ..search.trial_recorder import TrialRecorder
from ..storage.records import EditRecord
from .acceptance import ALPHA, FREE_ALPHA, Challenge, hopeless, judge, judge_all, level, worst_first
from .cases import Confusion, confusions
from .proposal import Proposal, Standing, Tried, confusion_event, edit_event
from .selection import Answered, Offer, Offers, name_of, strategy_of

# What a person makes of an accepted edit: the prompt to continue with, or None to reject it.
Review = Callable[[Trial, Prompt], Prompt | None]

PATIENCE = 3
# Edits of a round that are judged without their lean too.
CALIBRATED_PROMPTS = 3
# How sure one must be that an edit stays behind the one in front: there are many of them.
LEADER_LEVEL = 0.98


@dataclass
class Rounds:
    """The state of one reflection; `go` runs it and returns why it stopped."""

    offers: Offers
    incumbent: Standing
    examples: Sequence[Example]
    folds: Sequence[Fold]
    recorder: TrialRecorder
    review: Review | None = None
    patience: int = PATIENCE
    alpha: float = ALPHA
    closed: set[str] = field(default_factory=set)
    carried: list[Draft] = field(default_factory=list)
    accepted: set[int] = field(default_factory=set)
    round: int = 1

    def __post_init__(self) -> None:
        self.clinic, self.past = self.offers.clinic, self.offers.past
        self.evaluator = self.clinic.evaluator
        self.fold_of = fold_places(self.folds, self.examples)
        self.context = self.recorder.context
        trials = self.recorder.trials
        known = [Candidate(trial.prompt, dict(trial.variants)) for trial in trials]
        self.past.tried |= {candidate.key() for candidate in known}

    # --- the loop ---------------------------------------------------------------------------------

    def go(self) -> StopReason:
        """Reflect until nothing is open, patience or the budget ends."""
        while True:
            found = confusions(self.incumbent.outcomes)
            if not found:
                return "settled"
            if self.round > self.patience:
                return "patience"
            confusion = next((c for c in found if c.name not in self.closed), None)
            if confusion is None:
                return "exhausted"
            self._announce(confusion)
            try:
                if self._tried_together(self.offers.free(self.incumbent), confusion, FREE_ALPHA):
                    continue
                accepted = self._round(confusion, found)
            except OutOfBudget as stop:
                return stop.reason
            if not accepted:
                self.closed.add(confusion.name)

    def _round(self, confusion: Confusion, found: Sequence[Confusion]) -> bool:
        """Score the edits for a confusion together; whether one was accepted."""
        for note in self.clinic.notes:
            self.context.notify(Announced(note))
        self.clinic.notes.clear()
        offered = self.offers.priced(self.incumbent, confusion, found, self.carried)
        if not offered:
            return False
        accepted = self._tried_together(offered, confusion, level(self.round, self.alpha))
        self.round = 1 if accepted else self.round + 1
        return accepted

    def _tried_together(self, offered: Sequence[Offer], confusion: Confusion, bar: float) -> bool:
        """Score edits, and what they are without their lean, and judge all of them together."""
        if not offered:
            return False
        kinds, account = tuple(proposal.kind for proposal, _ in offered), self.context.account
        self.context.notify(
            EditsTested(confusion.name, kinds, round(bar, 6), account.describe(), self._fraction())
        )
        scored = self._scored(offered, bar)
        if not scored:
            raise OutOfBudget(self.context.account.tightest())
        self.past.tried |= {finish.candidate.key() for _, finish in scored}
        scored += self._scored(self.offers.calibrated(self.incumbent, _leading(scored)), bar)
        return self._decide(self._judged(scored, bar))

    def _scored(self, offered: Sequence[Offer], bar: float) -> list[tuple[Proposal, Finish]]:
        """All in one race; if the budget does not allow that, one after another."""
        if not offered:
            return []
        try:
            finishes = self._race([candidate for _, candidate in offered], bar)
            return list(zip([p for p, _ in offered], finishes, strict=True))
        except OutOfBudget:
            pass
        done = []
        for proposal, candidate in offered:
            try:
                done.append((proposal, self._race([candidate], bar)[0]))
            except OutOfBudget:
                continue
        return done

    def _race(self, candidates: Sequence[Candidate], bar: float) -> list[Finish]:
        """The badly answered examples come first: an edit that fixes none of them is dropped."""
        outcomes = self.incumbent.outcomes
        by_id = {example.id: example for example in self.examples}
        order = [by_id.pop(i) for i in worst_first(outcomes)] + list(by_id.values())
        lost = partial(hopeless, outcomes, level=bar)
        rules = Rules(leader_level=LEADER_LEVEL, hopeless=lost, calibrate=True)
        run = Race(self.evaluator, candidates, outcomes, order, self.fold_of, rules)
        finishes = run.run()
        if run.spent is not None:
            raise run.spent
        return finishes

    def _judged(self, scored: Sequence[tuple[Proposal, Finish]], bar: float) -> list[Tried]:
        challenges = [
            Challenge(
                f.evaluation.outcomes if f.evaluation else (),
                p.untested(),
                self.offers.expected_value(self.incumbent, p),
            )
            for p, f in scored
        ]
        judgements = judge_all(self.incumbent.outcomes, challenges)
        return [
            Tried(self._key(p), p, f, judgement, bar)
            for (p, f), judgement in zip(scored, judgements, strict=True)
        ]

    # --- deciding ---------------------------------------------------------------------------------

    def _decide(self, tried: Sequence[Tried]) -> bool:
        """Keep the best edit that passed and that nobody refuses; remember the others."""
        passed = self._simplest_first(sorted((t for t in tried if t.passed), key=self._rank))
        states: dict[str, EditState] = {
            one.name: "passed" if one.passed else "rejected" for one in tried
        }
        before = self.incumbent
        for one in passed:
            states[one.name] = self._offer(one)
            if self.incumbent is not before:
                self.clinic.credit(one.proposal.kind)
                break
        self.carried = [p.proposal.draft for p in passed if states[p.name] == "passed"]
        for one in tried:
            self._remember(one, states[one.name])
            if states[one.name] != "accepted":
                self._publish(self._trial(one, before))
        if self.incumbent is not before:
            self.closed.clear()
        return self.incumbent is not before

    def _offer(self, one: Tried) -> EditState:
        """Make it the incumbent, asking the person first if there is one; what became of it."""
        trial = self._trial(one, self.incumbent)
        candidate = one.finish.candidate
        if self.review is not None:
            wanted = self.review(trial, self.incumbent.trial.prompt)
            if wanted is None or wanted == self.incumbent.trial.prompt:
                return "refused"
            if wanted != trial.prompt:
                return "changed" if self._by_hand(one, wanted) else "refused"
        self._stand(Standing(trial, candidate))
        return "accepted"

    def _by_hand(self, one: Tried, wanted: Prompt) -> bool:
        """A person's own version: scored, and taken without a test."""
        draft = Draft(wanted, "changed by hand")
        candidate = derive(one.finish.candidate, draft, self.clinic.evidence, self.folds)
        finish = race(self.evaluator, [candidate], None, self.examples, self.fold_of)[0]
        if finish.state != "complete" or finish.evaluation is None:
            self.context.notify(Announced(f"your version cannot be scored: {finish.note}"))
            return False
        judgement = judge(self.incumbent.outcomes, finish.evaluation.outcomes)
        proposal = Proposal("by_hand", draft, draft.note, one.proposal.confusion)
        trial = self._trial(Tried("", proposal, finish, judgement, 1.0), self.incumbent)
        self._stand(Standing(trial, candidate))
        return True

    def _stand(self, standing: Standing) -> None:
        self.incumbent = standing
        self.accepted.add(standing.trial.id)
        self._publish(standing.trial)
        trial, account = standing.trial, self.context.account
        self.context.notify(
            IncumbentChanged(
                trial.id,
                standing.evaluation.value,
                trial.strategy,
                account.describe(),
                self._fraction(),
            )
        )

    def _fraction(self) -> float:
        """The share of the budget that is spent."""
        return round(self.context.account.fraction(), 4)

    def _simplest_first(self, passed: Sequence[Tried]) -> list[Tried]:
        """Best first, but one without offsets before one with them that is hardly better (the
        one-standard-error rule): offsets that were picked after the fact fit what was picked."""
        best = passed[0].finish.evaluation if passed else None
        if best is None:
            return []

        def plain(one: Tried) -> bool:
            seen = one.finish.evaluation
            same = seen is not None and within_one_error(best.outcomes, seen.outcomes)
            return same and not one.finish.candidate.prompt.calibration

        return sorted(passed, key=lambda one: not plain(one))

    def _rank(self, one: Tried) -> tuple[float, float, int]:
        """Better first: merit in steps of 0.01, then the more readable, then the shorter prompt."""
        evaluation = one.finish.evaluation
        value = merit(evaluation.value, evaluation.outcomes) if evaluation else 0.0
        prompt, labels = one.finish.candidate.prompt, self.evaluator.task.labels
        readable = round(readability(prompt, labels).score, 1)
        return (-round(value, 2), -readable, length(prompt, labels))

    # --- records ----------------------------------------------------------------------------------

    def _announce(self, confusion: Confusion) -> None:
        """Report the confusion that is worked on next, and journal it once."""
        event = confusion_event(confusion)
        if event not in self.context.journal.records(ConfusionChosen):
            self.context.journal.append([event])
        self.context.notify(event)

    def _trial(self, one: Tried, parent: Standing) -> Trial:
        edit, strategy = one.report(parent.trial.prompt), strategy_of(one.proposal.kind)
        return self.recorder.trial(one.finish, strategy, parent.trial, one.proposal.why, edit)

    def _publish(self, trial: Trial) -> None:
        self.recorder.record(trial)
        self.recorder.report(trial, self.incumbent.trial)

    def _remember(self, one: Tried, state: EditState) -> None:
        """Into the journal and the event stream; what did not pass is not tried again. A resumed
        run has the first records already."""
        if state in ("rejected", "refused", "changed"):
            self.past.rejected.add(one.name)
        event = edit_event(one, state)
        self.context.notify(event)
        self.past.records += 1
        if self.past.records > self.past.known:
            self.context.journal.append([EditRecord(one.name, event)])

    def _key(self, proposal: Proposal) -> str:
        return name_of(self.incumbent, proposal)


def _leading(scored: Sequence[tuple[Proposal, Finish]]) -> list[Answered]:
    """The best few that were scored in full and have no offsets."""
    plain = [
        (p.why, f.candidate, f.evaluation)
        for p, f in scored
        if f.state == "complete" and f.evaluation and not f.candidate.prompt.calibration
    ]
    plain.sort(key=lambda one: -merit(one[2].value, one[2].outcomes))
    return [(why, candidate, seen.outcomes) for why, candidate, seen in plain[:CALIBRATED_PROMPTS]]

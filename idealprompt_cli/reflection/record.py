"""What reflection keeps of its steps: scored candidates, judged edits, and their events."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.edits import EditReport
from ..core.events import ConfusionChosen, EditJudged, EditState, FailureCase
from ..core.prompt import Prompt
from ..core.results import Evaluation, Outcome, Trial
from ..evaluation.cross_fitting import Candidate
from ..evaluation.racing import Finish
from .acceptance import Judgement, least_gain
from .cases import Confusion, ranked
from .proposal import Proposal, differences


@dataclass(frozen=True)
class Standing:
    """A candidate that was scored on every example, with its trial."""

    trial: Trial
    candidate: Candidate

    @property
    def evaluation(self) -> Evaluation:
        assert self.trial.evaluation is not None, "only complete trials count"
        return self.trial.evaluation

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        return self.evaluation.outcomes


@dataclass(frozen=True)
class Tried:
    """A proposal with its score and the judgement on it; `name` is the edit's key."""

    name: str
    proposal: Proposal
    finish: Finish
    judgement: Judgement
    level: float

    @property
    def passed(self) -> bool:
        least = least_gain(self.judgement.n, self.proposal.kind.startswith("calibration"))
        return self.finish.state == "complete" and self.judgement.better(self.level, least)

    def report(self, parent: Prompt) -> EditReport:
        """Its entry in the artifact's trail."""
        return EditReport(
            changes=differences(parent, self.finish.candidate.prompt),
            why=self.proposal.why,
            confusion=self.proposal.confusion,
            inspired_by=self.proposal.inspired_by,
            fixed=self.judgement.fixed,
            broke=self.judgement.broke,
            p_value=self.judgement.p_value,
            level=self.level,
        )


def confusion_event(confusion: Confusion) -> ConfusionChosen:
    """The confusion that is worked on next, with its cases."""
    cases = tuple(
        FailureCase(case.example_id, round(case.loss, 4), round(case.consequence, 4), case.reason)
        for case in ranked([confusion])
    )
    return ConfusionChosen(confusion.name, round(confusion.weight, 4), cases)


def edit_event(one: Tried, state: EditState) -> EditJudged:
    """A tried edit with what became of it."""
    evaluation, judgement = one.finish.evaluation, one.judgement
    return EditJudged(
        edit=one.proposal.kind,
        state=state,
        why=one.proposal.why,
        confusion=one.proposal.confusion,
        inspired_by=tuple(one.proposal.inspired_by),
        scored_on=judgement.n,
        value=round(evaluation.value, 6) if evaluation else None,
        gain=round(judgement.gain, 6),
        p_value=round(judgement.p_value, 6),
        level=round(one.level, 6),
        fixed=tuple(judgement.fixed),
        broke=tuple(judgement.broke),
        note=one.finish.note,
    )

"""What reflection keeps of its steps: scored candidates, judged edits, and both as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..core.edits import EditReport
from ..core.prompt import Prompt
from ..core.results import Evaluation, Outcome, Trial
from ..evaluation.cross_fitting import Candidate
from ..evaluation.racing import Finish
from .acceptance import Judgement, least_gain
from .cases import Case, Confusion, ranked
from .proposal import Proposal, differences


@dataclass(frozen=True)
class Standing:
    """A candidate that was scored on every example, with its trial."""

    trial: Trial
    candidate: Candidate

    @property
    def evaluation(self) -> Evaluation:
        assert self.trial.evaluation is not None, "only complete trials stand"
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
        """What the artifact's trail says of it."""
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


def testing_data(
    proposals: Sequence[Proposal], confusion: Confusion, level: float
) -> dict[str, Any]:
    """What is about to be scored together."""
    kinds = [proposal.kind for proposal in proposals]
    return {"confusion": confusion.name, "edits": kinds, "level": round(level, 6)}


def confusion_data(confusion: Confusion) -> dict[str, Any]:
    cases: Sequence[Case] = ranked([confusion])
    return {
        "confusion": confusion.name,
        "weight": round(confusion.weight, 4),
        "cases": [case_data(case) for case in cases],
    }


def case_data(case: Case) -> dict[str, Any]:
    return {
        "example": case.example_id,
        "loss": round(case.loss, 4),
        "consequence": round(case.consequence, 4),
        "reason": case.reason,
    }


def edit_data(one: Tried, state: str) -> dict[str, Any]:
    evaluation = one.finish.evaluation
    return {
        "edit": one.proposal.kind,
        "state": state,
        "why": one.proposal.why,
        "confusion": one.proposal.confusion,
        "inspired_by": list(one.proposal.inspired_by),
        "scored_on": one.judgement.n,
        "value": round(evaluation.value, 6) if evaluation else None,
        "gain": round(one.judgement.gain, 6),
        "p_value": round(one.judgement.p_value, 6),
        "level": round(one.level, 6),
        "fixed": list(one.judgement.fixed),
        "broke": list(one.judgement.broke),
        "note": one.finish.note,
    }

"""An edit from proposal to judgement, and the scored prompts that it starts from and leads to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..core.edits import Change, EditReport
from ..core.events import ConfusionChosen, EditJudged, EditState, FailureCase
from ..core.interfaces import Draft, Evidence
from ..core.prompt import Prompt
from ..core.results import Evaluation, Outcome, Trial
from ..evaluation.cross_fitting import Candidate, Fold, derive
from ..evaluation.racing import Finish
from ..prompts.serialisation import to_dict
from .acceptance import Judgement
from .cases import Confusion, ranked


@dataclass(frozen=True)
class Proposal:
    """`draft.refit` makes the edit again without a fold's examples; an edit without it is tested
    on the examples outside `inspired_by` only. `versions` are given where the edit brings its own
    version for each fold (parts of another cross-fitted candidate)."""

    kind: str
    draft: Draft
    why: str
    confusion: str = ""
    inspired_by: tuple[str, ...] = ()
    versions: Mapping[int, Prompt] = field(default_factory=dict)

    def candidate(
        self, incumbent: Candidate, evidence: Evidence, folds: Sequence[Fold]
    ) -> Candidate:
        """The child of the incumbent, with its versions for the folds."""
        if self.versions:
            return Candidate(self.draft.prompt, self.versions)
        return derive(incumbent, self.draft, evidence, folds)

    def untested(self) -> tuple[str, ...]:
        """Examples that must not score it."""
        fitted = self.draft.refit is not None or self.versions
        return () if fitted else self.inspired_by


def differences(before: Prompt, after: Prompt) -> tuple[Change, ...]:
    """The parts that differ, as text."""
    old, new = to_dict(before), to_dict(after)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return tuple(Change(name, _text(old.get(name)), _text(new.get(name))) for name in names)


def key(changes: Sequence[Change]) -> str:
    """Equal for edits that leave the same parts with the same content."""
    content = sorted((change.part, change.after) for change in changes)
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# --- after the test -------------------------------------------------------------------------------


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
        """Whether all examples were scored and the acceptance test is met."""
        free = self.proposal.kind.startswith("calibration")
        return self.finish.state == "complete" and self.judgement.accepted(self.level, free=free)

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

"""Which edits of an incumbent are put to the test next: new ones, the most promising first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from ..core.interfaces import Draft
from ..core.prompt import Prompt
from ..core.results import Outcome
from ..evaluation.budget import OutOfBudget
from ..evaluation.cross_fitting import Candidate, Fold
from ..priors import Belief, Beliefs
from .calibration import calibrated
from .cases import Confusion
from .diagnosis import Clinic
from .proposal import Proposal, Standing, differences, key

# The share of what is missing that an edit is believed to win, from runs on drawn tasks that
# measure nothing.
BASE: Mapping[str, float] = {
    "question": 0.25,
    "rule-question": 0.25,
    "contrast": 0.15,
    "rule": 0.12,
    "rule-first": 0.12,
    "answers": 0.1,
    "combined": 0.1,
    "merge": 0.08,
    "calibrated": 0.06,
    "words": 0.06,
    "rule-described": 0.06,
}
OTHER = 0.04
# No experience makes a kind worth less than this share of what was believed without any: on tasks
# that a search had solved already nothing can win.
FLOOR = 0.2
# A kind that was never among the promising ones is left out after so many uses that won nothing.
USES, NOTHING = 12, 0.005
MAX_EDITS = 16

Offer = tuple[Proposal, Candidate]
# What it is, the candidate, and what it answered.
Answered = tuple[str, Candidate, Sequence[Outcome]]


@dataclass
class Past:
    """What the reflections of one run share: edits that were rejected, candidates that were scored,
    and how many edits are in the journal (`known` were there before: a resumed run does not write
    them again)."""

    known: int = 0
    records: int = 0
    rejected: set[str] = field(default_factory=set)
    tried: set[str] = field(default_factory=set)


@dataclass
class Offers:
    """Gathers proposals. `others` are the best few prompts beside the incumbent, `seed` is the
    prompt that all of them come from."""

    clinic: Clinic
    others: Sequence[Standing]
    seed: Prompt
    folds: Sequence[Fold]
    beliefs: Beliefs
    past: Past

    def free(self, incumbent: Standing) -> list[Offer]:
        """Edits that cost nothing to score: offsets for it and for the other good prompts."""
        others = [("another good prompt", o.candidate, o.outcomes) for o in self.others]
        offered = self.clinic.free(incumbent.candidate, incumbent.outcomes)
        return self._fresh(incumbent, offered) + self.calibrated(incumbent, others)

    def priced(
        self,
        incumbent: Standing,
        confusion: Confusion,
        found: Sequence[Confusion],
        carried: Sequence[Draft] = (),
    ) -> list[Offer]:
        """Edits that have to be scored, `carried` ones on top of the incumbent among them. Raises
        OutOfBudget if the budget allows no evidence and nothing else is left."""
        candidate, outcomes = incumbent.candidate, incumbent.outcomes
        others = [other.candidate for other in self.others]
        offered = self._combined(candidate, carried)
        offered += merges(candidate, others, self.seed, len(self.folds))
        try:
            offered += self.clinic.general(candidate, outcomes)
            offered += self.clinic.aimed(candidate, outcomes, confusion, found)
        except OutOfBudget:
            if not offered:
                raise
        return self._fresh(incumbent, offered)[:MAX_EDITS]

    def calibrated(self, incumbent: Standing, others: Sequence[Answered]) -> list[Offer]:
        """Other prompts without their label bias, as alternatives to the incumbent."""
        labels, evidence = self.clinic.evaluator.task.labels, self.clinic.evidence
        return self._fresh(incumbent, calibrated(others, evidence, labels, self.folds))

    def expected_value(self, incumbent: Standing, proposal: Proposal) -> float:
        """What is believed of the edit before it is tried."""
        return prior_value(self.beliefs, incumbent.trial.strategy, proposal.kind)

    def _combined(self, incumbent: Candidate, carried: Sequence[Draft]) -> list[Proposal]:
        """Edits that passed beside the one that became the incumbent: on top of it."""
        found = []
        for draft in carried:
            if draft.refit is not None:
                made = draft.refit(incumbent.prompt, self.clinic.evidence)
                if made is not None:
                    why = f"combined with the last edit: {draft.note}"
                    found.append(Proposal("combined", Draft(made, why, draft.refit), why))
        return found

    def _fresh(self, incumbent: Standing, offered: Sequence[Proposal]) -> list[Offer]:
        """Those that were not tried or rejected before, with their candidates."""
        parent = incumbent.trial.strategy
        left = [p for p in offered if not left_out(self.beliefs, parent, p.kind)]
        left.sort(key=lambda p: -self.expected_value(incumbent, p))
        fresh: dict[str, Offer] = {}
        for proposal in left:
            name = name_of(incumbent, proposal)
            if name in self.past.rejected or proposal.draft.prompt == incumbent.trial.prompt:
                continue
            candidate = proposal.candidate(incumbent.candidate, self.clinic.evidence, self.folds)
            if candidate.key() not in self.past.tried:
                fresh.setdefault(name, (proposal, candidate))
        return list(fresh.values())


def name_of(incumbent: Standing, proposal: Proposal) -> str:
    """The edit's key: the parts that it changes, with what it makes of them."""
    return key(differences(incumbent.trial.prompt, proposal.draft.prompt))


# --- merges -------------------------------------------------------------------------------------


_OWN = ("question", "verbalisers", "calibration")


def merges(
    incumbent: Candidate, others: Sequence[Candidate], seed: Prompt, folds: int
) -> list[Proposal]:
    """From each other candidate the parts that it changed and the incumbent left alone.

    The question with its words and offsets belongs together and stays the incumbent's.
    """
    found = []
    for other in others:
        names = [
            part.name
            for part in fields(Prompt)
            if part.name not in _OWN
            and getattr(other.prompt, part.name) != getattr(seed, part.name)
            and getattr(incumbent.prompt, part.name) == getattr(seed, part.name)
        ]
        if incumbent.prompt.verbalisers:
            names = [name for name in names if name != "label_descriptions"]
        if names:
            prompt = _graft(incumbent.prompt, other.prompt, names)
            versions = {
                fold: _graft(incumbent.version(fold), other.version(fold), names)
                for fold in range(folds)
            }
            why = f"takes {', '.join(names)} from another good prompt"
            found.append(Proposal("merge", Draft(prompt, why), why, versions=versions))
    return found


def _graft(onto: Prompt, source: Prompt, names: Sequence[str]) -> Prompt:
    return onto.with_(**{name: getattr(source, name) for name in names})


# --- what earlier runs learnt ---------------------------------------------------------------------


def strategy_of(kind: str) -> str:
    """The name by which the memory and the artifact's trail know a kind of edit."""
    return f"reflect {kind}"


def usual_value(name: str) -> float | None:
    """What is believed, without a memory, of an edit that the memory knows by this name; None for
    the name of anything else."""
    head, _, kind = name.partition("-")
    return BASE.get(kind, OTHER) if head == "reflect" else None


def prior_value(beliefs: Beliefs, parent: str, kind: str) -> float:
    """The believed share, after `parent` made the incumbent."""
    base = BASE.get(kind, OTHER)
    return max(FLOOR * base, _belief(beliefs, parent, kind).mean(base))


def left_out(beliefs: Beliefs, parent: str, kind: str) -> bool:
    """Whether the kind was rejected so often that it is not worth a try."""
    belief = _belief(beliefs, parent, kind)
    return kind not in BASE and belief.n >= USES and belief.mean(OTHER) < NOTHING


def _belief(beliefs: Beliefs, parent: str, kind: str) -> Belief:
    return beliefs.of(parent.replace(" ", "-"), strategy_of(kind).replace(" ", "-"))

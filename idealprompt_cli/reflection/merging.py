"""Combinations: parts of the search's other good prompts on the incumbent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from ..core.interfaces import Draft, Evidence
from ..core.prompt import Prompt
from ..core.results import Outcome
from ..evaluation.cross_fitting import Candidate, Fold, derive
from .calibration import calibrations
from .proposal import Proposal

# The kind of calibration that is applied to other prompts.
CALIBRATION_KIND = "calibration-labels"
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


def calibrated(
    others: Sequence[tuple[str, Candidate, Sequence[Outcome]]],
    evidence: Evidence,
    labels: Sequence[str],
    folds: Sequence[Fold],
) -> list[Proposal]:
    """(what it is, candidate, outcomes) of other prompts -> each with its lean taken off. Prompts
    are ranked with their lean on, so the best without it may rank lower. It costs nothing: all
    the answers are known."""
    found = []
    for name, candidate, outcomes in others:
        for proposal in calibrations(candidate.prompt, outcomes, evidence, labels, None):
            if proposal.kind == CALIBRATION_KIND:
                made = derive(candidate, proposal.draft, evidence, folds)
                versions = {fold: made.version(fold) for fold in range(len(folds))}
                why = f"{name}, calibrated: {proposal.why}"
                draft = Draft(made.prompt, why)
                found.append(Proposal("calibrated", draft, why, versions=versions))
    return found


def _graft(onto: Prompt, source: Prompt, names: Sequence[str]) -> Prompt:
    return onto.with_(**{name: getattr(source, name) for name in names})

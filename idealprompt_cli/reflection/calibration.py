"""Edits against label bias: calibration offsets and the order of the labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ..core.interfaces import Draft, Evidence
from ..core.prompt import Prompt
from ..core.results import Outcome
from ..evaluation.calibration import FEWEST, added, batch, contextual, fitted, label_bias
from ..evaluation.cross_fitting import Candidate, Fold, derive
from ..prompts.rendering import ordered_labels
from .proposal import Proposal

# The kind of calibration that is applied to other prompts.
CALIBRATION_KIND = "calibration-labels"
# Share of answers that change with the order of the labels before the order is worth an edit.
FLIPS = 0.1


@dataclass(frozen=True)
class OrderBias:
    """What turning the order of the labels round did on `n` examples: the share whose answer
    changed, and the share whose answer was the label shown first, both ways round."""

    n: int
    flipped: float
    first: float


def order_bias(
    forward: Sequence[Outcome], backward: Sequence[Outcome], order: Sequence[str]
) -> OrderBias:
    """From outcomes of the same examples with the labels shown in `order` and the other way."""
    after = {o.example_id: o.predicted for o in backward}
    pairs = [(o.predicted, after[o.example_id]) for o in forward if o.example_id in after]
    if not pairs:
        return OrderBias(0, 0.0, 0.0)
    flipped = sum(a != b for a, b in pairs)
    first = sum(a == order[0] and b == order[-1] for a, b in pairs)
    return OrderBias(len(pairs), flipped / len(pairs), first / len(pairs))


def calibrations(
    prompt: Prompt,
    outcomes: Sequence[Outcome],
    evidence: Evidence,
    labels: Sequence[str],
    blank: Outcome | None,
) -> list[Proposal]:
    """Up to three ways to offset the labels. All are free to score: the answers are known."""
    table = {outcome.example_id: outcome for outcome in outcomes}
    if len(labels) < 2 or any(not outcome.probabilities for outcome in outcomes):
        return []
    found = []
    for name, rule in (("mean", batch), ("labels", fitted)):
        refit = partial(_offset, rule=rule, table=table, labels=labels)
        edited = refit(prompt, evidence)
        found.append(Proposal(f"calibration-{name}", Draft(edited, _WHY[name], refit), _WHY[name]))
    if blank is not None and blank.probabilities:
        edited = prompt.with_(calibration=added(prompt.calibration, contextual(blank, labels)))
        found.append(Proposal("calibration-blank", Draft(edited, _WHY["blank"]), _WHY["blank"]))
    shares = {label: s for label, s in label_bias(outcomes, labels).items() if s > 0.02}
    favoured = ", ".join(f"{label} too often by {100 * s:.0f} %" for label, s in shares.items())
    why = f"; answered: {favoured}" if favoured else ""
    return [Proposal(p.kind, p.draft, p.why + why) for p in found if p.draft.prompt != prompt]


_WHY: Mapping[str, str] = {
    "mean": "brings the labels' mean probability to their share",
    "labels": "offsets that make the known labels likeliest",
    "blank": "corrects what the model answers for an image without content",
}


def _offset(
    prompt: Prompt,
    evidence: Evidence,
    *,
    rule: Callable[[Sequence[Outcome], Sequence[str]], tuple[tuple[str, float], ...]],
    table: Mapping[str, Outcome],
    labels: Sequence[str],
) -> Prompt:
    known = [table[example.id] for example in evidence.examples if example.id in table]
    if len(known) < FEWEST:
        return prompt  # the few examples that were seen may all be in the fold that is left out
    return prompt.with_(calibration=added(prompt.calibration, rule(known, labels)))


def orders(prompt: Prompt, labels: Sequence[str], bias: OrderBias | None) -> list[Proposal]:
    """Other orders, where the order was found to matter; a first list where there is none."""
    if len(labels) < 2:
        return []
    present = ordered_labels(prompt, labels)
    if bias is None:
        edited = prompt.with_(label_order=present)
        why = "names the possible answers"
        return [] if prompt.verbalisers else [Proposal("order", Draft(edited, why), why)]
    if bias.flipped < FLIPS:
        return []
    why = f"the order decides {100 * bias.flipped:.0f} % of the answers"
    turned = prompt.with_(label_order=present[::-1])
    return [Proposal("order", Draft(turned, why), why)]


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

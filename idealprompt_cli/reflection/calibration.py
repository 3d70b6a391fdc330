"""Edits against a lean of the model: calibration offsets and the order of the labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ..core.interfaces import Draft, Evidence
from ..core.prompt import Prompt
from ..core.results import Outcome
from ..prompts.rendering import ordered_labels
from .label_bias import OrderBias, added, batch, contextual, fitted, lean
from .proposal import Proposal

# Share of answers that change with the order of the labels before the order is worth an edit.
FLIPS = 0.1


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
    leaning = {label: share for label, share in lean(outcomes, labels).items() if share > 0.02}
    told = ", ".join(f"{x} too often by {100 * s:.0f} %" for x, s in leaning.items())
    why = f"; answered: {told}" if told else ""
    return [Proposal(p.kind, p.draft, p.why + why) for p in found if p.draft.prompt != prompt]


_WHY: Mapping[str, str] = {
    "mean": "brings the labels' mean probability to their share",
    "labels": "offsets that make the known labels likeliest",
    "blank": "evens out what the model says of a picture without content",
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

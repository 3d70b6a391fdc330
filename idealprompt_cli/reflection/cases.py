"""Which examples go wrong, and which of them matter most.

Works on outcomes alone: it knows no pictures, no prompts and no model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..core.results import Outcome

# A right answer whose label leads by less than this share of probability is a near miss. Where
# nothing is left at one share, the next is looked at.
NARROW = (0.2, 0.5, 0.8)
# The loss of a free-text answer that scores 0 (where there is no probability to take a log of).
_TEXT_LOSS = 3.0
_LEAST = 1e-9


@dataclass(frozen=True)
class Case:
    """A wrong or barely right example.

    `loss` is -log p(gold) in nats; `weight` the share of all cases' loss that its confusion
    holds; `consequence` is their product, which cases are ranked by.
    """

    example_id: str
    gold: str
    other: str
    wrong: bool
    loss: float
    weight: float
    reason: str

    @property
    def consequence(self) -> float:
        return self.loss * self.weight


@dataclass(frozen=True)
class Confusion:
    """Cases of one gold label that went (or nearly went) to one other label."""

    gold: str
    other: str
    cases: tuple[Case, ...]
    weight: float

    @property
    def name(self) -> str:
        return f"{self.gold} predicted as {self.other}"

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(case.example_id for case in self.cases)


def confusions(outcomes: Sequence[Outcome]) -> tuple[Confusion, ...]:
    """Open confusions, the heaviest first, each with its cases by consequence."""
    found = (_at(outcomes, narrow) for narrow in NARROW)
    return next((some for some in found if some), ())


def _at(outcomes: Sequence[Outcome], narrow: float) -> tuple[Confusion, ...]:
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        if _is_case(outcome, narrow):
            groups.setdefault((outcome.gold, _other_label(outcome)), []).append(outcome)
    total = sum(_loss(o) for group in groups.values() for o in group) or _LEAST
    found = [
        _confusion(gold, other, group, sum(map(_loss, group)) / total)
        for (gold, other), group in groups.items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.weight, one.gold, one.other)))


def ranked(found: Sequence[Confusion]) -> tuple[Case, ...]:
    """All cases, the most consequential first."""
    cases = [case for confusion in found for case in confusion.cases]
    return tuple(sorted(cases, key=lambda case: (-case.consequence, case.example_id)))


def _confusion(gold: str, other: str, group: Sequence[Outcome], weight: float) -> Confusion:
    cases = [
        Case(o.example_id, gold, other, _wrong(o), _loss(o), weight, _reason(o, other, weight))
        for o in group
    ]
    cases.sort(key=lambda case: (-case.loss, case.example_id))
    return Confusion(gold, other, tuple(cases), weight)


def _is_case(outcome: Outcome, narrow: float) -> bool:
    if _wrong(outcome) or not outcome.probabilities:
        return _wrong(outcome)
    return _lead(outcome) < narrow


def _wrong(outcome: Outcome) -> bool:
    return outcome.score < 1.0


def _lead(outcome: Outcome) -> float:
    """p(gold) less the best other label's."""
    others = [p for label, p in outcome.probabilities.items() if label != outcome.gold]
    return outcome.probabilities.get(outcome.gold, 0.0) - max(others, default=0.0)


def _other_label(outcome: Outcome) -> str:
    """The label that wins or nearly wins against gold; "" for free text."""
    others = {x: p for x, p in outcome.probabilities.items() if x != outcome.gold}
    return max(others, key=lambda label: others[label]) if others else ""


def _loss(outcome: Outcome) -> float:
    if not outcome.probabilities:
        return _TEXT_LOSS * (1.0 - outcome.score)
    return -math.log(max(_LEAST, outcome.probabilities.get(outcome.gold, 0.0)))


def _reason(outcome: Outcome, other: str, weight: float) -> str:
    if not outcome.probabilities:
        return f"answered {outcome.predicted!r} for {outcome.gold!r}"
    gold = outcome.probabilities.get(outcome.gold, 0.0)
    against = outcome.probabilities.get(other, 0.0)
    odds = f"{other} {against:.2f} against {outcome.gold} {gold:.2f}"
    share = f"a confusion with {100 * weight:.0f} % of the loss"
    return f"{'wrong' if _wrong(outcome) else 'barely right'}: {odds}; {share}"

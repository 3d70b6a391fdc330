"""Cross-fitting: no example is scored by an edit that it inspired.

The training examples are divided into stratified folds (one per example below 20). An edit that
learns from labelled examples is fitted once on all of them, which gives the prompt that is kept,
and once per fold on the others; example e is scored with the version fitted without e's fold. So
the selection score is an estimate for the *procedure* that made the prompt, with nothing leaked
(cross-fitting as in Chernozhukov et al. 2018), and it costs no more evaluations than plain scoring,
because each example is still scored once.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from ..core.interfaces import Draft, Evidence
from ..core.prompt import Prompt
from ..core.task import Example
from ..prompts.serialisation import fingerprint

LEAVE_ONE_OUT_BELOW = 20
FOLDS = 8

Fold = frozenset[str]


@dataclass(frozen=True)
class Candidate:
    """A prompt and, where it was fitted, its version for each fold (by the fold's index)."""

    prompt: Prompt
    variants: Mapping[int, Prompt] = field(default_factory=dict)

    def version(self, fold: int) -> Prompt:
        """The prompt that the examples of a fold are scored with."""
        return self.variants.get(fold, self.prompt)

    def uncalibrated(self) -> Candidate:
        """The same without offsets for the labels: what an edit starts from, since its child is
        calibrated by its own answers."""
        bare = self.prompt.with_(calibration=())
        variants = {fold: p.with_(calibration=()) for fold, p in self.variants.items()}
        different = {fold: p for fold, p in variants.items() if p != bare}
        return Candidate(bare, variants if different else {})

    def key(self) -> str:
        """Fingerprint of the prompt and all its versions."""
        parts = [fingerprint(self.prompt)]
        parts += [f"{fold}:{fingerprint(p)}" for fold, p in sorted(self.variants.items())]
        return " ".join(parts)


def shuffled(examples: Sequence[Example], seed: int) -> tuple[Example, ...]:
    """The examples in a fixed random order in which the labels take turns, so that every leading
    part is as stratified as it can be."""
    rng = random.Random(f"order {seed}")
    piles: dict[str, list[Example]] = {}
    for example in sorted(examples, key=lambda e: e.id):
        piles.setdefault(example.answer, []).append(example)
    ranked = []
    for pile in piles.values():
        rng.shuffle(pile)
        ranked += [((place + rng.random() * 0.5) / len(pile), e) for place, e in enumerate(pile)]
    return tuple(example for _, example in sorted(ranked, key=lambda pair: (pair[0], pair[1].id)))


def deal(examples: Sequence[Example], labels: Sequence[str] = ()) -> tuple[Fold, ...]:
    """Stratified folds of example ids: leave-one-out below 20 examples, else 8 folds.

    The only example of one of the `labels` is in no fold: nothing is known of its label without it,
    so it cannot be left out. Free-text tasks have a pile of one per answer; there the folds simply
    follow the order.
    """
    count = len(examples) if len(examples) < LEAVE_ONE_OUT_BELOW else FOLDS
    piles: dict[str, list[str]] = {}
    for example in examples:
        piles.setdefault(example.answer, []).append(example.id)
    several = (pile for x, pile in piles.items() if len(pile) > 1 or x not in labels)
    ordered = [example_id for pile in several for example_id in pile]
    return tuple(frozenset(ordered[at::count]) for at in range(min(count, len(ordered))))


def fold_places(folds: Sequence[Fold], examples: Sequence[Example]) -> dict[str, int]:
    """example id -> the index of its fold; 0, whose version has seen it, for examples in none."""
    found = {example.id: 0 for example in examples}
    return found | {i: place for place, fold in enumerate(folds) for i in fold}


def derive(parent: Candidate, draft: Draft, evidence: Evidence, folds: Sequence[Fold]) -> Candidate:
    """The child that a draft makes of a parent, with its versions.

    An edit with `refit` is made again for every fold without the fold's examples; where that
    evidence supports no edit the fold keeps the parent's version. Any other edit is transplanted:
    the parts that differ between the parent's prompt and the draft's.
    """
    if draft.refit is None and not parent.variants:
        return Candidate(draft.prompt)
    variants = {}
    for index, fold in enumerate(folds):
        before = parent.version(index)
        if draft.refit is not None:
            after = draft.refit(before, evidence.excluding(fold)) or before
        else:
            after = transplant(parent.prompt, draft.prompt, before)
        variants[index] = after
    if all(version == draft.prompt for version in variants.values()):
        return Candidate(draft.prompt)
    return Candidate(draft.prompt, variants)


def transplant(before: Prompt, after: Prompt, onto: Prompt) -> Prompt:
    """`onto` with every part that differs between `before` and `after` taken from `after`."""
    names = [part.name for part in fields(Prompt)]
    changed = {n: getattr(after, n) for n in names if getattr(after, n) != getattr(before, n)}
    return onto.with_(**changed)

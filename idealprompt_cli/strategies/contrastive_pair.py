"""Sharpen the definitions of the two labels that are confused most, against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

from ..core.interfaces import Draft, Evidence, Strategy, StrategyContext
from ..core.prompt import LabelText, Prompt
from ..core.results import Evaluation
from ..fitting.text_contrast import either
from ..fitting.word_sources import described_marks


class ContrastivePair(Strategy):
    """What sets a label apart from all others may not set it apart from its nearest neighbour."""

    name = "contrastive_pair"
    summary = "define the two most confused labels by what sets them apart from each other"
    source = "error-driven label descriptions (ESO), arXiv 2412.19684"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return bool(prompt.label_descriptions) and _worst(context.incumbent) is not None

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        pair = _worst(context.incumbent)
        if pair is None:
            return []
        drafts: dict[Prompt, Draft] = {}
        for limit in (1, 2):
            refit = partial(_refit, pair=pair, limit=limit)
            fitted = refit(prompt, context.evidence)
            if fitted is not None and fitted != prompt and fitted not in drafts:
                drafts[fitted] = Draft(fitted, f"distinguishes {pair[0]} from {pair[1]}", refit)
        return list(drafts.values())


def _refit(
    prompt: Prompt, evidence: Evidence, *, pair: tuple[str, str], limit: int
) -> Prompt | None:
    texts = {entry.label: entry.text for entry in prompt.label_descriptions}
    found = described_marks(evidence, pair, limit)
    for label in pair:
        if label not in found or label not in texts:
            return None
        texts[label] = either(sorted(found[label]))
    entries = tuple(LabelText(e.label, texts[e.label]) for e in prompt.label_descriptions)
    return prompt.with_(label_descriptions=entries)


def _worst(evaluation: Evaluation | None) -> tuple[str, str] | None:
    """The unordered pair of labels with the most confusions; None without any."""
    if evaluation is None:
        return None
    pairs = Counter(
        (min(o.gold, o.predicted), max(o.gold, o.predicted))
        for o in evaluation.outcomes
        if o.gold != o.predicted
    )
    return max(pairs, key=lambda pair: (pairs[pair], pair)) if pairs else None

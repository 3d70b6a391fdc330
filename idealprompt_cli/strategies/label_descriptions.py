"""Define each private label by the words that mark it in the model's own descriptions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..interfaces import Draft, Evidence, StrategyContext
from ..types import LabelText, Prompt
from .contrasts import either, marks

ASK = "Answer with the label."


class LabelDescriptions:
    """A small model cannot know what a private code means; a definition in words that it uses
    itself is the shortest way to tell it."""

    name = "label_descriptions"
    summary = "define each label by the words that mark it in the model's descriptions"
    source = "label descriptions as a target of optimisation, arXiv 2412.19684"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        plain = not prompt.verbalisers and not prompt.label_descriptions
        return len(context.task.labels) > 1 and plain

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        drafts: dict[Prompt, Draft] = {}
        for limit, ask in ((3, ASK), (1, ASK), (3, "")):
            refit = partial(_refit, labels=context.task.labels, limit=limit, ask=ask)
            fitted = refit(prompt, context.evidence)
            if fitted is not None and fitted not in drafts:
                said = "; ".join(f"{d.label}: {d.text}" for d in fitted.label_descriptions)
                drafts[fitted] = Draft(fitted, f"defines {said}", refit)
        return list(drafts.values())


def _refit(
    prompt: Prompt, evidence: Evidence, *, labels: Sequence[str], limit: int, ask: str
) -> Prompt | None:
    found = marks(evidence, labels, limit)
    if len(found) < len(labels):
        return None
    texts = tuple(LabelText(label, either(found[label])) for label in labels)
    return prompt.with_(label_descriptions=texts, output_format=ask or prompt.output_format)

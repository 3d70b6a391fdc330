"""Define each private label by the words that mark it in the model's own language."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..core.interfaces import Draft, Evidence, Strategy, StrategyContext
from ..core.prompt import LabelText, Prompt
from ..fitting.text_contrast import either
from ..fitting.word_sources import Source, outlook, sources

# Ordinary instruction English, fitted to no one model.
ASK = "Answer with the correct label."
LIMIT = 4


class LabelDescriptions(Strategy):
    """A small model cannot know what a private code means; a definition in words that it uses
    itself is the shortest explanation."""

    name = "label_descriptions"
    summary = "define each label by the words that mark it in the model's own language"
    source = "label descriptions as a target of optimisation, arXiv 2412.19684"
    reads_descriptions = True

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        plain = not prompt.verbalisers and not prompt.label_descriptions
        return len(context.task.labels) > 1 and plain

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        labels, drafts = context.task.labels, {}
        for source in sources(context.evidence, labels)[:2]:
            for limit in (LIMIT, 1):
                refit = partial(_refit, source=source, labels=labels, limit=limit)
                fitted = refit(prompt, context.evidence)
                if fitted is not None and fitted not in drafts:
                    said = "; ".join(f"{d.label}: {d.text}" for d in fitted.label_descriptions)
                    right = source.right(context.evidence, labels)
                    drafts[fitted] = Draft(fitted, f"defines {said}", refit, right)
        return list(drafts.values())

    def outlook(self, prompt: Prompt, context: StrategyContext) -> float | None:
        del prompt
        return outlook(context.evidence, context.task.labels)


def _refit(
    prompt: Prompt, evidence: Evidence, *, source: Source, labels: Sequence[str], limit: int
) -> Prompt | None:
    found = source.defining(evidence, labels, limit)
    if found is None:
        return None
    texts = tuple(LabelText(label, either(sorted(found[label]))) for label in labels)
    return prompt.with_(label_descriptions=texts, output_format=ASK)

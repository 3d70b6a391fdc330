"""Let the model answer with option letters instead of codes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..core.interfaces import Draft, Evidence, Strategy, StrategyContext
from ..core.prompt import LabelText, Prompt, Verbaliser
from ..fitting.text_contrast import either

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class OptionLetters(Strategy):
    """Multiple choice with letters is what instruction data are full of; a private code is not."""

    name = "option_letters"
    summary = "offer the labels as lettered options"
    source = "multiple-choice prompting, arXiv 2210.12353"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        labels = context.task.labels
        if not 1 < len(labels) <= len(LETTERS):
            return False
        lettered = any(v.words == (letter,) for v in prompt.verbalisers for letter in LETTERS)
        return not lettered and bool(prompt.label_descriptions or prompt.verbalisers)

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        labels = context.task.labels
        drafted = _lettered(prompt, labels)
        if drafted is None:
            return []
        return [Draft(drafted, "offers lettered options", partial(_refit, labels=labels))]


def _refit(prompt: Prompt, evidence: Evidence, *, labels: Sequence[str]) -> Prompt | None:
    """The options' texts are the parent's, which are fitted per fold already."""
    return _lettered(prompt, labels)


def _lettered(prompt: Prompt, labels: Sequence[str]) -> Prompt | None:
    texts = {v.label: either(v.words[:3]) for v in prompt.verbalisers}
    texts |= {entry.label: entry.text for entry in prompt.label_descriptions}
    if not all(label in texts for label in labels):
        return None
    return prompt.with_(
        label_descriptions=tuple(LabelText(label, texts[label]) for label in labels),
        verbalisers=tuple(Verbaliser(label, (LETTERS[i],)) for i, label in enumerate(labels)),
        output_format="Answer with the option's letter.",
    )

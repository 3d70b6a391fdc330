"""Say what kind of images these are."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.interfaces import Draft, Strategy, StrategyContext
from ..core.prompt import Prompt
from ..fitting.text_contrast import either

# Ordinary instruction English, fitted to no one model.
PLAIN = ("You are given an image to classify.", "The images show things such as {words}.")
TEXT = ("You are given a text to classify.", "The texts are about things such as {words}.")


class DomainContext(Strategy):
    """Names the domain, once in general and once by the words that most descriptions share."""

    name = "domain_context"
    summary = "say what kind of images these are"
    source = "data-set summaries in proposed instructions (MIPRO), arXiv 2406.11695"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return not prompt.context

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        plain, pattern = PLAIN if context.task.pictured else TEXT
        texts = [plain]
        words = [word for word in context.evidence.vocabulary(4) if " " not in word]
        if len(words) > 1:
            texts.append(pattern.format(words=either(words)))
        return [Draft(prompt.with_(context=text), f'adds "{text}"') for text in texts]

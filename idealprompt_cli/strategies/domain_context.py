"""Say what kind of pictures these are."""

from __future__ import annotations

from collections.abc import Sequence

from ..interfaces import Draft, StrategyContext
from ..types import Prompt
from .sources import either

PLAIN = "This is a product photo."


class DomainContext:
    """Names the domain, once in general and once by the words that most descriptions share."""

    name = "domain_context"
    summary = "say what kind of pictures these are"
    source = "data-set summaries in proposed instructions (MIPRO), arXiv 2406.11695"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return not prompt.context

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        texts = [PLAIN]
        words = [word for word in context.evidence.vocabulary(4) if " " not in word]
        if len(words) > 1:
            texts.append(f"The pictures show things that are {either(words)}.")
        return [Draft(prompt.with_(context=text), f'adds "{text}"') for text in texts]

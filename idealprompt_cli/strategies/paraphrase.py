"""Word the question differently, by rules."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..core.interfaces import Draft, Strategy, StrategyContext
from ..core.prompt import Prompt

# Ordinary instruction English, fitted to no one model.
NOUNS = ("object", "item", "product", "thing", "image", "picture", "photo")
_NOUN = re.compile(rf"\b({'|'.join(NOUNS)})\b", re.IGNORECASE)
_LEAD = "Look at the image and answer the question. "


class Paraphrase(Strategy):
    """Small models answer one wording and miss another: swaps the noun for a near synonym and adds
    or removes a lead."""

    name = "paraphrase"
    summary = "word the question differently"
    source = "prompt paraphrasing, arXiv 1911.12543"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return bool(prompt.question)

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        texts = []
        if match := _NOUN.search(prompt.question):
            others = [noun for noun in NOUNS if noun != match[1].lower()]
            context.rng.shuffle(others)
            texts += [_NOUN.sub(noun, prompt.question) for noun in others[:2]]
        led = prompt.question.startswith(_LEAD)
        texts.append(prompt.question.removeprefix(_LEAD) if led else _LEAD + prompt.question)
        return [Draft(prompt.with_(question=text), f'asks "{text}"') for text in texts]

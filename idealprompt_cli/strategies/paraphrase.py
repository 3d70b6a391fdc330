"""Word the question differently, by rules."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..core.interfaces import Draft, Strategy, StrategyContext
from ..core.prompt import Prompt
from ..prompts.questions import is_given

# Ordinary instruction English, fitted to no one model.
NOUNS = ("object", "item", "product", "thing", "image", "picture", "photo")
TEXT_NOUNS = ("text", "message", "sentence", "query")
LEAD, TEXT_LEAD = (
    f"{verb} and answer the question. " for verb in ("Look at the image", "Read the text")
)


class Paraphrase(Strategy):
    """Small models answer one wording and miss another: swaps the noun for a near synonym and adds
    or removes a lead."""

    name = "paraphrase"
    summary = "word the question differently"
    source = "prompt paraphrasing, arXiv 1911.12543"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return bool(prompt.question) and not is_given(prompt.question)

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        nouns, lead = (NOUNS, LEAD) if context.task.pictured else (TEXT_NOUNS, TEXT_LEAD)
        texts = []
        # Not in a placeholder: that is the name of a field.
        noun = re.compile(rf"(?<!{{)\b({'|'.join(nouns)})\b(?!}})", re.IGNORECASE)
        if match := noun.search(prompt.question):
            others = [other for other in nouns if other != match[1].lower()]
            context.rng.shuffle(others)
            texts += [noun.sub(other, prompt.question) for other in others[:2]]
        led = prompt.question.startswith(lead)
        texts.append(prompt.question.removeprefix(lead) if led else lead + prompt.question)
        return [Draft(prompt.with_(question=text), f'asks "{text}"') for text in texts]

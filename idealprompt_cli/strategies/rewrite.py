"""Let a model that can write word the question differently."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.interfaces import Draft, Strategy, StrategyContext
from ..core.prompt import Prompt
from ..prompts.questions import is_given
from ..prompts.validation import SENTENCE, clean, fit_rewrite

REQUESTS = (
    "Say this in other words, in one simple sentence: {question}",
    "Make this shorter, in one sentence: {question}",
    "Make this clearer for somebody who {looks}, in one sentence: {question}",
)
TOKENS = 48


class Rewrite(Strategy):
    """A model's own wording of a question lies nearer to what it was trained on. What it writes is
    held to one sentence by a grammar, keeps the labels, and quotes nothing of a training image.
    A question that differs between folds is left alone: its one rewording would carry what was
    learnt on some images over to the others."""

    name = "rewrite"
    summary = "let a model that can write word the question differently"
    source = "automatic prompt engineer (APE), arXiv 2211.01910"
    needs_proposer = True

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        room = context.evidence.affordable() > len(REQUESTS)
        own = context.versions == 1 and not is_given(prompt.question)
        return context.proposer is not None and own and room

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        if context.proposer is None:
            return []
        context.evidence.descriptions()
        said = context.evidence.example_texts()
        looks = "looks at a picture" if context.task.pictured else "reads a text"
        drafts: dict[str, Draft] = {}
        for request in REQUESTS:
            written = context.proposer.write(
                request.format(question=prompt.question, looks=looks), TOKENS, SENTENCE
            )
            text = clean(written)
            if fit_rewrite(text, prompt.question, context.task.labels, said):
                drafts[text] = Draft(prompt.with_(question=text), f'asks "{text}"')
        return list(drafts.values())

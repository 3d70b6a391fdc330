"""Keep the question, find the words by which the model answers it for each label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

from ..core.interfaces import Draft, Evidence, Strategy, StrategyContext
from ..core.prompt import Prompt
from ..fitting.answer_reading import reading, refit_words
from ..fitting.word_sources import short_forms
from .reask import spoken

MAX_WORDS = 48


class VerbaliserSearch(Strategy):
    """The words that a model prefers for an image may identify its label even if the question makes
    little sense to it: scores a word list on every image and fits which word means which label.
    """

    name = "verbaliser_search"
    summary = "fit which of the model's words stand for which label, with the question unchanged"
    source = "automatic verbaliser search (PETAL), arXiv 2010.13641"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        explained = prompt.label_descriptions or prompt.label_order or prompt.demonstrations
        plain = not explained and prompt.reasoning == "none" and context.versions == 1
        room = context.evidence.affordable() >= len(context.evidence.examples)
        return len(context.task.labels) > 1 and plain and room

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        evidence, labels = context.evidence, context.task.labels
        words = _words(prompt, context)
        refit = partial(_refit, words=words, labels=labels)
        fitted = refit(prompt, evidence)
        if fitted is None or fitted == prompt:
            return []
        said = short_forms(context.evidence.sample(3).ask([prompt.question])[0])
        return [Draft(fitted, f"reads {reading(fitted)}", refit, spoken(fitted, said))]


def _words(prompt: Prompt, context: StrategyContext) -> tuple[str, ...]:
    """The present words, the model's short answers to the question on a few images, words of
    its descriptions, and the labels themselves. Which label an image has is not looked at."""
    present = [word for v in prompt.verbalisers for word in v.words]
    asked = context.evidence.sample(3).ask([prompt.question])[0]
    answers = Counter(short_forms(asked).values())
    said = [word for word, _ in answers.most_common() if word]
    words = (*present, *said, *context.task.labels, *context.evidence.vocabulary(MAX_WORDS))
    return tuple(dict.fromkeys(words))[:MAX_WORDS]


def _refit(
    prompt: Prompt, evidence: Evidence, *, words: Sequence[str], labels: Sequence[str]
) -> Prompt | None:
    return refit_words(prompt.with_(verbalisers=()), words, labels, evidence)

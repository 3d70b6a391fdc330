"""Write the model's own words in place of the codes that the seed question names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from ..interfaces import Draft, Evidence, StrategyContext
from ..types import Prompt, Verbaliser
from .contrasts import either, marks


class LabelWords:
    """ "Which code is it, K7 or M2?" becomes a question that can be answered by looking."""

    name = "label_words"
    summary = "replace the codes in the question by the words that mark them"
    source = "meaningful label words, arXiv 2001.07676"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        labels = context.task.labels
        named = all(_code(label).search(prompt.question) for label in labels)
        return len(labels) > 1 and named and not prompt.verbalisers

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        refit = partial(_refit, labels=context.task.labels)
        fitted = refit(prompt, context.evidence)
        return [Draft(fitted, f'asks "{fitted.question}"', refit)] if fitted else []


def _refit(prompt: Prompt, evidence: Evidence, *, labels: Sequence[str]) -> Prompt | None:
    found = marks(evidence, labels, limit=3)
    if len(found) < len(labels):
        return None
    question = prompt.question
    for label in labels:
        question = either(found[label]).join(_code(label).split(question))
    verbalisers = tuple(Verbaliser(label, found[label]) for label in labels)
    return prompt.with_(question=question, verbalisers=verbalisers, label_descriptions=())


def _code(label: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(label)}(?!\w)")

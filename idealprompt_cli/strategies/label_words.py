"""Write the model's own words in place of the codes that the seed question names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from ..core.interfaces import Draft, Evidence, Strategy, StrategyContext
from ..core.placeholders import escape
from ..core.prompt import Prompt, Verbaliser
from ..fitting.text_contrast import either
from ..fitting.word_sources import Source, outlook, sources


class LabelWords(Strategy):
    """ "Which code is it, K7 or M2?" becomes a question that can be answered by looking."""

    name = "label_words"
    summary = "replace the codes in the question by the words that mark them"
    source = "meaningful label words, arXiv 2001.07676"
    reads_descriptions = True

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        labels = context.task.labels
        named = all(_code(label).search(prompt.question) for label in labels)
        return len(labels) > 1 and named and not prompt.verbalisers

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        labels, drafts = context.task.labels, {}
        for source in sources(context.evidence, labels)[:2]:
            refit = partial(_refit, source=source, labels=labels)
            fitted = refit(prompt, context.evidence)
            if fitted is not None and fitted not in drafts:
                right = source.right(context.evidence, labels)
                drafts[fitted] = Draft(fitted, f'asks "{fitted.question}"', refit, right)
        return list(drafts.values())

    def outlook(self, prompt: Prompt, context: StrategyContext) -> float | None:
        del prompt
        return outlook(context.evidence, context.task.labels)


def _refit(
    prompt: Prompt, evidence: Evidence, *, source: Source, labels: Sequence[str]
) -> Prompt | None:
    found = source.marks(evidence, labels, limit=3)
    if len(found) < len(labels):
        return None
    question = prompt.question
    for label in labels:
        question = escape(either(sorted(found[label]))).join(_code(label).split(question))
    verbalisers = tuple(Verbaliser(label, found[label]) for label in labels)
    return prompt.with_(question=question, verbalisers=verbalisers, label_descriptions=())


def _code(label: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w{{]){re.escape(label)}(?![\w}}])")

"""Worked examples in words, made of the phrases that mark each label."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..core.interfaces import Draft, Evidence, Strategy, StrategyContext
from ..core.prompt import Demonstration, Prompt
from ..fitting.word_sources import Source, outlook, sources


class Demonstrations(Strategy):
    """Shows one made-up description per label with its answer. No training image and no sentence
    about one is copied in: the descriptions are composed of distinctive phrases."""

    name = "demonstrations"
    summary = "show one description in words per label with the right answer"
    source = "few-shot demonstrations in text, arXiv 2005.14165"
    reads_descriptions = True

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return len(context.task.labels) > 1 and not prompt.demonstrations

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        labels = context.task.labels
        refit = partial(_refit, source=sources(context.evidence, labels)[0], labels=labels)
        fitted = refit(prompt, context.evidence)
        return [Draft(fitted, "shows one example in words per label", refit)] if fitted else []

    def outlook(self, prompt: Prompt, context: StrategyContext) -> float | None:
        del prompt
        return outlook(context.evidence, context.task.labels)


def _refit(
    prompt: Prompt, evidence: Evidence, *, source: Source, labels: Sequence[str]
) -> Prompt | None:
    found = source.defining(evidence, labels, limit=1)
    if found is None:
        return None
    shown = [Demonstration(f"{word}.", label) for label in labels for word in found[label]]
    return prompt.with_(demonstrations=tuple(shown))

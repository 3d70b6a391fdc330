"""Ask for an attribute in the model's own vocabulary and read its answer as the private label."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..interfaces import Draft, Evidence, StrategyContext
from ..types import Prompt
from .fitting import reading, refit_words
from .sources import Source, sources


class Reask:
    """Finds the generic questions whose short answers tell the labels apart, and reads the answers
    through verbalisers fitted on all pictures. The parts that explain the private labels are
    dropped: nothing mentions them any more."""

    name = "reask"
    summary = "ask for an attribute in the model's own words and map its answer to the label"
    source = "pattern-verbaliser pairs, arXiv 2001.07676"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return len(context.task.labels) > 1 and not prompt.verbalisers

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        labels, drafts = context.task.labels, []
        for source in sources(context.evidence, labels):
            if not source.question:
                continue
            refit = partial(_refit, source=source, labels=labels)
            if fitted := refit(prompt, context.evidence):
                note = f'asks "{source.question}" and reads {reading(fitted)}'
                drafts.append(Draft(fitted, note, refit))
        return drafts


def bare(prompt: Prompt, question: str) -> Prompt:
    """The prompt with another question, without the parts that speak of private labels."""
    return prompt.with_(
        question=question,
        label_descriptions=(),
        label_order=(),
        demonstrations=(),
        verbalisers=(),
        output_format="",
    )


def _refit(
    prompt: Prompt, evidence: Evidence, *, source: Source, labels: Sequence[str]
) -> Prompt | None:
    return refit_words(bare(prompt, source.question), source.words, labels, evidence)

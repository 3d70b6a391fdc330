"""Ask for an attribute in the model's own vocabulary and read its answer as the private label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from ..core.interfaces import Draft, Evidence, Strategy, StrategyContext
from ..core.prompt import Prompt
from ..fitting.answer_reading import reading, refit_words
from ..fitting.question_bank import asked_sources, bank
from ..fitting.word_sources import Source
from ..prompts.questions import asking, replaceable


class Reask(Strategy):
    """Finds the generic questions whose short answers tell the labels apart, and reads the answers
    through verbalisers fitted on all images. The parts that explain the private labels are
    dropped: nothing mentions them any more."""

    name = "reask"
    summary = "ask for an attribute in the model's own words and map its answer to the label"
    source = "pattern-verbaliser pairs, arXiv 2001.07676"
    reads_descriptions = True

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return len(context.task.labels) > 1 and replaceable(prompt)

    def propose(self, prompt: Prompt, context: StrategyContext) -> Iterator[Draft]:
        labels = context.task.labels
        for source in asked_sources(context.evidence, labels, context.task.question):
            refit = partial(_refit, source=source, labels=labels)
            if fitted := refit(prompt, context.evidence):
                note = f'asks "{source.question}" and reads {reading(fitted)}'
                said = bank(context.evidence, labels).answers.get(source.question, {})
                yield Draft(fitted, note, refit, spoken(fitted, said))

    def outlook(self, prompt: Prompt, context: StrategyContext) -> float | None:
        del prompt
        task = context.task
        return bank(context.evidence, task.labels, task.question).outlook()


def bare(prompt: Prompt, question: str) -> Prompt:
    """The prompt with another question, without the parts that speak of private labels."""
    return asking(prompt, question).with_(
        label_descriptions=(),
        label_order=(),
        demonstrations=(),
        verbalisers=(),
        output_format="",
    )


def spoken(prompt: Prompt, said: Mapping[str, str]) -> float:
    """Share of the model's free answers that are answer words of the prompt. A question may be
    read by words that nobody would answer it with, because a model compares what it is offered;
    one that is also answered so by itself is the sounder of two that score alike."""
    words = {word.casefold() for v in prompt.verbalisers for word in v.words}
    return sum(answer.casefold() in words for answer in said.values()) / max(1, len(said))


def _refit(
    prompt: Prompt, evidence: Evidence, *, source: Source, labels: Sequence[str]
) -> Prompt | None:
    return refit_words(
        bare(prompt, source.question), source.words, labels, evidence, source.foreign
    )

"""Ask which of the model's own words fits: "Is it A or B?"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..interfaces import Draft, Evidence, StrategyContext
from ..types import Prompt, Verbaliser
from .contrasts import either, marks
from .fitting import reading
from .reask import bare

PATTERNS = ("Which is it, {words}?", "Is the item {words}?", "Is the picture {words}?")


class ContrastQuestion:
    """A private label that is a visible difference has a name in the model's own descriptions; a
    question that offers these names needs no definition to be understood."""

    name = "contrast_question"
    summary = "ask which of the words fits that mark the labels in the model's descriptions"
    source = "log-odds contrast (Monroe et al. 2008) put to use as a verbalised pattern"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return len(context.task.labels) > 1 and not prompt.verbalisers

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        drafts = []
        for pattern in PATTERNS:
            refit = partial(_refit, pattern=pattern, labels=context.task.labels)
            if fitted := refit(prompt, context.evidence):
                drafts.append(Draft(fitted, f'asks "{fitted.question}"', refit))
        for question, refit in _yes_no(prompt, context):
            if fitted := refit(prompt, context.evidence):
                drafts.append(Draft(fitted, f'asks "{question}", {reading(fitted)}', refit))
        return drafts


def _refit(
    prompt: Prompt, evidence: Evidence, *, pattern: str, labels: Sequence[str]
) -> Prompt | None:
    found = marks(evidence, labels, limit=3)
    if len(found) < len(labels):
        return None
    words = [word for label in labels for word in found[label]]
    verbalisers = tuple(Verbaliser(label, found[label]) for label in labels)
    question = pattern.format(words=either(words))
    return bare(prompt, question).with_(verbalisers=verbalisers)


def _yes_no(prompt: Prompt, context: StrategyContext) -> list[tuple[str, partial[Prompt | None]]]:
    """With two labels the strongest mark of one of them alone decides: "Is it A?"."""
    labels = context.task.labels
    if len(labels) != 2:
        return []
    found = marks(context.evidence, labels, limit=1)
    made = []
    for label, (word, *_) in found.items():
        other = labels[1 - labels.index(label)]
        refit = partial(_refit_yes, label=label, other=other)
        made.append((f"Is it {word}?", refit))
    return made


def _refit_yes(prompt: Prompt, evidence: Evidence, *, label: str, other: str) -> Prompt | None:
    found = marks(evidence, (label,), limit=1)
    if not found:
        return None
    verbalisers = (Verbaliser(label, ("yes",)), Verbaliser(other, ("no",)))
    asked = bare(prompt, f"Is it {found[label][0]}?")
    return asked.with_(verbalisers=verbalisers, output_format="Answer yes or no.")

"""Ask which of the model's own words fits: "Is it A or B?"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..interfaces import Draft, Evidence, StrategyContext
from ..types import Prompt, Verbaliser
from .reask import bare
from .sources import Source, either, sources

# Ordinary instruction English, fitted to no one model.
PATTERNS = (
    "Is the object {words}?",
    "Which best describes the image: {words}?",
    "What do you see: {words}?",
)
MAX_DRAFTS = 5


class ContrastQuestion:
    """A private label that is a visible difference has a name among the model's own words; a
    question that offers these names needs no definition to be understood."""

    name = "contrast_question"
    summary = "ask which of the words fits that mark the labels in the model's own language"
    source = "log-odds contrast (Monroe et al. 2008) put to use as a verbalised pattern"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return len(context.task.labels) > 1 and not prompt.verbalisers

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        labels, drafts = context.task.labels, {}
        for source in sources(context.evidence, labels)[:2]:
            edits = [
                partial(_refit, source=source, pattern=pattern, labels=labels)
                for pattern in PATTERNS
            ]
            if len(labels) == 2:
                edits += [
                    partial(_refit_yes, source=source, label=one, other=two)
                    for one, two in (labels, labels[::-1])
                ]
            for refit in edits:
                fitted = refit(prompt, context.evidence)
                if fitted is not None and fitted not in drafts:
                    drafts[fitted] = Draft(fitted, f'asks "{fitted.question}"', refit)
        return list(drafts.values())[:MAX_DRAFTS]


def _refit(
    prompt: Prompt, evidence: Evidence, *, source: Source, pattern: str, labels: Sequence[str]
) -> Prompt | None:
    found = source.marks(evidence, labels, limit=4)
    words = {word for marks in found.values() for word in marks}
    if len(found) < len(labels) or words <= {"yes", "no"}:
        return None
    # The alphabet keeps the question the same over most folds, and favours no label.
    question = pattern.format(words=either(sorted(words)))
    verbalisers = tuple(Verbaliser(label, found[label]) for label in labels)
    return bare(prompt, question).with_(verbalisers=verbalisers)


def _refit_yes(
    prompt: Prompt, evidence: Evidence, *, source: Source, label: str, other: str
) -> Prompt | None:
    """With two labels the strongest mark of one of them alone decides: "Is it A?"."""
    word = source.marks(evidence, (label, other), limit=1).get(label, ("",))[0]
    if word in ("", "yes", "no"):
        return None
    verbalisers = (Verbaliser(label, ("yes",)), Verbaliser(other, ("no",)))
    asked = bare(prompt, f"Is the object {word}?")
    return asked.with_(verbalisers=verbalisers, output_format="Answer with yes or no.")

"""Ask which of the model's own words fits: "Is it A or B?"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from ..core.interfaces import Draft, Evidence, Strategy, StrategyContext
from ..core.prompt import Prompt, Verbaliser
from ..core.task import pictured
from ..fitting.text_contrast import either
from ..fitting.word_sources import Source, is_piece, outlook, sources
from ..prompts.questions import replaceable
from .reask import bare

# Ordinary instruction English, fitted to no one model.
TEXT_PATTERNS = (
    "Is it {words}?",
    "Which best describes the text: {words}?",
    "What is the text about: {words}?",
)
PATTERNS = (
    "Is the object{where} {words}?",
    "Which best describes the image{where}: {words}?",
    "What do you see{where}: {words}?",
)
SOURCES = 2
MAX_DRAFTS = 6


class ContrastQuestion(Strategy):
    """A private label that is a visible difference has a name among the model's own words; a
    question that offers these names needs no definition to be understood."""

    name = "contrast_question"
    summary = "ask which of the words fits that mark the labels in the model's own language"
    source = "log-odds contrast (Monroe et al. 2008) put to use as a verbalised pattern"
    reads_descriptions = True

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return len(context.task.labels) > 1 and replaceable(prompt)

    def propose(self, prompt: Prompt, context: StrategyContext) -> Iterator[Draft]:
        labels, seen = context.task.labels, set[Prompt]()
        for source in sources(context.evidence, labels)[:SOURCES]:
            edits = [
                partial(_refit, source=source, pattern=pattern, labels=labels)
                for pattern in (PATTERNS if context.task.pictured else TEXT_PATTERNS)
            ]
            if len(labels) == 2:
                edits[1:1] = [
                    partial(_refit_yes, source=source, label=one, other=two)
                    for one, two in (labels, labels[::-1])
                ]
            for refit in edits:
                fitted = refit(prompt, context.evidence)
                if fitted is not None and fitted not in seen and len(seen) < MAX_DRAFTS:
                    seen.add(fitted)
                    note = f'asks "{fitted.question}"'
                    yield Draft(fitted, note, refit, source.right(context.evidence, labels))

    def outlook(self, prompt: Prompt, context: StrategyContext) -> float | None:
        del prompt
        return outlook(context.evidence, context.task.labels)


def _refit(
    prompt: Prompt, evidence: Evidence, *, source: Source, pattern: str, labels: Sequence[str]
) -> Prompt | None:
    found = source.defining(evidence, labels, limit=4)
    if found is None:
        return None
    found = {x: tuple(w for w in own if not is_piece(w, own)) for x, own in found.items()}
    # The alphabet keeps the question the same over most folds, and favours no label.
    where = f" {source.where}" if source.where else ""
    words = sorted({word for marks in found.values() for word in marks})
    question = pattern.format(words=either(words), where=where)
    verbalisers = tuple(Verbaliser(label, found[label]) for label in labels)
    return bare(prompt, question).with_(verbalisers=verbalisers)


def _refit_yes(
    prompt: Prompt, evidence: Evidence, *, source: Source, label: str, other: str
) -> Prompt | None:
    """With two labels the strongest mark of one of them alone decides: "Is it A?"."""
    found = source.marks(evidence, (label, other), limit=2 if source.table else 1).get(label, ())
    if len(found) != 1 or found[0] in ("yes", "no"):
        return None
    verbalisers = (Verbaliser(label, ("yes",)), Verbaliser(other, ("no",)))
    where = f" {source.where}" if source.where else ""
    what = "the object" if pictured(evidence.examples) else "it"
    asked = bare(prompt, f"Is {what}{where} {found[0]}?")
    return asked.with_(verbalisers=verbalisers, output_format="Answer with yes or no.")

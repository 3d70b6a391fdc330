"""Have two things in an image compared, each said before the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product

from ..core.interfaces import Draft, Evidence, Strategy, StrategyContext
from ..core.prompt import Prompt, Reasoning, Verbaliser
from ..fitting.attribute_tables import Table, tables
from ..fitting.attributes import DIFFERENT, SAME
from ..prompts.questions import replaceable
from .reask import bare

# Ordinary instruction English, fitted to no one model.
ASPECTS = ("color", "pattern", "type", "size", "shape")
PATTERNS: tuple[tuple[str, Reasoning], ...] = (
    ("Is the {aspect} of the two objects the same or different?", "describe"),
    ("Compare the {aspect} of the two objects: same or different?", "brief"),
    ("Do the two objects have the same {aspect}? Answer with same or different.", "none"),
)  # fmt: skip


class Compare(Strategy):
    """Whether two things are alike is no word of a description and hard to say at once: a small
    model that names both first has it before its eyes. Of two labels one is then "same" and the
    other "different"; which is which is read from the labelled images."""

    name = "compare"
    summary = "compare two things in the image by an aspect, each named before the verdict"
    source = "multimodal chain of thought, arXiv 2302.00923, on relations"
    needs_images = True
    reads_descriptions = True

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return len(context.task.labels) == 2 and replaceable(prompt)

    def propose(self, prompt: Prompt, context: StrategyContext) -> Iterator[Draft]:
        labels, evidence = context.task.labels, context.evidence
        table = _relation(evidence, labels)
        for (pattern, reasoning), aspect in product(PATTERNS, ASPECTS):
            asked = bare(prompt, pattern.format(aspect=aspect)).with_(reasoning=reasoning)
            note = f'asks "{asked.question}"'
            if table is not None:
                refit = partial(_refit, pattern=asked, table=table, labels=labels)
                if (fitted := refit(prompt, evidence)) is not None:
                    yield Draft(fitted, note, refit, table.right)
                continue
            for same, different in (labels, labels[::-1]):
                yield Draft(_read(asked, same, different), f"{note}, {SAME} as {same}")

    def outlook(self, prompt: Prompt, context: StrategyContext) -> float | None:
        del prompt
        evidence, labels = context.evidence, context.task.labels
        if not evidence.described() or len(labels) != 2:
            return None
        return max((t.right for t in tables(evidence, labels) if t.relates), default=0.0)


def _relation(evidence: Evidence, labels: Sequence[str]) -> Table | None:
    """The table of likeness that explains the labels best, where one does."""
    evidence.descriptions()
    found = [table for table in tables(evidence, labels) if table.relates]
    return found[0] if found and _order(found[0], evidence, labels) else None


def _order(table: Table, evidence: Evidence, labels: Sequence[str]) -> tuple[str, str] | None:
    """(label of what is alike, label of what is not); None where it is one label for both."""
    cells = table.cells(evidence, labels)
    same, different = cells.get((SAME,)), cells.get((DIFFERENT,))
    return (same, different) if same and different and same != different else None


def _refit(
    prompt: Prompt, evidence: Evidence, *, pattern: Prompt, table: Table, labels: Sequence[str]
) -> Prompt | None:
    order = _order(table, evidence, labels)
    if order is None:
        return None
    asked = bare(prompt, pattern.question).with_(reasoning=pattern.reasoning)
    return _read(asked, *order)


def _read(asked: Prompt, same: str, different: str) -> Prompt:
    return asked.with_(verbalisers=(Verbaliser(same, (SAME,)), Verbaliser(different, (DIFFERENT,))))

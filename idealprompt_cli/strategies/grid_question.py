"""Ask for two attributes at once: "Which fits: dim, sharp and marked, sharp and unmarked?"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from ..core.interfaces import Draft, Evidence, Strategy, StrategyContext
from ..core.prompt import Prompt, Verbaliser
from ..fitting.attribute_tables import Cell, Table, tables
from ..fitting.text_contrast import either
from ..prompts.questions import replaceable
from .reask import bare

# Ordinary instruction English, fitted to no one model.
PATTERNS = ("Which fits: {words}?", "Is the object {words}?")
MAX_OPTIONS = 12


class GridQuestion(Strategy):
    """Where a label rests on two attributes, the combinations of their values are the answers: the
    model says what it sees, and the rule stays outside of it."""

    name = "grid_question"
    summary = "ask which combination of two attributes' values it is"
    source = "pattern-verbaliser pairs, arXiv 2001.07676, over a product of attributes"
    reads_descriptions = True

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return len(context.task.labels) > 1 and replaceable(prompt)

    def propose(self, prompt: Prompt, context: StrategyContext) -> Iterator[Draft]:
        labels, seen = context.task.labels, set[Prompt]()
        context.evidence.descriptions()
        for table in _pairs(context.evidence, labels):
            for pattern in PATTERNS if context.task.pictured else PATTERNS[:1]:
                refit = partial(_refit, table=table, pattern=pattern, labels=labels)
                fitted = refit(prompt, context.evidence)
                if fitted is not None and fitted not in seen:
                    seen.add(fitted)
                    yield Draft(fitted, f'asks "{fitted.question}"', refit, table.right)

    def outlook(self, prompt: Prompt, context: StrategyContext) -> float | None:
        del prompt
        found = tables(context.evidence, context.task.labels)
        if not found:
            return None
        return max((t.right for t in found if len(t.attributes) == 2), default=0.0)


def _pairs(evidence: Evidence, labels: Sequence[str]) -> list[Table]:
    return [table for table in tables(evidence, labels) if len(table.attributes) == 2][:2]


def _refit(
    prompt: Prompt, evidence: Evidence, *, table: Table, pattern: str, labels: Sequence[str]
) -> Prompt | None:
    words = min((_options(table, evidence, labels, first) for first in (0, 1)), key=len)
    plain = {value for one in table.attributes for value in one.values}
    joint = not plain.issuperset(words)
    if not joint or len(words) > MAX_OPTIONS or set(words.values()) != set(labels):
        return None
    verbalisers = tuple(
        Verbaliser(label, tuple(w for w, named in words.items() if named == label))
        for label in labels
    )
    return bare(prompt, pattern.format(words=either(sorted(words)))).with_(verbalisers=verbalisers)


def _options(table: Table, evidence: Evidence, labels: Sequence[str], first: int) -> dict[str, str]:
    """Option -> label; a value of the `first` attribute that decides the label is one option."""
    grouped: dict[str, dict[Cell, str]] = {}
    for cell, label in table.cells(evidence, labels).items():
        grouped.setdefault(cell[first], {})[cell] = label
    words: dict[str, str] = {}
    for value, cells in grouped.items():
        if len(set(cells.values())) == 1:
            words[value] = next(iter(cells.values()))
        else:
            words |= {" and ".join(cell): label for cell, label in cells.items()}
    return words

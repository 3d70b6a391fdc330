"""Define each label by what sets it apart from every other one, joined by "and"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..interfaces import Draft, Evidence, StrategyContext
from ..types import LabelText, Prompt
from .label_descriptions import ASK
from .sources import described_marks, either

LIMIT = 3


class PairwiseDescriptions:
    """A label that rests on two attributes is set apart from one neighbour by the first and from
    another by the second: no single list of words says it, "intact and sharp" does."""

    name = "pairwise_descriptions"
    summary = "define labels that rest on two attributes, by what tells them from each other label"
    source = "one-against-one decomposition, applied to label descriptions (arXiv 2412.19684)"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return len(context.task.labels) > 2 and not prompt.verbalisers

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        refit = partial(_refit, labels=context.task.labels)
        fitted = refit(prompt, context.evidence)
        if fitted is None or fitted == prompt:
            return []
        said = "; ".join(f"{d.label}: {d.text}" for d in fitted.label_descriptions)
        thoughtful = fitted.with_(reasoning="describe")
        both = [Draft(fitted, f"defines {said}", refit)]
        if prompt.reasoning == "none":
            describing = partial(_refit, labels=context.task.labels, reasoning="describe")
            both.append(Draft(thoughtful, f"describes first, defines {said}", describing))
        return both


def _refit(
    prompt: Prompt, evidence: Evidence, *, labels: Sequence[str], reasoning: str = ""
) -> Prompt | None:
    texts = []
    for label in labels:
        clauses: list[str] = []
        for other in labels:
            if other != label:
                marks = described_marks(evidence, (label, other), LIMIT)
                clause = either(sorted(marks.get(label, ())))
                if clause and clause not in clauses:
                    clauses.append(clause)
        if not clauses:
            return None
        texts.append(LabelText(label, " and ".join(_nested(clauses))))
    defined = prompt.with_(label_descriptions=tuple(texts), output_format=ASK)
    return defined.with_(reasoning=reasoning) if reasoning else defined


def _nested(clauses: Sequence[str]) -> list[str]:
    """Clauses without those that say less than another one (a superset of its alternatives)."""
    sets = [set(clause.replace(" or ", ", ").split(", ")) for clause in clauses]
    return [
        clause
        for clause, words in zip(clauses, sets, strict=True)
        if not any(other < words for other in sets)
    ]

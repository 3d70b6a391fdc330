"""Define labels that rest on several attributes: "intact and blurred or dim"."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from ..core.interfaces import Draft, Evidence, Strategy, StrategyContext
from ..core.prompt import LabelText, Prompt
from ..fitting.attribute_tables import Table, clauses, tables
from ..fitting.rules import fit_rule
from ..fitting.text_contrast import either, terms
from .label_descriptions import ASK

REST = "anything else"
MAX_TABLES = 2

Texts = tuple[LabelText, ...]
Fit = Callable[[Evidence, Sequence[str]], Texts | None]


class RuleDescriptions(Strategy):
    """No single list of words says a label that is set apart by one attribute from this neighbour
    and by another from that one; a rule of clauses joined by "and" does. It comes from a table of
    two attributes, or where the descriptions speak of none from words. Looking a rule up is easier
    in words than in an image, so it is also tried with a description written first."""

    name = "rule_descriptions"
    summary = "define labels that rest on several attributes by clauses joined with 'and'"
    source = "rule induction by covering (RIPPER, Cohen 1995) on the model's own descriptions"
    reads_descriptions = True

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return len(context.task.labels) > 1 and not prompt.verbalisers

    def propose(self, prompt: Prompt, context: StrategyContext) -> Iterator[Draft]:
        evidence, labels = context.evidence, context.task.labels
        evidence.descriptions()
        seen = {prompt}
        for fit in _fits(evidence, labels):
            for reasoning in dict.fromkeys((prompt.reasoning, "describe")):
                refit = partial(_refit, labels=labels, reasoning=reasoning, fit=fit)
                fitted = refit(prompt, evidence)
                if fitted is not None and fitted not in seen:
                    seen.add(fitted)
                    said = "; ".join(f"{d.label}: {d.text}" for d in fitted.label_descriptions)
                    first = "describes first, " if reasoning == "describe" else ""
                    yield Draft(fitted, f"{first}defines {said}", refit)

    def outlook(self, prompt: Prompt, context: StrategyContext) -> float | None:
        del prompt
        evidence, labels = context.evidence, context.task.labels
        found = [t.right for t in tables(evidence, labels) if clauses(t, evidence, labels)]
        return max(found, default=0.0) if evidence.described() else None


def _fits(evidence: Evidence, labels: Sequence[str]) -> list[Fit]:
    """Ways to come by rules, the most promising first."""
    found: list[Fit] = [
        partial(_tabled, table=table)
        for table in tables(evidence, labels)
        if clauses(table, evidence, labels) is not None
    ]
    return [*found[:MAX_TABLES], _covered]


def _refit(
    prompt: Prompt, evidence: Evidence, *, labels: Sequence[str], reasoning: str, fit: Fit
) -> Prompt | None:
    texts = evidence.once(f"rules {labels} {fit}", lambda: fit(evidence, labels))
    if texts is None:
        return None
    return prompt.with_(label_descriptions=texts, output_format=ASK, reasoning=reasoning)


def _tabled(evidence: Evidence, labels: Sequence[str], *, table: Table) -> Texts | None:
    said = clauses(table, evidence, labels)
    if said is None:
        return None
    return tuple(LabelText(label, said[label] or REST) for label in labels)


def _covered(evidence: Evidence, labels: Sequence[str]) -> Texts | None:
    """A definition of every label from words; one label may be what the others leave over."""
    texts: Mapping[str, set[str]] = {i: set(terms(t)) for i, t in evidence.descriptions().items()}
    gold = {example.id: example.answer for example in evidence.examples}
    rules = {label: fit_rule(texts, gold, label) for label in labels}
    if sum(not rule for rule in rules.values()) > 1:
        return None
    return tuple(
        LabelText(label, " and ".join(either(clause) for clause in rule) or REST)
        for label, rule in rules.items()
    )

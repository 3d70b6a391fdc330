"""Define labels that rest on several attributes: "intact and blurred or dim"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from ..interfaces import Draft, Evidence, StrategyContext
from ..types import LabelText, Prompt
from ..wording import terms
from .label_descriptions import ASK
from .rules import fit_rule
from .sources import either

REST = "anything else"


class RuleDescriptions:
    """No single list of words says a label that is set apart by one attribute from this neighbour
    and by another from that one; a rule of clauses joined by "and" does. Looking the rule up is
    easier in words than in a picture, so it is also tried with a description written first."""

    name = "rule_descriptions"
    summary = "define labels that rest on several attributes by clauses joined with 'and'"
    source = "rule induction by covering (RIPPER, Cohen 1995) on the model's own descriptions"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return len(context.task.labels) > 1 and not prompt.verbalisers

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        labels, drafts = context.task.labels, {}
        for reasoning in dict.fromkeys((prompt.reasoning, "describe")):
            refit = partial(_refit, labels=labels, reasoning=reasoning)
            fitted = refit(prompt, context.evidence)
            if fitted is not None and fitted != prompt:
                said = "; ".join(f"{d.label}: {d.text}" for d in fitted.label_descriptions)
                first = "describes first, " if reasoning == "describe" else ""
                drafts[fitted] = Draft(fitted, f"{first}defines {said}", refit)
        return list(drafts.values())


def _refit(
    prompt: Prompt, evidence: Evidence, *, labels: Sequence[str], reasoning: str
) -> Prompt | None:
    texts = evidence.once(f"rules {labels}", lambda: _rules(evidence, labels))
    if texts is None:
        return None
    return prompt.with_(label_descriptions=texts, output_format=ASK, reasoning=reasoning)


def _rules(evidence: Evidence, labels: Sequence[str]) -> tuple[LabelText, ...] | None:
    """A definition of every label; one label may be what the others leave over."""
    said: Mapping[str, set[str]] = {i: set(terms(t)) for i, t in evidence.descriptions().items()}
    gold = {example.id: example.answer for example in evidence.examples}
    rules = {label: fit_rule(said, gold, label) for label in labels}
    if sum(not rule for rule in rules.values()) > 1:
        return None
    return tuple(
        LabelText(label, " and ".join(either(clause) for clause in rule) or REST)
        for label, rule in rules.items()
    )

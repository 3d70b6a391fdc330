"""Edits that a proposer writes: free text on the bad cases, checked before it costs anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..interfaces import Draft, Proposer
from ..types import LabelText, Prompt
from .cases import Confusion
from .proposal import Proposal

SHOWN = 4
MAX_CHARACTERS = 240
_TOKENS = 64
_PROBE = "Repeat this sentence and nothing else: The cup is red."


def capable(proposer: Proposer) -> bool:
    """Whether it can follow an instruction at all: a small model's ramblings cost one request."""
    return "cup is red" in proposer.write(_PROBE, max_tokens=16).casefold()


def written(
    prompt: Prompt, confusion: Confusion, said: Mapping[str, str], proposer: Proposer
) -> list[Proposal]:
    """A rewritten question and rewritten definitions of the two labels. They saw the cases they
    are inspired by, which therefore do not test them."""
    shown = confusion.cases[:SHOWN]
    ids = tuple(case.example_id for case in shown)
    seen = [f"- seen: {said.get(c.example_id, '')} Right answer: {c.gold}." for c in shown]
    facts = "\n".join(
        [f"A model is asked: {prompt.question}", f"It says {confusion.rival} here:", *seen]
    )
    drafts = []
    question = _asked(proposer, f"{facts}\nWrite a clearer question. Only the question.")
    if question and question != prompt.question:
        drafts.append(("question", prompt.with_(question=question)))
    texts = []
    for label in (confusion.gold, confusion.rival):
        if label:
            ask = f"{facts}\nDefine {label} in at most eight words. Only the definition."
            texts.append(LabelText(label, _asked(proposer, ask)))
    if texts and all(text.text for text in texts) and not prompt.verbalisers:
        new = {text.label: text for text in texts}
        kept = [entry for entry in prompt.label_descriptions if entry.label not in new]
        drafts.append(("label_descriptions", prompt.with_(label_descriptions=(*kept, *texts))))
    why = "written by the proposer about the worst cases"
    return [Proposal(kind, Draft(p, why), why, confusion.name, ids) for kind, p in drafts]


def _asked(proposer: Proposer, instruction: str) -> str:
    """One line of bounded length; "" for anything that is no use as a part of a prompt."""
    text = proposer.write(instruction, max_tokens=_TOKENS).strip()
    line = text.splitlines()[0].strip().strip('"') if text else ""
    return line if 3 <= len(line) <= MAX_CHARACTERS and any(c.isalpha() for c in line) else ""


def answer_form(prompt: Prompt, golds: Sequence[str]) -> list[Proposal]:
    """For free text: says how many words an answer has, as the known ones do."""
    if not golds or prompt.output_format:
        return []
    most = max(len(gold.split()) for gold in golds)
    text = "Answer with one word." if most == 1 else f"Answer with at most {most} words."
    why = "the known answers are that short"
    return [Proposal("output_format", Draft(prompt.with_(output_format=text), why), why)]

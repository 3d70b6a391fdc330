"""Edits that a proposer writes about the worst confusion: under a grammar, checked before they cost
anything, and asked only of a proposer that has shown that it can reflect at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core.interfaces import Draft, Proposer
from ..core.prompt import LabelText, Prompt
from ..core.task import Example
from ..prompts.questions import is_given
from ..prompts.rendering import words_for
from ..prompts.validation import PHRASE, SENTENCE, clean, fit_phrase, fit_rewrite
from .cases import Confusion
from .proposal import Proposal

# Examples of each label that the proposer is shown.
SHOWN = 3
TOKENS = 24
QUESTION_TOKENS = 48
# A reflection whose outcome is known: what a right answer holds, and what it does not.
PROBE = (
    ("K", ("a striped mug on a table", "a striped lamp on the floor", "a small striped shirt")),
    ("M", ("a plain mug on the floor", "a plain lamp on a table", "a large plain shirt")),
)
PROBE_RIGHT, PROBE_WRONG = "strip", ("plain", "mug", "lamp", "shirt")
_WHY = "written by the proposer about the worst cases"


def capable(proposer: Proposer) -> bool:
    """Whether it finds what sets six made-up pictures apart. A small model's ramblings cost one
    short request."""
    text = _mark(proposer, *PROBE).casefold()
    return PROBE_RIGHT in text and not any(word in text for word in PROBE_WRONG)


def shown_of(confusion: Confusion, examples: Sequence[Example]) -> dict[str, tuple[str, ...]]:
    """label -> ids of the examples to show the proposer: the worst cases of the confusion, and
    examples of the other label."""
    worst = confusion.ids[:SHOWN]
    own = [e.id for e in examples if e.answer == confusion.gold and e.id not in worst]
    other = [e.id for e in examples if e.answer == confusion.other]
    gold = (*worst, *own)[:SHOWN]
    return {confusion.gold: gold, confusion.other: tuple(other[:SHOWN])}


def written(
    prompt: Prompt,
    confusion: Confusion,
    shown: Mapping[str, Sequence[str]],
    said: Mapping[str, str],
    labels: Sequence[str],
    proposer: Proposer,
    noun: str,
) -> list[Proposal]:
    """Definitions of the two labels and a question that tells them apart. They are
    written from the examples in `shown`, which therefore do not test them. `noun`: what an example
    is, "picture" or "text"."""
    texts = {label: tuple(said[i].rstrip(". ") for i in ids) for label, ids in shown.items()}
    if len(texts) < 2 or not all(texts.values()):
        return []
    sides = list(texts.items())
    marks = {}
    for place, side in enumerate(sides):
        text = _mark(proposer, side, sides[1 - place], noun)
        if not fit_phrase(text, labels, said.values()):
            return []
        marks[side[0]] = text
    ids = tuple(i for shown_ids in shown.values() for i in shown_ids)
    drafts: list[tuple[str, Prompt | None]] = [("written-definitions", _defined(prompt, marks))]
    if is_given(prompt.question):
        return _proposals(drafts, confusion, ids)
    question = _question(proposer, prompt, marks, noun)
    if fit_rewrite(question, prompt.question, labels, said.values()):
        drafts.append(("written-question", prompt.with_(question=question)))
    return _proposals(drafts, confusion, ids)


def _proposals(
    drafts: Sequence[tuple[str, Prompt | None]], confusion: Confusion, ids: tuple[str, ...]
) -> list[Proposal]:
    return [
        Proposal(kind, Draft(edited, _WHY), _WHY, confusion.name, ids)
        for kind, edited in drafts
        if edited is not None
    ]


def _mark(
    proposer: Proposer,
    label: tuple[str, Sequence[str]],
    other: tuple[str, Sequence[str]],
    noun: str = "picture",
) -> str:
    """What sets the examples of a label apart from those of the other, in a few words."""
    sides = (f"{noun.title()}s of {name}: {'; '.join(texts)}." for name, texts in (label, other))
    ask = f"What do the {noun}s of {label[0]} have that those of {other[0]} do not?"
    request = f"{' '.join(sides)} {ask} Answer in at most five words."
    return clean(proposer.write(request, TOKENS, PHRASE))


def _question(proposer: Proposer, prompt: Prompt, marks: Mapping[str, str], noun: str) -> str:
    meanings = "; ".join(f"{words_for(prompt, x)[0]} means {mark}" for x, mark in marks.items())
    ask = f"A question about a {noun}: {prompt.question} It is often misunderstood: {meanings}. "
    return clean(proposer.write(ask + "Write a clearer question.", QUESTION_TOKENS, SENTENCE))


def _defined(prompt: Prompt, marks: Mapping[str, str]) -> Prompt | None:
    """The definitions with those of the two labels replaced; None where the prompt has its own
    words for the labels, which definitions would contradict."""
    if prompt.verbalisers:
        return None
    kept = [entry for entry in prompt.label_descriptions if entry.label not in marks]
    new = [LabelText(label, mark) for label, mark in marks.items()]
    return prompt.with_(label_descriptions=(*kept, *new))


def answer_form(prompt: Prompt, golds: Sequence[str]) -> list[Proposal]:
    """For free text: says how many words an answer has, as the known ones do."""
    if not golds or prompt.output_format:
        return []
    most = max(len(gold.split()) for gold in golds)
    text = "Answer with one word." if most == 1 else f"Answer with at most {most} words."
    why = "the known answers are that short"
    return [Proposal("answer-form", Draft(prompt.with_(output_format=text), why), why)]

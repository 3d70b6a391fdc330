"""Ask for a written answer in the plain words that vision models were instructed with."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import partial

from ..core.interfaces import Draft, Evidence, Strategy, StrategyContext
from ..core.prompt import Prompt
from ..fitting.questions import QUESTIONS
from ..prompts.questions import asking, is_given

# Common instructions for captions and for reading (LLaVA's brief descriptions, arXiv 2304.08485;
# TextVQA); written without sight of any one model's training text.
INSTRUCTIONS = (
    "Describe this image in one sentence.",
    "Describe the image concisely.",
    "Provide a brief description of the given image.",
    "Write a short caption for the image.",
    "What is written in the image?",
    "Read the text in the image.",
)
LOOKED_AT = 6
DRAFTS = 3
SHARE = 0.3


class AskAnew(Strategy):
    """Asks generic questions about a few images and takes those whose answers come nearest to the
    right ones; the user's own question is replaced, so the metric has the last word."""

    name = "ask_anew"
    summary = "ask one of the common questions whose answers come near the right ones"
    source = "instruction selection (APE), arXiv 2211.01910, on instructions of arXiv 2304.08485"
    kinds = ("text", "number")
    needs_images = True

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        own = not is_given(prompt.question) and prompt.question not in pool()
        return context.task.answer in self.kinds and own

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        evidence = context.evidence
        ids = tuple(example.id for example in evidence.examples[:LOOKED_AT])
        room = int(SHARE * evidence.affordable()) // max(1, len(ids))
        asked = pool()[:room]
        drafts = []
        for place, question in enumerate(ranked(evidence, asked, ids)[:DRAFTS]):
            refit = partial(_refit, asked=asked, ids=ids, place=place)
            note = f'asks "{question}", which is answered most like the right answers'
            drafts.append(Draft(asking(prompt, question), note, refit))
        return drafts


def pool() -> tuple[str, ...]:
    """The instructions and questions, those for whole sentences first."""
    return (*INSTRUCTIONS, *QUESTIONS)


def ranked(evidence: Evidence, asked: Sequence[str], ids: Sequence[str]) -> list[str]:
    """The questions, best first, by the images `ids` that the evidence has."""
    part = evidence.excluding([one.id for one in evidence.examples if one.id not in ids])
    gold = {example.id: example.answer for example in part.examples}
    if not gold or not asked:
        return []
    answers = dict(zip(asked, part.ask(asked), strict=True))

    def nearness(question: str) -> float:
        return sum(alike(answers[question][i], gold[i]) for i in gold) / len(gold)

    return sorted(asked, key=lambda question: -nearness(question))


def alike(said: str, right: str) -> float:
    """How alike two texts are, in [0, 1]; an answer that was cut is compared with as much of the
    right one."""
    said, right = said.casefold(), right.casefold()
    cut = right[: len(said)] if len(said) > 24 else right
    return SequenceMatcher(None, said, cut, autojunk=False).ratio()


def _refit(
    prompt: Prompt, evidence: Evidence, *, asked: Sequence[str], ids: Sequence[str], place: int
) -> Prompt | None:
    found = ranked(evidence, asked, ids)
    return asking(prompt, found[place]) if len(found) > place else None

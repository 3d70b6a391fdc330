"""Say in which form to answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core.answer_schema import AnswerKind
from ..core.interfaces import Draft, Strategy, StrategyContext
from ..core.prompt import Prompt

# The closing lines of common visual question answering data, fitted to no one model.
FORMATS: Mapping[AnswerKind, tuple[str, ...]] = {
    "label": (
        "Answer the question using a single word or phrase.",
        "Answer with one of the labels only.",
        "Answer briefly.",
    ),
    "labels": ("Say yes or no for each.", "Check each: {names}.", "Answer briefly."),
    "text": (
        "Answer the question using a single word or phrase.",
        "Answer in one sentence.",
        "Answer briefly.",
    ),
    "number": ("Answer with a number only.", "Answer in figures.", "Answer briefly."),
    "json": (
        "Answer as JSON with the keys {names}.",
        "Answer with a JSON object only.",
        "Answer briefly.",
    ),
    "box": (
        "Answer with the box [left, top, right, bottom] only.",
        "Answer with four numbers.",
        "Answer briefly.",
    ),
}


class OutputFormat(Strategy):
    """Without a form, probability goes to sentences that merely contain the answer."""

    name = "output_format"
    summary = "say in which form to answer"
    source = "format instructions, arXiv 2310.11324"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return True

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        schema = context.task.answer_schema
        names = ", ".join((*schema.options, *(field.name for field in schema.fields)))
        known = [text.format(names=names) for text in FORMATS[context.task.answer]]
        formats = [*known, ""] if prompt.output_format else known
        own_words = bool(prompt.verbalisers)
        return [
            Draft(prompt.with_(output_format=text), f'closes with "{text}"')
            for text in formats
            if text != prompt.output_format and not (own_words and "label" in text)
        ][:3]

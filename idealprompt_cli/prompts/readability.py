"""Would a person understand a prompt, and why its answers are read as they are?

A rough measure without a model, for choosing between prompts that score alike, and for showing what
is odd about the chosen one. It knows English grammar words only; in other languages it finds fewer
faults, never other ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..core.prompt import Prompt
from .rendering import length, words_for

# Words that neither begin nor end a phrase that somebody would give as an answer.
_INNER = frozenset(
    (
        *("a", "an", "the", "this", "that", "it", "its", "their", "his", "her"),
        *("of", "on", "in", "at", "to", "by", "from", "for", "as", "into", "with", "than"),
        *("and", "or", "is", "are", "was", "be", "has", "have"),
        *("which", "who", "where", "when", "while"),
    )
)
_VERBS = frozenset(["is", "are", "was", "were", "has", "have"])
_LONGEST = 4
# Longer prompts lose a tenth for every `_LONG` characters.
_LONG = 400
_MANY = 6
_WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")


@dataclass(frozen=True)
class Readability:
    """`score` in [0, 1], 1 for nothing to criticise; `faults` are clauses for people."""

    score: float
    faults: tuple[str, ...] = ()

    def describe(self) -> str:
        """A sentence for people."""
        why = f" ({'; '.join(self.faults)})" if self.faults else ""
        return f"Readability {100 * self.score:.0f} of 100{why}."


def readability(prompt: Prompt, labels: Sequence[str] = ()) -> Readability:
    """What is said in fragments, answers that the question does not lead to, and length."""
    answers = [word for v in prompt.verbalisers for word in v.words]
    said = [*answers, *(part for d in prompt.label_descriptions for part in _parts(d.text))]
    faults, score = [], 1.0
    if torn := [text for text in said if is_fragment(text)]:
        faults.append(f"not a word or phrase: {', '.join(map(repr, torn[:3]))}")
        score -= 0.2 + 0.4 * len(torn) / len(said)
    if answers and not _leads_to(prompt, answers):
        faults.append("the question does not name the answers that are counted")
        score -= 0.2
    if any(len(words_for(prompt, label)) > _MANY for label in labels):
        faults.append("many words stand for one label")
        score -= 0.1
    excess = max(0.0, length(prompt, labels) / _LONG - 1.0)
    if excess >= 1.0:
        faults.append("long")
    return Readability(round(max(0.0, score - 0.1 * excess), 2), tuple(faults))


def is_fragment(text: str) -> bool:
    """Whether a text was cut out of a sentence: it begins or ends with a grammar word, ends in a
    single letter, holds a verb between other words, or is longer than a short phrase."""
    words = [word.casefold() for word in _WORD.findall(text)]
    if not words:
        return True
    if len(words) == 1:
        return words[0] in _INNER and text.strip() != "A"  # an option's letter
    cut = len(words[-1]) == 1 and words[-1].isalpha()
    inside = any(word in _VERBS for word in words)
    return cut or inside or len(words) > _LONGEST or words[0] in _INNER or words[-1] in _INNER


def _parts(text: str) -> list[str]:
    """ "red, blue or dark green" -> its phrases."""
    return [part.strip() for part in re.split(r",| or | and |, not ", text) if part.strip()]


def _leads_to(prompt: Prompt, answers: Sequence[str]) -> bool:
    """Whether the answers are offered (or are yes and no, or letters), or begun for the model."""
    if prompt.answer_start or all(
        len(word) == 1 or word.casefold() in ("yes", "no") for word in answers
    ):
        return True
    text = " ".join(
        (prompt.question, prompt.context, prompt.output_format, *prompt.cues)
    ).casefold()
    named = sum(word.casefold() in text for word in answers)
    return named >= 0.5 * len(answers)

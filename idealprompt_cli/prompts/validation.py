"""Is a text that somebody wrote fit for a prompt? (for strategies and reflection with a proposer)

It must keep the labels and the fields, be one sentence or phrase of a sane length, and copy no run
of words from a text of a training example or a description of its picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..core.placeholders import placeholder_names

# One line that ends like a sentence, in llama.cpp's grammar notation.
SENTENCE = 'root ::= [^\\n"]{7,200} [.?]\n'
# A phrase: no full stop, no quotation, no list.
PHRASE = 'root ::= [^\\n".:;()*#]{3,72}\n'
# As many words in a row are a quotation.
NGRAM = 5
_LONGEST = 3.0
_PHRASE_WORDS = 8
_WORD = re.compile(r"\w+")
_LEAD = re.compile(
    r"^(?:sure|here|okay|certainly)\b[^:]*:\s*|^(?:question|answer):\s*|^[-*\d.)\s]+", re.IGNORECASE
)


def clean(text: str) -> str:
    """The first line without a lead-in, bullets and quotation marks."""
    line = text.strip().splitlines()[0] if text.strip() else ""
    return re.sub(_LEAD, "", line.strip(), count=1).strip().strip("\"'`").strip()


def fit_rewrite(text: str, original: str, labels: Sequence[str], said: Iterable[str]) -> bool:
    """Whether `text` can stand for `original`. `said` are the texts of training examples."""
    words, before = _words(text), _words(original)
    if not 3 <= len(words) <= max(12, _LONGEST * len(before)) or words == before:
        return False
    if len(set(words)) <= 0.6 * len(words):
        return False
    if _fields(text) != _fields(original):
        return False
    named = [label for label in labels if names(original, label)]
    if not all(names(text, label) for label in named):
        return False
    return not copies(text, said, original)


def _fields(text: str) -> set[str] | None:
    """The fields that a text refers to; None where its braces do not fit."""
    try:
        return set(placeholder_names(text))
    except ValueError:
        return None


def fit_phrase(text: str, labels: Sequence[str], said: Iterable[str]) -> bool:
    """Whether `text` can describe a label: up to eight words of its own that name no
    label and do not stutter."""
    words = _words(text)
    if not 1 <= len(words) <= _PHRASE_WORDS or len(set(words)) <= 0.6 * len(words):
        return False
    alone = any(character.isalpha() for character in text)
    return alone and not any(names(text, label) for label in labels) and not copies(text, said)


def names(text: str, label: str) -> bool:
    """Whether a text holds a label as a word of its own."""
    return re.search(rf"(?<!\w){re.escape(label)}(?!\w)", text) is not None


def copies(text: str, said: Iterable[str], allowed: str = "") -> bool:
    """Whether `NGRAM` words in a row occur in one of the texts `said` (and not in `allowed`)."""
    own = _grams(text) - _grams(allowed)
    return any(own & _grams(other) for other in said)


def _grams(text: str) -> set[tuple[str, ...]]:
    words = _words(text)
    return {tuple(words[i : i + NGRAM]) for i in range(len(words) - NGRAM + 1)}


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]

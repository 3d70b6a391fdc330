"""A number, written in figures or in English words up to ninety-nine."""

from __future__ import annotations

import re

from ..core.answer_schema import AnswerSchema
from .base import ONE_LINE

LONGEST = 24
_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {word: value for value, word in enumerate(_UNITS)} | {
    word: 10 * value for value, word in enumerate(_TENS, 2)
}
_FIGURES = re.compile(r"[-\u2212]?\d+(?:[.,'\u00a0\u202f ]\d+)*")
_IN_WORDS = re.compile(rf"\b(?:({'|'.join(_TENS)})[- ])?({'|'.join(_WORDS)})\b", re.IGNORECASE)


class Number:
    """Written freely, because some models say "two": the first number is the answer."""

    name = "number"
    summary = "a number: a count, a price, a reading of a gauge"

    def gold(self, text: str, schema: AnswerSchema) -> str:
        del schema
        value = parse_number(text)
        if value is None:
            raise ValueError("is no number: write it in figures, such as 12.5")
        return plain(value)

    def read(self, text: str, schema: AnswerSchema) -> str:
        del schema
        value = parse_number(text)
        return "" if value is None else plain(value)

    def ends(self, schema: AnswerSchema) -> tuple[str, ...]:
        del schema
        return ONE_LINE

    def grammar(self, schema: AnswerSchema) -> str | None:
        del schema
        return None

    def longest(self, schema: AnswerSchema) -> int:
        del schema
        return LONGEST


def plain(value: float) -> str:
    """Figures without blanks, signs for thousands or needless zeros."""
    return format(value, ".15g")


def parse_number(text: str) -> float | None:
    """The first number in a text, in figures or words; None where there is none.

    Of two kinds of separators the last one is the decimal one; a single comma before three figures
    parts thousands, any other is decimal.
    """
    figures, words = _FIGURES.search(text), _IN_WORDS.search(text)
    if words and (figures is None or words.start() < figures.start()):
        tens, unit = words[1], words[2]
        return float((_WORDS[tens.lower()] if tens else 0) + _WORDS[unit.lower()])
    return _value(figures[0]) if figures else None


def _value(figures: str) -> float:
    sign = -1.0 if figures[0] in "-\u2212" else 1.0
    digits = re.sub(r"['\u00a0\u202f ]", "", figures.lstrip("-\u2212"))
    marks = re.findall(r"[.,]", digits)
    if len(set(marks)) == 2:
        decimal = marks[-1]
    elif len(marks) > 1 or (marks == [","] and re.search(r",\d{3}$", digits)):
        decimal = ""
    else:
        decimal = marks[0] if marks else ""
    for mark in ".,":
        digits = digits.replace(mark, "." if mark == decimal else "")
    return sign * float(digits)

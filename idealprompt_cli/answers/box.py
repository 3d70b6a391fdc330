"""A box around something: [left, top, right, bottom], in the units of the examples."""

from __future__ import annotations

import re

from ..core.answer_schema import AnswerSchema
from .base import ONE_LINE
from .number import plain

LONGEST = 48
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
FloatBox = tuple[float, float, float, float]


class Box:
    """Written under a grammar, so that every answer has its four numbers."""

    name = "box"
    summary = "a box [left, top, right, bottom] around something in the image"

    def gold(self, text: str, schema: AnswerSchema) -> str:
        del schema
        box = parse_box(text)
        if box is None or len(_NUMBER.findall(text)) != 4:
            raise ValueError("is not a box: write [left, top, right, bottom]")
        left, top, right, bottom = box
        if left > right or top > bottom:
            raise ValueError("is not a box: left exceeds right, or top exceeds bottom")
        return _written(box)

    def read(self, text: str, schema: AnswerSchema) -> str:
        del schema
        box = parse_box(text)
        return "" if box is None else _written(box)

    def ends(self, schema: AnswerSchema) -> tuple[str, ...]:
        del schema
        return ONE_LINE

    def grammar(self, schema: AnswerSchema) -> str | None:
        del schema
        return (
            'root ::= " "? "[" n ", " n ", " n ", " n "]"\n'
            'n ::= ("0" | [1-9] [0-9]{0,4}) ("." [0-9]{1,4})?'
        )

    def longest(self, schema: AnswerSchema) -> int:
        del schema
        return LONGEST


def parse_box(text: str) -> FloatBox | None:
    """The first four numbers in a text; None where there are fewer."""
    numbers = _NUMBER.findall(text)
    if len(numbers) < 4:
        return None
    left, top, right, bottom = (float(one) for one in numbers[:4])
    return left, top, right, bottom


def _written(box: FloatBox) -> str:
    return f"[{', '.join(plain(one) for one in box)}]"

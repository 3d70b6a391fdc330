"""The descriptive text that a picture's tokens stand for: one token of text per picture token.

A fixed layout of 64 tokens. Values fill their slots from the left; unused slots hold line breaks.
The unchanged language model then reads a picture as it reads this text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor

from training.smollm2.words import Facts

UNKNOWN = -1
LAYOUT: tuple[tuple[str, int], ...] = (
    ("This photo shows a product:\n", 0),
    ("item:", 0), ("item", 3), ("\ncolor:", 0), ("color", 1), ("\nshade:", 0), ("shade", 2),
    ("\nmade for:", 0), ("audience", 1), ("\nuse:", 0), ("usage", 1),
    ("\ntype:", 0), ("category", 1), ("\nplace:", 0), ("place", 1),
    ("\ncondition:", 0), ("condition", 1), ("\ndefect:", 0), ("defect", 1),
    ("\nSo this is a", 0), ("color", 1), ("usage", 1), ("item", 3), (" for", 0), ("audience", 1),
    (".\n", 0),
)  # fmt: skip


@dataclass(frozen=True)
class Slot:
    """One picture token: `fact` None is constant text, else part `part` of a fact's words."""

    fact: str | None
    part: int
    token: int


class SlotText:
    """Turns facts into token ids (slots,), UNKNOWN where a fact is missing."""

    def __init__(self, tokenizer: Tokenizer, slots: int = 64) -> None:
        self.tokenizer = tokenizer
        self.newline = self.encode("\n")[0]
        self.slots = self._lay_out(slots)

    def encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text).ids)

    def _lay_out(self, count: int) -> list[Slot]:
        slots: list[Slot] = []
        for text, size in LAYOUT:
            if size:
                slots += [Slot(text, part, UNKNOWN) for part in range(size)]
            else:
                slots += [Slot(None, 0, token) for token in self.encode(text)]
        if len(slots) > count:
            raise ValueError(f"the layout has {len(slots)} tokens, the picture only {count}")
        return slots + [Slot(None, 0, self.newline)] * (count - len(slots))

    def value_tokens(self, value: str, size: int) -> list[int]:
        """Tokens of a value after a space, padded with line breaks to `size`."""
        ids = self.encode(" " + value)
        if len(ids) > size:
            raise ValueError(f"{value!r} has {len(ids)} tokens, its slot has {size}")
        return ids + [self.newline] * (size - len(ids))

    def tokens(self, facts: Facts) -> list[int]:
        sizes = {name: size for name, size in LAYOUT if size}
        result = []
        for slot in self.slots:
            if slot.fact is None:
                result.append(slot.token)
                continue
            value = getattr(facts, slot.fact)
            known = value is not None
            ids = self.value_tokens(value, sizes[slot.fact]) if known else []
            result.append(ids[slot.part] if known else UNKNOWN)
        return result

    def table(self, facts: Sequence[Facts]) -> Tensor:
        """(N, slots) int64."""
        return torch.tensor([self.tokens(f) for f in facts])

    def first(self, fact: str, after: int = 0) -> int:
        """Index of the first slot of a fact."""
        return next(i for i, s in enumerate(self.slots) if s.fact == fact and i >= after)

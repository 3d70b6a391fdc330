"""Several questions on one picture in one row: a shared prefix, then branches side by side.

A branch sees the chat's head, the picture and itself; its positions start after the picture. So a
picture is computed once for all its questions, as the engine does when it answers them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor

from training.smollm2.gguf_text import ASSISTANT
from training.smollm2.questions import Turn

END = "<|im_end|>"


@dataclass(frozen=True)
class Rows:
    """Branch tokens (B, L), positions (B, L), branch numbers (B, L; -1 is padding), and the
    places whose next token is learned: `rows`, `places`, `targets`, each (T,)."""

    ids: Tensor
    positions: Tensor
    branches: Tensor
    rows: Tensor
    places: Tensor
    targets: Tensor


def layout(turns: Sequence[Sequence[Turn]], tokenizer: Tokenizer, start: int) -> Rows:
    """`turns[i]` are the questions on picture i; `start` is the position after the picture."""
    rows, learned = [], []
    for index, some in enumerate(turns):
        ids: list[int] = []
        positions: list[int] = []
        branches: list[int] = []
        for number, turn in enumerate(some):
            question = tokenizer.encode(turn.question + ASSISTANT).ids
            answer = tokenizer.encode(turn.answer + END).ids
            whole = [*question, *answer[:-1]]
            first = len(ids) + len(question) - 1
            learned += [(index, first + k, token) for k, token in enumerate(answer)]
            ids += whole
            positions += range(start, start + len(whole))
            branches += [number] * len(whole)
        rows.append((ids, positions, branches))
    length = max(len(ids) for ids, _, _ in rows)
    fill = (0, start, -1)
    padded = [
        torch.tensor([row[k] + [fill[k]] * (length - len(row[k])) for row in rows])
        for k in range(3)
    ]
    where = torch.tensor(learned)
    return Rows(padded[0], padded[1], padded[2], where[:, 0], where[:, 1], where[:, 2])


def branch_mask(rows: Rows, head: int, picture: int, dtype: torch.dtype) -> Tensor:
    """(B, 1, picture + L, head + picture + L) mask to add: causal, branches apart."""
    b, length = rows.ids.shape
    n = picture + length
    shared = torch.full((b, picture), -2)
    branch = torch.cat((shared, rows.branches), 1)
    same = (branch[:, :, None] == branch[:, None, :]) | (branch[:, None, :] == -2)
    allowed = same & torch.ones(n, n, dtype=torch.bool).tril()
    allowed = torch.cat((torch.ones(b, n, head, dtype=torch.bool), allowed), 2)
    return torch.zeros(allowed.shape, dtype=dtype).masked_fill(~allowed, -1e9)[:, None]

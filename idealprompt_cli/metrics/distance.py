"""How far apart two sequences are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np


def distance(said: Sequence[str], right: Sequence[str]) -> int:
    """Least number of insertions, deletions and substitutions (Levenshtein 1966)."""
    return _distance(tuple(said), tuple(right))


@lru_cache(maxsize=65536)
def _distance(said: tuple[str, ...], right: tuple[str, ...]) -> int:
    codes = {letter: code for code, letter in enumerate(dict.fromkeys((*said, *right)))}
    target = np.array([codes[letter] for letter in right], dtype=np.int64)
    steps = np.arange(len(right) + 1)
    row = steps.copy()
    for number, letter in enumerate(said, 1):
        # An insertion costs one more than its left neighbour: a running minimum over the row.
        best = np.concatenate(
            ([number], np.minimum(row[1:] + 1, row[:-1] + (target != codes[letter])))
        )
        row = np.minimum.accumulate(best - steps) + steps
    return int(row[-1])

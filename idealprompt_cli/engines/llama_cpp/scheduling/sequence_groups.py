"""Which sequences are decoded together: few full micro-batches instead of many small ones.

The library computes sequences in one micro-batch only where their ids are consecutive and they add
equally many tokens; a ragged batch falls into one micro-batch per difference in length, each of
which reads all the weights. So short sequences are padded, and gaps between the ids filled, with
tokens that are truncated again, where the measured cost says that this is cheaper. Pure Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

_COPY_SHARE = 0.02
"""The cost of copying a prefix to another slot, as a share of the cost of computing it."""


@dataclass(frozen=True)
class DecodeCost:
    """The cost of a micro-batch, in any unit: `fixed`, and for each sequence and token in it."""

    fixed: float = 12.0
    per_sequence: float = 0.0
    per_token: float = 1.0

    def copying(self, cells: int) -> float:
        """The cost of copying a prefix of so many cells to another slot."""
        return _COPY_SHARE * cells * self.per_token

    def of(self, sequences: int, length: int, n_ubatch: int) -> float:
        """The cost of `length` tokens of each of `sequences` sequences, in as many micro-batches
        of at most `n_ubatch` tokens as that takes."""
        tokens = sequences * length
        batches = -(-tokens // n_ubatch)
        return batches * self.fixed + sequences * self.per_sequence + tokens * self.per_token


@dataclass(frozen=True)
class Group:
    """Items `begin` to `end` (in the order of their slots) decoded together: every slot from the
    first item's to the last item's, `length` tokens each."""

    begin: int
    end: int
    length: int


@lru_cache(maxsize=4096)
def grouped(
    slots: tuple[int, ...], lengths: tuple[int, ...], cost: DecodeCost, n_ubatch: int, pad: bool
) -> tuple[Group, ...]:
    """The cheapest grouping of items in ascending slots with these token counts (dynamic
    programming over the ends of groups). Without `pad`, only consecutive slots of equal counts
    are put together."""
    blocks = _blocks(slots, lengths)
    if not pad:
        return tuple(Group(begin, end, lengths[begin]) for begin, end in blocks)
    best: list[tuple[float, int]] = [
        (0.0, 0)
    ]  # cost of the first k blocks, start of the last group
    for stop in range(1, len(blocks) + 1):
        last = slots[blocks[stop - 1][1] - 1]
        longest, options = 0, []
        for start in range(stop - 1, -1, -1):
            first = blocks[start][0]
            longest = max(longest, lengths[first])
            price = cost.of(last - slots[first] + 1, longest, n_ubatch)
            options.append((best[start][0] + price, start))
        best.append(min(options))
    groups, stop = [], len(blocks)
    while stop:
        start = best[stop][1]
        begin, end = blocks[start][0], blocks[stop - 1][1]
        groups.append(Group(begin, end, max(lengths[begin:end])))
        stop = start
    return tuple(reversed(groups))


def _blocks(slots: Sequence[int], lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Longest runs (begin, end) of items in consecutive slots with equal counts."""
    begins = [
        index
        for index in range(len(slots))
        if index == 0
        or slots[index] != slots[index - 1] + 1
        or lengths[index] != lengths[index - 1]
    ]
    return list(zip(begins, [*begins[1:], len(slots)], strict=True))

"""The beginning that the texts of several examples share, computed once and copied.

Chats begin with the same words of the template, and often with the same system message, before the
example's own text comes. Where no picture comes before it, that beginning is the same in all slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

import numpy as np

from ..native.context import Context
from ..native.sequence_state import SequenceState
from ..scheduling.batch_decode import Segment, decode
from ..scheduling.request_plan import Prefix
from ..scheduling.sequence_groups import DecodeCost
from ..scheduling.token_trie import Tokens
from .image_embeddings import LruCache
from .slot_table import SlotTable

_LEAST = 8
"""Tokens from which on copying them is clearly cheaper than computing them."""


class SharedBeginning:
    """Brings the tokens that prefixes begin with into their slots. The last beginning is kept in
    `states`, so that later examples begin with it too."""

    def __init__(self, states: LruCache[SequenceState], cost: DecodeCost) -> None:
        self._states, self._cost = states, cost
        self._tokens: Tokens = ()

    def place(
        self, context: Context, table: SlotTable, prefixes: Sequence[tuple[int, Prefix]]
    ) -> int:
        """Put what all prefixes begin with into their empty slots -> how many tokens that is, 0
        where they have pictures or share too little."""
        if any(prefix.images for _, prefix in prefixes):
            return 0
        slots, fields = zip(*((slot, prefix.fields) for slot, prefix in prefixes), strict=True)
        known = self._tokens
        state = self._states.get(_key(known)) if known else None
        if state is None or any(own[: len(known)] != known for own in fields):
            known = common(fields)[: context.n_batch]
            if len(slots) < 2 or len(known) < _LEAST:
                return 0
            self._compute(context, table, slots[:1], known)
            state, slots = context.save(slots[0]), slots[1:]
            self._tokens = known
            self._states.put(_key(known), state)
        for slot in slots:
            if context.load(slot, state):
                table.advance(slot, np.array(known, np.int32))
            else:
                self._compute(context, table, (slot,), known)
        return len(known)

    def _compute(
        self, context: Context, table: SlotTable, slots: Sequence[int], tokens: Tokens
    ) -> None:
        unasked = np.zeros(len(tokens), np.int8)
        segments = [Segment(slot, np.array(tokens, np.int32), unasked, 0) for slot in slots]
        for _ in decode(context, table, segments, self._cost, pad=False):
            pass


def common(texts: Sequence[Tokens]) -> Tokens:
    """The tokens that all texts begin with."""
    least, greatest = min(texts), max(texts)
    pairs = zip(least, greatest, strict=False)
    return tuple(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _key(tokens: Tokens) -> str:
    return f"beginning {tokens}"

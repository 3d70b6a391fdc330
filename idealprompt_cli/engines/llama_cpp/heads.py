"""Heads (template text and pictures) in the context's slots, computed once and kept.

Three levels, each bounded: resident in a slot; saved as a state in RAM, restored by a copy; the
pictures' embeddings (`pictures.py`), from which a head is decoded again without encoding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .context import Context
from .pictures import EMPTY, Bounded, Head, Key, Pictures
from .vision import Vision


class Heads:
    """Puts heads into slots of a context and rolls slots back to them.

    `cuttable` says whether the memory can be cut after any token; where it cannot (recurrent
    layers), rolling back restores the head's saved state instead.
    """

    def __init__(
        self, context: Context, vision: Vision, pictures: Pictures, state_bytes: int, cuttable: bool
    ) -> None:
        self._context, self._vision, self._pictures = context, vision, pictures
        self._cuttable = cuttable
        self._states: Bounded[npt.NDArray[np.uint8]] = Bounded(state_bytes)
        self._resident: list[Key | None] = [None] * context.slots
        self._dirty = [False] * context.slots
        self._n_pos: dict[Key, int] = {EMPTY.key: 0}
        self._cells: dict[Key, int] = {EMPTY.key: 0}
        self.restored = 0
        self.computed = 0

    def arrange(self, heads: Sequence[Head]) -> list[int]:
        """A slot in 0..len(heads)-1 for each head, such that heads resident there stay."""
        free = set(range(len(heads)))
        slots = [-1] * len(heads)
        for index, head in enumerate(heads):
            for slot in free:
                if self._resident[slot] == head.key:
                    slots[index] = slot
                    free.discard(slot)
                    break
        remaining = iter(sorted(free))
        return [slot if slot >= 0 else next(remaining) for slot in slots]

    def place(self, slot: int, head: Head) -> tuple[int, int]:
        """Make `slot` hold exactly `head` -> (position after it, cells computed for it)."""
        cells = 0
        if self._resident[slot] == head.key and (self._cuttable or not self._dirty[slot]):
            if self._dirty[slot]:
                self._context.cut(slot, self._n_pos[head.key])
        else:
            self._evict(slot)
            cells = self._fill(slot, head)
        self._resident[slot], self._dirty[slot] = head.key, False
        return self._n_pos[head.key], cells

    def rewind(self, slot: int, head: Head, depth: int) -> None:
        """Cut a slot back to `depth` tokens after its head (0 where it is not cuttable)."""
        if self._cuttable or not head.images:
            self._context.cut(slot, self._n_pos[head.key] + depth)
        else:
            self._dirty[slot] = True
            self.place(slot, head)
        self._dirty[slot] = True

    def cells(self, head: Head) -> int:
        """Cells that a head which was placed takes up."""
        return self._cells[head.key]

    def dirty(self, slot: int) -> None:
        """Note that something was decoded after the slot's head."""
        self._dirty[slot] = True

    def forget(self) -> None:
        """Drop all residents, after a failed decode for instance. Saved states stay."""
        self._context.clear()
        self._resident = [None] * self._context.slots
        self._dirty = [False] * self._context.slots

    def _evict(self, slot: int) -> None:
        """Empty a slot; its head's state is saved first unless it is already."""
        key = self._resident[slot]
        self._resident[slot] = None
        if key and self._cuttable:
            self._context.cut(slot, self._n_pos[key])
            self._save(slot, key)
        self._context.cut(slot, 0)

    def _fill(self, slot: int, head: Head) -> int:
        """Bring a head into an empty slot, in the cheapest way -> cells computed."""
        if not head.images:
            return 0
        if head.key in self._resident:
            self._save_resident(self._resident.index(head.key), head)
        state = self._states.get(head.key)
        if state is not None:
            self._context.load(slot, state)
            self.restored += 1
            return 0
        cells = self._compute(slot, head)
        if not self._cuttable:
            self._save(slot, head.key)
        return cells

    def _save_resident(self, slot: int, head: Head) -> None:
        if self._dirty[slot]:
            if not self._cuttable:
                return
            self._context.cut(slot, self._n_pos[head.key])
        self._save(slot, head.key)

    def _save(self, slot: int, key: Key) -> None:
        if self._states.get(key) is None and self._states.limit:
            self._states.put(key, self._context.save(slot))

    def _compute(self, slot: int, head: Head) -> int:
        pos, cells = 0, 0
        with self._pictures.encoded(head) as chunks:
            for chunk, embedding in chunks:
                if chunk.tokens is not None:
                    self._context.decode_tokens(slot, chunk.tokens, pos, outputs=0)
                    pos += chunk.n_pos
                elif embedding is not None:
                    pos = self._context.decode_picture(self._vision, chunk, embedding, slot, pos)
                cells += chunk.n_tokens
        self._n_pos[head.key], self._cells[head.key] = pos, cells
        self.computed += 1
        return cells

"""Which prefix each slot of a context holds, and which tokens after it. Bookkeeping only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..native.library import Ints
from ..scheduling.request_plan import Key, Prefix


@dataclass
class Slot:
    """A slot's contents: a prefix (None: empty) of `n_pos` positions and `cells` cells, and the
    tokens of the `path` decoded after it; `used` is when it was last assigned."""

    prefix: Prefix | None = None
    n_pos: int = 0
    cells: int = 0
    used: int = 0
    path: Ints = field(default_factory=lambda: np.empty(0, np.int32))

    @property
    def extra(self) -> int:
        """How many tokens were decoded after the prefix."""
        return len(self.path)

    @property
    def key(self) -> Key | None:
        return self.prefix.key if self.prefix else None


class SlotTable:
    """The slots of one context, each with room for `capacity` cells."""

    def __init__(self, slots: int, capacity: int) -> None:
        self.capacity = capacity
        self._slots = [Slot() for _ in range(slots)]
        self._tick = 0

    def __len__(self) -> int:
        return len(self._slots)

    def __getitem__(self, slot: int) -> Slot:
        return self._slots[slot]

    def position(self, slot: int) -> int:
        """The position of the slot's next token."""
        held = self._slots[slot]
        return held.n_pos + held.extra

    def room(self, slot: int) -> int:
        """Tokens that can still be decoded in the slot."""
        held = self._slots[slot]
        return self.capacity - held.cells - held.extra

    def hold(self, slot: int, prefix: Prefix, n_pos: int, cells: int) -> None:
        """Record that the slot holds exactly this prefix."""
        self._slots[slot] = Slot(prefix, n_pos, cells, self._tick)

    def advance(self, slot: int, tokens: Ints) -> None:
        """Record that these tokens were decoded in the slot."""
        held = self._slots[slot]
        held.path = np.concatenate((held.path, tokens))

    def common(self, slot: int, start: int, tokens: Ints) -> int:
        """How many of the first `tokens` the slot holds, `start` tokens after its prefix."""
        held = self._slots[slot].path[start : start + len(tokens)]
        differs = np.flatnonzero(held != tokens[: len(held)])
        return int(differs[0]) if len(differs) else len(held)

    def empty(self, slot: int) -> None:
        self._slots[slot] = Slot()

    def find(self, key: Key) -> int | None:
        """A slot that holds the prefix, if there is one."""
        return next((i for i, held in enumerate(self._slots) if held.key == key), None)

    def assign(self, keys: Sequence[Key]) -> list[int]:
        """A slot for each prefix: held prefixes keep theirs, the others get neighbouring slots that
        cost little to empty. Second slots of a prefix come after the first slots of all, so that
        the first ones alone are neighbours too."""
        self._tick += 1
        taken: set[int] = set()
        slots = [self._take(key, taken) for key in keys]
        missing = [index for index, slot in enumerate(slots) if slot < 0]
        missing.sort(key=lambda index: keys[:index].count(keys[index]))
        for index, slot in zip(missing, self._free(len(missing), taken), strict=True):
            slots[index] = slot
        for slot in slots:
            self._slots[slot].used = self._tick
        return slots

    def _take(self, key: Key, taken: set[int]) -> int:
        for slot, held in enumerate(self._slots):
            if held.key == key and slot not in taken:
                taken.add(slot)
                return slot
        return -1

    def _free(self, count: int, taken: Collection[int]) -> list[int]:
        """The cheapest `count` slots in a row, skipping those that are taken."""
        free = [slot for slot in range(len(self._slots)) if slot not in taken]
        copies = Counter(held.key for held in self._slots)
        price = [self._price(held, copies[held.key]) for held in self._slots]
        runs = [free[start : start + count] for start in range(len(free) - count + 1)]
        return min(runs, key=lambda run: sum(price[slot] for slot in run)) if count else []

    def _price(self, held: Slot, copies: int) -> float:
        """The loss of emptying a slot; greatest for a recently used prefix without a copy."""
        if held.key is None:
            return 0.0
        return 0.1 if copies > 1 else 1.0 + held.used / self._tick

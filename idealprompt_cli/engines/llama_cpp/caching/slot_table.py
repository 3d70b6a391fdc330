"""What is in each slot of a context: a head, and how many tokens after it. Bookkeeping only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from .image_embeddings import Head, Key


@dataclass
class Resident:
    """A slot's contents: a head (None: nothing) of `n_pos` positions and `cells` cells, and
    `extra` tokens decoded after it."""

    head: Head | None = None
    n_pos: int = 0
    cells: int = 0
    extra: int = 0
    used: int = 0

    @property
    def key(self) -> Key | None:
        return self.head.key if self.head else None


class Residents:
    """The slots of one context, each with room for `capacity` cells."""

    def __init__(self, slots: int, capacity: int) -> None:
        self.capacity = capacity
        self._slots = [Resident() for _ in range(slots)]
        self._tick = 0

    def __len__(self) -> int:
        return len(self._slots)

    def __getitem__(self, slot: int) -> Resident:
        return self._slots[slot]

    def position(self, slot: int) -> int:
        """Where the slot's next token goes."""
        resident = self._slots[slot]
        return resident.n_pos + resident.extra

    def room(self, slot: int) -> int:
        """Tokens that can still be decoded in the slot."""
        resident = self._slots[slot]
        return self.capacity - resident.cells - resident.extra

    def hold(self, slot: int, head: Head, n_pos: int, cells: int) -> None:
        """Note that the slot holds exactly this head now."""
        self._slots[slot] = Resident(head, n_pos, cells, 0, self._tick)

    def empty(self, slot: int) -> None:
        self._slots[slot] = Resident()

    def where(self, key: Key) -> int | None:
        """A slot that holds the head, if there is one."""
        return next((i for i, resident in enumerate(self._slots) if resident.key == key), None)

    def assign(self, keys: Sequence[Key]) -> list[int]:
        """A slot for each head: those already there stay, the others get neighbouring slots that
        cost little to empty. A head's second slot lies behind everybody's first one, so that the
        first ones alone are neighbours too."""
        self._tick += 1
        taken: set[int] = set()
        slots = [self._find(key, taken) for key in keys]
        missing = [index for index, slot in enumerate(slots) if slot < 0]
        missing.sort(key=lambda index: keys[:index].count(keys[index]))
        for index, slot in zip(missing, self._free(len(missing), taken), strict=True):
            slots[index] = slot
        for slot in slots:
            self._slots[slot].used = self._tick
        return slots

    def _find(self, key: Key, taken: set[int]) -> int:
        for slot, resident in enumerate(self._slots):
            if resident.key == key and slot not in taken:
                taken.add(slot)
                return slot
        return -1

    def _free(self, count: int, taken: Collection[int]) -> list[int]:
        """The cheapest `count` slots in a row, jumping over those that are taken."""
        free = [slot for slot in range(len(self._slots)) if slot not in taken]
        copies = Counter(resident.key for resident in self._slots)
        price = [self._price(resident, copies[resident.key]) for resident in self._slots]
        runs = [free[start : start + count] for start in range(len(free) - count + 1)]
        return min(runs, key=lambda run: sum(price[slot] for slot in run)) if count else []

    def _price(self, resident: Resident, copies: int) -> float:
        """What emptying a slot loses: nothing, a copy, or a head used more or less lately."""
        if resident.key is None:
            return 0.0
        return 0.1 if copies > 1 else 1.0 + resident.used / self._tick

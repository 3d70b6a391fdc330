"""The fast path's context, as large as the work needs and the memory allows.

Cells are what a key-value memory costs, and most prompts need far fewer than the model's longest.
So the context is made for the first call and made anew, larger, when a call needs more sequences
or longer ones; what the old one held is saved and loaded into the new one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ....core.errors import ModelError
from ..native.context import Context
from ..scheduling.sequence_groups import DecodeCost
from .image_embeddings import Head, Pictures
from .prefix_cache import Heads

_ROUND = 256
"""Attention runs over a multiple of so many cells (llama.cpp's padding), so a sequence gets one."""
_LEAST_SLOTS = 4


@dataclass(frozen=True)
class Sizes:
    """Bounds: `n_ctx` cells and `most_slots` sequences at most; `kv_bytes` for all of them, at
    `cell_bytes` each. `slots` above 0 fixes the number of sequences."""

    n_ctx: int
    most_slots: int
    kv_bytes: int
    cell_bytes: int
    slots: int = 0

    def fit(self, need: int, sequences: int) -> tuple[int, int]:
        """(sequences, cells of each) for prompts of `need` cells: spare cells and all the wanted
        sequences if there is memory, else fewer. Raises `ModelError` if not one fits."""
        least = min(self.n_ctx, _up(need))
        wanted = self.slots or min(self.most_slots, _power(max(sequences, _LEAST_SLOTS)))
        for cells in (min(self.n_ctx, _up(need + _ROUND)), least):
            if self._count(cells) >= wanted:
                return wanted, cells
        count = min(wanted, self._count(least))
        if count < 1:
            needed = least * self.cell_bytes
            raise ModelError(
                f"a prompt of {need} tokens needs {needed / 2**20:.1f} MiB of key-value memory and "
                f"{self.kv_bytes / 2**20:.1f} MiB are left for it; use a larger --memory"
            )
        return count, least

    def _count(self, cells: int) -> int:
        return self.kv_bytes // max(1, cells * self.cell_bytes)


class Arena:
    """Context and heads of the fast path. `make` builds a context of (slots, cells)."""

    def __init__(
        self,
        make: Callable[[int, int], Context],
        heads: Heads,
        pictures: Pictures,
        sizes: Sizes,
        cost: DecodeCost,
    ) -> None:
        self._make, self._pictures, self._sizes = make, pictures, sizes
        self.heads, self.cost = heads, cost
        self._context: Context | None = None

    @property
    def context(self) -> Context:
        """The context as it is now; only after `make_room`."""
        assert self._context is not None
        return self._context

    @property
    def limit(self) -> int:
        """The most cells that a sequence may ever have."""
        return self._sizes.n_ctx

    def cells(self, head: Head) -> int:
        """Cells that a head takes up."""
        return self._pictures.measure(head)[0]

    def make_room(self, need: int, sequences: int) -> None:
        """See to a context whose sequences hold `need` cells each, and to as many sequences as
        are wanted and fit."""
        old = self._context
        need = min(need, self._sizes.n_ctx)
        if old is not None:
            more = sequences > old.slots and self._sizes.fit(old.n_ctx, sequences)[0] > old.slots
            if need <= old.n_ctx and not more:
                return
            need, sequences = max(need, old.n_ctx - _ROUND), max(sequences, old.slots)
        slots, cells = self._sizes.fit(need, sequences)
        if old is not None:
            self.heads.leave()
            self.close()
        self._context = self._make(slots, cells)
        self.heads.use(self._context)

    def close(self) -> None:
        if self._context is not None:
            self._context.close()
            self._context = None


def _up(cells: int) -> int:
    return -(-cells // _ROUND) * _ROUND


def _power(count: int) -> int:
    """The next power of two."""
    return 1 << (count - 1).bit_length()

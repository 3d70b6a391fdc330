"""The batched backend's context, as large as the work needs and the memory allows.

Memory is paid per cell, and most prompts need far fewer cells than the model's maximum. So the
context is made for the first call and replaced by a larger one when a call needs more or longer
sequences; prefixes of the old one are saved and loaded into the new one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ....core.errors import ModelError
from ..native.context import Context
from ..scheduling.request_plan import Prefix
from ..scheduling.sequence_groups import DecodeCost
from .image_embeddings import ImageEmbeddings
from .prefix_cache import PrefixCache

_ROUND = 256
"""Attention runs over a multiple of so many cells (llama.cpp's padding), so a sequence gets one."""
_LEAST_SLOTS = 4


@dataclass(frozen=True)
class ContextLimits:
    """Bounds: `n_ctx` cells and `most_slots` sequences at most; `kv_bytes` for all of them, at
    `cell_bytes` each. `slots` above 0 fixes the number of sequences."""

    n_ctx: int
    most_slots: int
    kv_bytes: int
    cell_bytes: int
    slots: int = 0

    def fit(self, need: int, sequences: int) -> tuple[int, int]:
        """(sequences, cells of each) for prompts of `need` cells: `sequences` of them with spare
        cells if the memory allows, else fewer. Raises `ModelError` if none fits."""
        least = min(self.n_ctx, _up(need))
        count = self.slots or min(self.most_slots, _power(max(sequences, _LEAST_SLOTS)))
        for cells in (min(self.n_ctx, _up(need + _ROUND)), least):
            if self._count(cells) >= count:
                return count, cells
        count = min(count, self._count(least))
        if count < 1:
            needed = least * self.cell_bytes
            raise ModelError(
                f"a prompt of {need} tokens needs {needed / 2**20:.1f} MiB of key-value memory and "
                f"{self.kv_bytes / 2**20:.1f} MiB are left for it; use a larger --memory"
            )
        return count, least

    def _count(self, cells: int) -> int:
        return self.kv_bytes // max(1, cells * self.cell_bytes)


class ContextPool:
    """Context and prefix cache of the batched backend; `make(slots, cells)` builds a context."""

    def __init__(
        self,
        make: Callable[[int, int], Context],
        prefixes: PrefixCache,
        embeddings: ImageEmbeddings,
        limits: ContextLimits,
        cost: DecodeCost,
    ) -> None:
        self._make, self._embeddings, self._limits = make, embeddings, limits
        self.prefixes, self.cost = prefixes, cost
        self._context: Context | None = None

    @property
    def context(self) -> Context:
        """The current context; only after `make_room`."""
        assert self._context is not None
        return self._context

    @property
    def limit(self) -> int:
        """The most cells that a sequence may have."""
        return self._limits.n_ctx

    def cells(self, prefix: Prefix) -> int:
        """Cells of a prefix."""
        return self._embeddings.measure(prefix)[0]

    def make_room(self, need: int, sequences: int) -> None:
        """Ensure a context whose sequences hold `need` cells each, with up to `sequences`
        sequences as the limits allow."""
        old = self._context
        need = min(need, self._limits.n_ctx)
        if old is not None:
            more = sequences > old.slots and self._limits.fit(old.n_ctx, sequences)[0] > old.slots
            if need <= old.n_ctx and not more:
                return
            need, sequences = max(need, old.n_ctx - _ROUND), max(sequences, old.slots)
        slots, cells = self._limits.fit(need, sequences)
        if old is not None:
            self.prefixes.save_all()
            self.close()
        self._context = self._make(slots, cells)
        self.prefixes.attach(self._context)

    def close(self) -> None:
        if self._context is not None:
            self._context.close()
            self._context = None


def _up(cells: int) -> int:
    return -(-cells // _ROUND) * _ROUND


def _power(count: int) -> int:
    """The next power of two."""
    return 1 << (count - 1).bit_length()

"""Heads (template text and pictures) in the context's slots, computed once and kept.

Four levels, each bounded: resident in a slot; saved as a state in RAM, restored by a copy; saved
on disk, where reading is quicker than computing; and the pictures' embeddings (`pictures.py`),
from which a head is decoded again without encoding.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from ..native.context import Context
from ..native.timing import Clock
from ..native.vision import Vision
from .image_embeddings import Bounded, EncodedHead, Head, Key, Part, Pictures
from .sequence_state import State
from .slot_table import Residents

_TOGETHER_BYTES = 64 << 20
"""Heads are computed together as long as their embeddings take no more than this."""


class StateStore(Protocol):
    """Where states are kept between processes."""

    def get(self, key: Key) -> State | None: ...

    def put(self, key: Key, state: State) -> None: ...

    def worth(self, n_bytes: int, seconds: float) -> bool:
        """Whether a state of this size that took so long to compute is quicker to read."""


class Heads:
    """Puts heads into slots of a context and rolls slots back to them.

    `cuttable` says whether the memory can be cut after any token; where it cannot (recurrent
    layers), rolling back restores the head's saved state instead.
    """

    def __init__(
        self,
        vision: Vision,
        pictures: Pictures,
        clock: Clock,
        state_bytes: int,
        cuttable: bool,
        disk: StateStore | None = None,
    ) -> None:
        self._vision, self._pictures, self._clock, self._disk = vision, pictures, clock, disk
        self.cuttable = cuttable
        self._states: Bounded[State] = Bounded(state_bytes)

    def use(self, context: Context) -> None:
        """Work on this context from now on; its slots are empty."""
        self.context = context
        self.residents = Residents(context.slots, context.n_ctx)

    def leave(self) -> None:
        """Save what the context holds, as far as there is room, since it is about to close."""
        for slot in range(len(self.residents)):
            self._evict(slot)

    def place(self, heads: Sequence[Head]) -> list[tuple[int, int]]:
        """A slot for each head that holds exactly that head, and the cells computed for it."""
        slots = self.residents.assign([head.key for head in heads])
        missing: list[tuple[int, Head]] = []
        for slot, head in zip(slots, heads, strict=True):
            if self.residents[slot].key != head.key or not self._roll_back(slot):
                missing.append((slot, head))
        for slot, _ in missing:
            self._evict(slot)
        computed = self._fill(missing)
        return [(slot, computed.get(slot, 0)) for slot in slots]

    def resident(self, head: Head) -> bool:
        """Whether some slot holds the head."""
        return self.residents.where(head.key) is not None

    def rewind(self, slot: int, depth: int) -> None:
        """Cut a slot back to `depth` tokens after its head (0 where it is not cuttable)."""
        resident = self.residents[slot]
        if resident.extra <= depth:
            return
        if self.cuttable or not resident.cells:
            self.context.cut(slot, resident.n_pos + depth)
            resident.extra = depth
        else:
            assert resident.head is not None
            self._clear(slot)
            self._fill([(slot, resident.head)])

    def advance(self, slot: int, count: int) -> None:
        """Note that so many tokens were decoded in the slot."""
        self.residents[slot].extra += count

    def forget(self) -> None:
        """Drop all residents, after a failed decode for instance. Saved states stay."""
        self.context.clear()
        self.residents = Residents(self.context.slots, self.context.n_ctx)

    def _roll_back(self, slot: int) -> bool:
        """Make a slot hold its head alone; False where that needs the saved state."""
        resident = self.residents[slot]
        if resident.extra and (self.cuttable or not resident.cells):
            self.rewind(slot, 0)
        return not resident.extra

    def _evict(self, slot: int) -> None:
        """Empty a slot; its head's state is saved first unless it is already."""
        resident = self.residents[slot]
        if resident.key and self._roll_back(slot):
            self._save(slot, resident.key)
        if resident.cells or resident.extra:
            self._clear(slot)
        self.residents.empty(slot)

    def _clear(self, slot: int) -> None:
        self.context.cut(slot, 0)
        self.residents.empty(slot)

    def _save(self, slot: int, key: Key) -> None:
        if self._states.limit and self._states.get(key) is None:
            self._states.put(key, self.context.save(slot))

    def _fill(self, missing: Sequence[tuple[int, Head]]) -> dict[int, int]:
        """Bring heads into empty slots, each in the cheapest way -> cells computed by slot."""
        copies: list[tuple[int, Head]] = []
        unknown: dict[Key, tuple[int, Head]] = {}
        for slot, head in missing:
            if not head.images:
                self.residents.hold(slot, head, 0, 0)
            elif head.key in unknown or self.resident(head):
                copies.append((slot, head))
            elif not self._restore(slot, head):
                unknown[head.key] = (slot, head)
        computed = self._compute(list(unknown.values()))
        for slot, head in copies:
            self._copy(slot, head)
        return computed

    def _size(self, head: Head) -> tuple[int, int]:
        """(positions, cells) of a head."""
        cells, n_pos = self._pictures.measure(head)
        return n_pos, cells

    def _restore(self, slot: int, head: Head) -> bool:
        """Load a saved state from RAM or disk into an empty slot, if there is one."""
        state = self._states.get(head.key)
        if state is None and self._disk is not None:
            state = self._disk.get(head.key)
            if state is not None:
                self._clock.heads_from_disk += 1
                self._states.put(head.key, state)
        if state is None or not self.context.load(slot, state):
            return False
        self._clock.heads_restored += 1
        self.residents.hold(slot, head, *self._size(head))
        return True

    def _copy(self, slot: int, head: Head) -> None:
        """Fill an empty slot from the slot that holds the same head."""
        source = self.residents.where(head.key)
        if source is not None and self._roll_back(source):
            state = self._states.get(head.key)
            if state is None:
                state = self.context.save(source)
                self._states.put(head.key, state)
            if self.context.load(slot, state):
                self.residents.hold(slot, head, *self._size(head))
                return
        if not self._restore(slot, head):
            self._compute([(slot, head)])

    # --- computing ----------------------------------------------------------------------------

    def _compute(self, wanted: Sequence[tuple[int, Head]]) -> dict[int, int]:
        """Decode heads into empty slots, those of the same shape together -> cells by slot."""
        computed: dict[int, int] = {}
        for batch in self._batches(wanted):
            started = time.perf_counter()
            self._decode(batch)
            seconds = time.perf_counter() - started
            self._clock.head_seconds += seconds
            self._clock.heads_computed += len(batch)
            for slot, encoded in batch:
                n_pos = sum(part.n_pos for part in encoded.parts)
                computed[slot] = sum(part.n_tokens for part in encoded.parts)
                self.residents.hold(slot, encoded.head, n_pos, computed[slot])
                self._keep(slot, encoded.head.key, seconds / len(batch))
        return computed

    def _keep(self, slot: int, key: Key, seconds: float) -> None:
        """Save a fresh head where it will be needed: at once if the slot cannot be rolled back,
        and on disk if reading it there will be quicker than computing it again."""
        if not self.cuttable:
            self._save(slot, key)
        if self._disk is None:
            return
        size = self.context.size(slot)
        if self._disk.worth(size, seconds):
            state = self._states.get(key)
            self._disk.put(key, self.context.save(slot) if state is None else state)

    def _batches(
        self, wanted: Sequence[tuple[int, Head]]
    ) -> Iterator[list[tuple[int, EncodedHead]]]:
        """Heads that can be decoded together: same kinds and lengths of parts, not too large.
        Heads whose pictures the library must decode come one at a time, while it holds them."""
        alike: dict[object, list[tuple[int, EncodedHead]]] = defaultdict(list)
        used: dict[object, int] = defaultdict(int)
        for slot, head in wanted:
            with self._pictures.encoded(head) as encoded:
                if encoded.native:
                    yield [(slot, encoded)]
                    continue
                shape = tuple((part.tokens is None, part.n_tokens) for part in encoded.parts)
                used[shape] += encoded.n_bytes()
                alike[shape].append((slot, encoded))
                if used[shape] >= _TOGETHER_BYTES:
                    yield alike.pop(shape)
                    used.pop(shape)
        yield from alike.values()

    def _decode(self, batch: list[tuple[int, EncodedHead]]) -> None:
        positions = [0] * len(batch)
        slots = [slot for slot, _ in batch]
        for parts in zip(*(encoded.parts for _, encoded in batch), strict=True):
            if parts[0].tokens is not None:
                self._decode_text(slots, parts, positions)
            elif batch[0][1].native:
                self._decode_native(slots[0], parts[0], positions[0])
            else:
                embeddings = [part.embedding for part in parts if part.embedding is not None]
                self.context.decode_embeddings(slots, embeddings, positions)
            positions = [pos + part.n_pos for pos, part in zip(positions, parts, strict=True)]

    def _decode_text(
        self, slots: Sequence[int], parts: Sequence[Part], positions: Sequence[int]
    ) -> None:
        context, length = self.context, parts[0].n_tokens
        together = max(1, min(len(slots), context.n_ubatch // length))
        for begin in range(0, len(slots), together):
            if length > context.n_batch:
                context.decode_tokens(slots[begin], parts[begin].tokens or (), positions[begin], 0)
                continue
            batch, n = context.batch, 0
            for index in range(begin, min(begin + together, len(slots))):
                end = n + length
                batch.token[n:end] = parts[index].tokens or ()
                batch.pos[n:end] = np.arange(positions[index], positions[index] + length)
                batch.seq[n:end] = batch.address[slots[index]]
                n = end
            batch.logits[:n] = 0
            context.decode(n, 0)

    def _decode_native(self, slot: int, part: Part, pos: int) -> None:
        assert part.chunk is not None
        assert part.embedding is not None
        self.context.decode_picture(self._vision, part.chunk, part.embedding, slot, pos)

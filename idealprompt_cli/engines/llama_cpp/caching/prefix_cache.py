"""The prefix cache: prefixes (template text, pictures and fields) computed once and kept.

Four levels, each bounded: in a slot of the context; as a saved state in RAM, restored by a copy; as
a saved state on disk, where reading is faster than computing; and the pictures' embeddings
(`image_embeddings.py`), from which a prefix is decoded again without encoding.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from ..native.context import Context
from ..native.library import Clock, Ints
from ..native.sequence_state import SequenceState
from ..scheduling.batch_decode import Segment, decode
from ..scheduling.request_plan import Key, Prefix
from ..scheduling.sequence_groups import DecodeCost
from .image_embeddings import EncodedPrefix, ImageEmbeddings, LruCache, PrefixPart
from .shared_beginning import SharedBeginning
from .slot_table import SlotTable

_TOGETHER_BYTES = 64 << 20
"""Prefixes are computed together as long as their embeddings take no more than this."""


class StateStore(Protocol):
    """Keeps saved states between processes."""

    def get(self, key: Key) -> SequenceState | None: ...

    def put(self, key: Key, state: SequenceState) -> None: ...

    def pays(self, n_bytes: int, seconds: float) -> bool:
        """Whether reading a state of this size is faster than the `seconds` of computing it."""


class PrefixCache:
    """Brings prefixes into slots of a context and rolls slots back to them.

    `truncatable`: the memory can be truncated after any token. Where it cannot (recurrent layers),
    rolling back restores the prefix's saved state instead.
    """

    def __init__(
        self, embeddings: ImageEmbeddings, clock: Clock, cost: DecodeCost, state_bytes: int,
        truncatable: bool, disk: StateStore | None = None,
    ) -> None:  # fmt: skip
        self._embeddings, self._clock, self._cost, self._disk = embeddings, clock, cost, disk
        self.truncatable = truncatable
        self._states: LruCache[SequenceState] = LruCache(state_bytes)
        self._beginning = SharedBeginning(self._states, cost)

    def attach(self, context: Context) -> None:
        """Use this context from now on; its slots are empty."""
        self.context = context
        self.table = SlotTable(context.slots, context.n_ctx)

    def save_all(self) -> None:
        """Save what the context holds, as far as there is room, before it is closed."""
        for slot in range(len(self.table)):
            self._evict(slot)

    def place(self, prefixes: Sequence[Prefix]) -> list[tuple[int, int]]:
        """A slot for each prefix that holds that prefix, and the cells computed for it. Where the
        slot is truncatable, it may hold tokens of an earlier prompt after the prefix, which the
        next one may begin with too: see `reusable`, and `rewind`."""
        slots = self.table.assign([prefix.key for prefix in prefixes])
        missing: list[tuple[int, Prefix]] = []
        for slot, prefix in zip(slots, prefixes, strict=True):
            held = self.table[slot].key == prefix.key
            if not held or not (self.truncatable or self._roll_back(slot)):
                missing.append((slot, prefix))
        for slot, _ in missing:
            self._evict(slot)
        computed = self._fill(missing)
        return [(slot, computed.get(slot, 0)) for slot in slots]

    def holds(self, prefix: Prefix) -> bool:
        """Whether some slot holds the prefix."""
        return self.table.find(prefix.key) is not None

    def reusable(self, slot: int, start: int, tokens: Ints) -> int:
        """How many of the first `tokens`, `start` tokens after the prefix, are in the slot and need
        not be decoded again."""
        return self.table.common(slot, start, tokens) if self.truncatable else 0

    def rewind(self, slot: int, depth: int) -> None:
        """Truncate a slot to `depth` tokens after its prefix (0 where it is not truncatable)."""
        held = self.table[slot]
        if held.extra <= depth:
            return
        if self.truncatable or not held.cells:
            self.context.truncate(slot, held.n_pos + depth)
            held.path = held.path[:depth]
        else:
            assert held.prefix is not None
            self._clear(slot)
            self._fill([(slot, held.prefix)])

    def reset(self) -> None:
        """Empty all slots, for instance after a failed decode. Saved states stay."""
        self.context.clear()
        self.table = SlotTable(self.context.slots, self.context.n_ctx)

    def _roll_back(self, slot: int) -> bool:
        """Truncate a slot to its prefix; False where that needs the saved state."""
        held = self.table[slot]
        if held.extra and (self.truncatable or not held.cells):
            self.rewind(slot, 0)
        return not held.extra

    def _evict(self, slot: int) -> None:
        """Empty a slot; its prefix's state is saved first unless it is saved already."""
        held = self.table[slot]
        if held.key and self._roll_back(slot):
            self._save(slot, held.key)
        if held.cells or held.extra:
            self._clear(slot)
        self.table.empty(slot)

    def _clear(self, slot: int) -> None:
        self.context.truncate(slot, 0)
        self.table.empty(slot)

    def _save(self, slot: int, key: Key) -> None:
        if self._states.limit and self._states.get(key) is None:
            self._states.put(key, self.context.save(slot))

    def _fill(self, missing: Sequence[tuple[int, Prefix]]) -> dict[int, int]:
        """Bring prefixes into empty slots, each in the cheapest way -> cells computed by slot."""
        copies: list[tuple[int, Prefix]] = []
        unknown: dict[Key, tuple[int, Prefix]] = {}
        for slot, prefix in missing:
            if prefix.empty:
                self.table.hold(slot, prefix, 0, 0)
            elif prefix.key in unknown or self.holds(prefix):
                copies.append((slot, prefix))
            elif not self._restore(slot, prefix):
                unknown[prefix.key] = (slot, prefix)
        computed = self._compute(list(unknown.values()))
        for slot, prefix in copies:
            self._copy(slot, prefix)
        return computed

    def _size(self, prefix: Prefix) -> tuple[int, int]:
        """(positions, cells) of a prefix."""
        cells, n_pos = self._embeddings.measure(prefix)
        return n_pos, cells

    def _restore(self, slot: int, prefix: Prefix) -> bool:
        """Load the saved state from RAM or disk into an empty slot; False if there is none."""
        state = self._states.get(prefix.key)
        if state is None and self._disk is not None:
            state = self._disk.get(prefix.key)
            if state is not None:
                self._clock.prefixes_from_disk += 1
                self._states.put(prefix.key, state)
        if state is None or not self.context.load(slot, state):
            return False
        self._clock.prefixes_restored += 1
        self.table.hold(slot, prefix, *self._size(prefix))
        return True

    def _copy(self, slot: int, prefix: Prefix) -> None:
        """Fill an empty slot from the slot that holds the same prefix."""
        source = self.table.find(prefix.key)
        if source is not None and self._roll_back(source):
            state = self._states.get(prefix.key)
            if state is None:
                state = self.context.save(source)
                self._states.put(prefix.key, state)
            if self.context.load(slot, state):
                self.table.hold(slot, prefix, *self._size(prefix))
                return
        if not self._restore(slot, prefix):
            self._compute([(slot, prefix)])

    # --- computing ----------------------------------------------------------------------------

    def _compute(self, missing: Sequence[tuple[int, Prefix]]) -> dict[int, int]:
        """Decode prefixes into empty slots, pictures before fields -> cells by slot."""
        seconds = self._compute_pictures([(s, prefix) for s, prefix in missing if prefix.images])
        with_fields = [(slot, prefix) for slot, prefix in missing if prefix.fields]
        if with_fields:
            started = time.perf_counter()
            self._decode_fields(with_fields)
            share = (time.perf_counter() - started) / len(with_fields)
            for slot, _ in with_fields:
                seconds[slot] = seconds.get(slot, 0.0) + share
        self._clock.prefix_seconds += sum(seconds.values())
        self._clock.prefixes_computed += len(missing)
        for slot, prefix in missing:
            self.table.hold(slot, prefix, *self._size(prefix))
            self._keep(slot, prefix.key, seconds[slot])
        return {slot: self._size(prefix)[1] for slot, prefix in missing}

    def _compute_pictures(self, missing: Sequence[tuple[int, Prefix]]) -> dict[int, float]:
        """Decode all but the fields, prefixes of the same shape together -> seconds by slot."""
        seconds: dict[int, float] = {}
        for batch in self._batches(missing):
            started = time.perf_counter()
            self._decode(batch)
            taken = time.perf_counter() - started
            for slot, encoded in batch:
                seconds[slot] = taken / len(batch)
                n_pos = sum(part.n_pos for part in encoded.parts)
                cells = sum(part.n_tokens for part in encoded.parts)
                self.table.hold(slot, encoded.prefix, n_pos, cells)
        return seconds

    def _decode_fields(self, prefixes: Sequence[tuple[int, Prefix]]) -> None:
        """Append the fields of each prefix to its slot, a batch's capacity of each at a time."""
        capacity, context, table = self.context.n_batch, self.context, self.table
        done = self._beginning.place(context, table, prefixes) if self.truncatable else 0
        longest = max(len(prefix.fields) for _, prefix in prefixes)
        for begin in range(done, longest, capacity):
            segments = [
                Segment(slot, np.array(part, np.int32), np.zeros(len(part), np.int8), 0)
                for slot, prefix in prefixes
                if (part := prefix.fields[begin : begin + capacity])
            ]
            for _ in decode(self.context, self.table, segments, self._cost, self.truncatable):
                pass

    def _keep(self, slot: int, key: Key, seconds: float) -> None:
        """Save a computed prefix: in RAM if the slot cannot be rolled back, and on disk if reading
        it is faster than computing it again."""
        if not self.truncatable:
            self._save(slot, key)
        if self._disk is None:
            return
        size = self.context.size(slot)
        if self._disk.pays(size, seconds):
            state = self._states.get(key)
            self._disk.put(key, self.context.save(slot) if state is None else state)

    def _batches(
        self, missing: Sequence[tuple[int, Prefix]]
    ) -> Iterator[list[tuple[int, EncodedPrefix]]]:
        """Prefixes that can be decoded together: same kinds and lengths of parts, not too large.
        Prefixes whose pictures the library must decode come one at a time."""
        alike: dict[object, list[tuple[int, EncodedPrefix]]] = defaultdict(list)
        used: dict[object, int] = defaultdict(int)
        for slot, prefix in missing:
            with self._embeddings.encoded(prefix) as encoded:
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

    def _decode(self, batch: list[tuple[int, EncodedPrefix]]) -> None:
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
        self, slots: Sequence[int], parts: Sequence[PrefixPart], positions: Sequence[int]
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

    def _decode_native(self, slot: int, part: PrefixPart, pos: int) -> None:
        assert part.chunk is not None
        assert part.embedding is not None
        self.context.decode_picture(
            self._embeddings.vision(), part.chunk, part.embedding, slot, pos
        )

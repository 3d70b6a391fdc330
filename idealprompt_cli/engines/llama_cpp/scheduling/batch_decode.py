"""Decode tokens of many slots in the cheapest grouping, and return the requested logits."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..native.context import Batch, Context
from ..native.library import Floats, Ints
from .sequence_groups import DecodeCost, Group, grouped


@dataclass(frozen=True)
class Segment:
    """Tokens to append to a slot, at most one batch of them. `outputs` marks those whose logits
    are requested, `n_outputs` of them."""

    slot: int
    tokens: Ints
    outputs: npt.NDArray[np.int8]
    n_outputs: int


class Slots(Protocol):
    """What is known of the context's slots; see `caching.slot_table.SlotTable`."""

    def position(self, slot: int) -> int:
        """The position of the slot's next token."""

    def room(self, slot: int) -> int:
        """Tokens that can still be decoded in the slot."""

    def advance(self, slot: int, tokens: Ints) -> None:
        """Record that these tokens were decoded in the slot."""


def decode(
    context: Context, slots: Slots, segments: Sequence[Segment], cost: DecodeCost, pad: bool
) -> Iterator[tuple[list[int], Floats]]:
    """Decode segments of different slots -> per native call the indices of its segments and their
    logits (outputs, n_vocab) in that order, a view that the next call overwrites. `pad` allows
    padding, which needs a memory that can be truncated."""
    order = sorted(range(len(segments)), key=lambda index: segments[index].slot)
    used = tuple(segments[index].slot for index in order)
    lengths = tuple(len(segments[index].tokens) for index in order)
    longest = max(lengths)
    span = range(used[0], used[-1] + 1)
    pad = pad and all(slots.room(slot) >= longest for slot in span)
    for group in grouped(used, lengths, cost, context.n_ubatch, pad):
        for part in _micro_batches(group, used, context.n_ubatch):
            chosen = [order[index] for index in range(part.begin, part.end)]
            yield chosen, _run(context, slots, [segments[i] for i in chosen], part.length)


def _micro_batches(group: Group, used: Sequence[int], n_ubatch: int) -> Iterator[Group]:
    """A group in parts that each fill one native micro-batch about equally."""
    first, span = used[group.begin], used[group.end - 1] - used[group.begin] + 1
    parts = -(-span // max(1, n_ubatch // group.length))
    begin = group.begin
    for index in range(1, parts + 1):
        stop = first + span * index // parts
        end = bisect_left(used, stop, begin, group.end)
        if begin < end:
            yield Group(begin, end, group.length)
        begin = end


def _run(context: Context, slots: Slots, segments: Sequence[Segment], length: int) -> Floats:
    """One native call: the segments at their slots' ends, padded to `length`, and padding in the
    slots between them; the padding is truncated again."""
    by_slot = {segment.slot: segment for segment in segments}
    span = range(segments[0].slot, segments[-1].slot + 1)
    starts = [slots.position(slot) for slot in span]
    for index, (slot, start) in enumerate(zip(span, starts, strict=True)):
        _fill(context.batch, index * length, length, by_slot.get(slot), slot, start)
    n, real = len(span) * length, sum(len(segment.tokens) for segment in segments)
    context.clock.padding += n - real
    logits = context.decode(n, sum(segment.n_outputs for segment in segments))
    for slot, start in zip(span, starts, strict=True):
        count = 0
        if slot in by_slot:
            count = len(by_slot[slot].tokens)
            slots.advance(slot, by_slot[slot].tokens)
        if count < length:
            context.truncate(slot, start + count)
    return logits


def _fill(
    batch: Batch, begin: int, length: int, segment: Segment | None, slot: int, start: int
) -> None:
    """Write one slot's tokens, or padding, into the batch at `begin`."""
    middle, end = begin + (len(segment.tokens) if segment else 0), begin + length
    if segment is not None:
        batch.token[begin:middle] = segment.tokens
        batch.logits[begin:middle] = segment.outputs
    batch.token[middle:end] = 0
    batch.logits[middle:end] = 0
    batch.seq[begin:end] = batch.address[slot]
    batch.pos[begin:end] = np.arange(start, start + length)

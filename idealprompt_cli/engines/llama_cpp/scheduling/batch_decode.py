"""Tokens for many slots, decoded in the cheapest grouping, and the logits that were asked for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..caching.prefix_cache import Heads
from ..native.context import Batch, Context, Floats, Ints
from .sequence_groups import DecodeCost, Group, grouped


@dataclass(frozen=True)
class Piece:
    """Tokens to decode at the end of a slot, at most one batch of them. `outputs` marks those
    whose logits are wanted, `n_outputs` of them."""

    slot: int
    tokens: Ints
    outputs: npt.NDArray[np.int8]
    n_outputs: int


def decode(
    context: Context, heads: Heads, pieces: Sequence[Piece], cost: DecodeCost
) -> Iterator[tuple[list[int], Floats]]:
    """Decode pieces for different slots -> per native call the indices of its pieces and their
    logits (outputs, n_vocab) in that order, a view that the next call overwrites."""
    order = sorted(range(len(pieces)), key=lambda index: pieces[index].slot)
    slots = tuple(pieces[index].slot for index in order)
    lengths = tuple(len(pieces[index].tokens) for index in order)
    longest = max(lengths)
    span = range(slots[0], slots[-1] + 1)
    roomy = heads.cuttable and all(heads.residents.room(slot) >= longest for slot in span)
    for group in grouped(slots, lengths, cost, context.n_ubatch, roomy):
        for part in _even(group, slots, context.n_ubatch):
            chosen = [order[index] for index in range(part.begin, part.end)]
            yield chosen, _run(context, heads, [pieces[i] for i in chosen], part.length)


def _even(group: Group, slots: Sequence[int], n_ubatch: int) -> Iterator[Group]:
    """A group in parts that each fill one native micro-batch about equally."""
    first, span = slots[group.begin], slots[group.end - 1] - slots[group.begin] + 1
    parts = -(-span // max(1, n_ubatch // group.length))
    begin = group.begin
    for index in range(1, parts + 1):
        stop = first + span * index // parts
        end = bisect_left(slots, stop, begin, group.end)
        if begin < end:
            yield Group(begin, end, group.length)
        begin = end


def _run(context: Context, heads: Heads, pieces: Sequence[Piece], length: int) -> Floats:
    """One native call: the pieces at their slots' ends, padded to `length`, gaps filled; padding
    and filling are cut off again."""
    by_slot = {piece.slot: piece for piece in pieces}
    slots = range(pieces[0].slot, pieces[-1].slot + 1)
    for index, slot in enumerate(slots):
        _put(context.batch, index * length, length, by_slot.get(slot), slot)
        pos = heads.residents.position(slot)
        context.batch.pos[index * length : (index + 1) * length] = np.arange(pos, pos + length)
    n, real = len(slots) * length, sum(len(piece.tokens) for piece in pieces)
    context.clock.padding += n - real
    logits = context.decode(n, sum(piece.n_outputs for piece in pieces))
    for slot in slots:
        wanted = len(by_slot[slot].tokens) if slot in by_slot else 0
        heads.advance(slot, length)
        if wanted < length:
            heads.rewind(slot, heads.residents[slot].extra - length + wanted)
    return logits


def _put(batch: Batch, begin: int, length: int, piece: Piece | None, slot: int) -> None:
    """Put one slot's tokens, or stand-ins, at a place of the batch."""
    middle, end = begin + (len(piece.tokens) if piece else 0), begin + length
    if piece is not None:
        batch.token[begin:middle] = piece.tokens
        batch.logits[begin:middle] = piece.outputs
    batch.token[middle:end] = 0
    batch.logits[middle:end] = 0
    batch.seq[begin:end] = batch.address[slot]

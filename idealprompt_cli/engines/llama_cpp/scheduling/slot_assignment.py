"""Which slot generates which answers: neighbours together where that shares most, apart where
larger batches are cheaper."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TypeVar

from ..caching.context_pool import Arena
from ..caching.image_embeddings import Head
from .jobs import GenerateJob
from .token_trie import Tokens, shared

Item = TypeVar("Item")


@dataclass
class Queue:
    """Jobs that a slot does one after the other on its head."""

    head: Head
    jobs: deque[int] = field(default_factory=deque)


def waves(arena: Arena, jobs: Sequence[GenerateJob], queues: list[Queue]) -> Iterable[list[Queue]]:
    """Queues for all slots at a time: heads that are there already first; where there are fewer
    heads than slots, their jobs are dealt to several slots each if that is cheaper."""
    slots = arena.context.slots
    queues.sort(key=lambda queue: not arena.heads.resident(queue.head))
    if len(queues) >= slots or not arena.heads.cuttable:
        for begin in range(0, len(queues), slots):
            yield queues[begin : begin + slots]
        return
    dealt: dict[Tokens, int] = {}
    hands = []
    for queue in queues:
        kind = tuple(id(jobs[index].plan) for index in queue.jobs)
        if kind not in dealt:
            dealt[kind] = _hands(arena, [jobs[index] for index in queue.jobs], len(queues))
        order, count = list(queue.jobs), dealt[kind]
        hands += [Queue(queue.head, deque(part)) for part in _dealt(order, count)]
    yield hands


def _hands(arena: Arena, jobs: Sequence[GenerateJob], n_heads: int) -> int:
    """The cheapest of 1, 2, 4, ... slots for a head's jobs, where so many heads have like ones:
    one slot shares the most, several make larger batches."""
    most = min(len(jobs), arena.context.slots // n_heads)
    copy = arena.cost.copying(arena.cells(jobs[0].head)) * n_heads
    best, least, count = 1, _cost(arena, jobs, 1, n_heads), 2
    while count <= most:
        cost = _cost(arena, jobs, count, n_heads) + copy * (count - 1)
        if cost >= least:
            break
        best, least, count = count, cost, count * 2
    return best


def _cost(arena: Arena, jobs: Sequence[GenerateJob], count: int, n_heads: int) -> float:
    """What these jobs cost on each of `n_heads` heads with `count` slots for each."""
    n_ubatch, total = arena.context.n_ubatch, 0.0
    for together in zip_longest(*(_news(part) for part in _dealt(jobs, count))):
        found = [new for new in together if new]
        sequences, longest = n_heads * len(found), max(new for new, _ in found)
        steps = max(more for _, more in found)
        total += arena.cost.of(sequences, longest, n_ubatch)
        total += steps * arena.cost.of(sequences, 1, n_ubatch)
    return total


def _news(jobs: Sequence[GenerateJob]) -> Iterable[tuple[int, int]]:
    """(prompt tokens that the job before does not have, tokens to decode after them) of each."""
    before: Tokens = ()
    for job in jobs:
        suffix = job.plan.suffix
        yield len(suffix) - shared(before, suffix), max(0, job.max_tokens - 1)
        before = suffix


def _dealt(jobs: Sequence[Item], count: int) -> list[Sequence[Item]]:
    """Neighbours stay together."""
    return [jobs[len(jobs) * i // count : len(jobs) * (i + 1) // count] for i in range(count)]

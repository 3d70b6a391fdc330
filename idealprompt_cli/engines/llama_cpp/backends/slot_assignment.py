"""Slot assignment: which slots compute the jobs of a prefix. One slot shares the most tokens
between neighbouring jobs, several slots make larger batches; the measured costs decide."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TypeVar

from ..caching.context_pool import ContextPool
from ..scheduling.request_plan import GenerateJob, Prefix
from ..scheduling.token_trie import Tokens, shared

Item = TypeVar("Item")


@dataclass
class SlotQueue:
    """Jobs that a slot computes one after the other after its prefix."""

    prefix: Prefix
    jobs: deque[int] = field(default_factory=deque)


def cheapest_split(n_jobs: int, most: int, copy: float, cost: Callable[[int], float]) -> int:
    """The cheapest of 1, 2, 4, ... slots, up to `most`, for a prefix's jobs. `cost(n)` is the cost
    of the jobs on n slots, and `copy` of bringing the prefix into one more slot."""
    best, least, count = 1, cost(1), 2
    while count <= min(n_jobs, most):
        price = cost(count) + copy * (count - 1)
        if price >= least:
            break
        best, least, count = count, price, count * 2
    return best


def split_evenly(items: Sequence[Item], count: int) -> list[Sequence[Item]]:
    """`count` parts of about equal size; neighbours stay together."""
    return [items[len(items) * i // count : len(items) * (i + 1) // count] for i in range(count)]


def assign_slots(
    pool: ContextPool, jobs: Sequence[GenerateJob], queues: list[SlotQueue]
) -> Iterable[list[SlotQueue]]:
    """Rounds of at most one queue per slot, held prefixes first. Where there are fewer prefixes
    than slots, a prefix's jobs are split over several slots if that is cheaper."""
    slots = pool.context.slots
    queues.sort(key=lambda queue: not pool.prefixes.holds(queue.prefix))
    if len(queues) >= slots or not pool.prefixes.truncatable:
        for begin in range(0, len(queues), slots):
            yield queues[begin : begin + slots]
        return
    counts: dict[object, int] = {}
    split: list[SlotQueue] = []
    for queue in queues:
        own = [jobs[index] for index in queue.jobs]
        kind = tuple((job.plan.suffix, job.max_tokens) for job in own)
        if kind not in counts:
            counts[kind] = _slots_for(pool, own, len(queues))
        parts = split_evenly(list(queue.jobs), counts[kind])
        split += [SlotQueue(queue.prefix, deque(part)) for part in parts]
    yield split


def _slots_for(pool: ContextPool, jobs: Sequence[GenerateJob], n_prefixes: int) -> int:
    """The number of slots for a prefix's jobs, where `n_prefixes` prefixes have similar jobs."""
    copy = pool.cost.copying(pool.cells(jobs[0].prefix)) * n_prefixes
    most = pool.context.slots // n_prefixes
    return cheapest_split(len(jobs), most, copy, lambda n: _cost(pool, jobs, n, n_prefixes))


def _cost(pool: ContextPool, jobs: Sequence[GenerateJob], count: int, n_prefixes: int) -> float:
    """The cost of these jobs after each of `n_prefixes` prefixes with `count` slots for each."""
    n_ubatch, total = pool.context.n_ubatch, 0.0
    for together in zip_longest(*(_new_tokens(part) for part in split_evenly(jobs, count))):
        found = [new for new in together if new]
        sequences, longest = n_prefixes * len(found), max(new for new, _ in found)
        steps = max(more for _, more in found)
        total += pool.cost.of(sequences, longest, n_ubatch)
        total += steps * pool.cost.of(sequences, 1, n_ubatch)
    return total


def _new_tokens(jobs: Sequence[GenerateJob]) -> Iterable[tuple[int, int]]:
    """(prompt tokens that the previous job does not share, tokens to decode after them) of each."""
    before: Tokens = ()
    for job in jobs:
        suffix = job.plan.suffix
        yield len(suffix) - shared(before, suffix), max(0, job.max_tokens - 1)
        before = suffix

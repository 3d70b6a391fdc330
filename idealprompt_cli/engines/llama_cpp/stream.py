"""Greedy generation: choosing tokens, ending; and many generations at once on many slots.

A slot answers the prompts about one head in the order of their tokens, so that each needs only the
tokens that the one before it did not have; the slots go on together, in few batches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Literal, TypeVar

import numpy as np

from ...types import Generated
from .arena import Arena
from .context import Floats
from .grammar import Grammar
from .pictures import Head, Key
from .pieces import Piece, decode
from .tree import Tokens, shared
from .vocabulary import Vocabulary
from .work import GenerateJob

Item = TypeVar("Item")
_REFILL = 0.25
"""New jobs are begun together, as soon as this share of the slots has nothing to do."""


class Continuation:
    """One generation in progress: feed it logits until `done`."""

    def __init__(self, job: GenerateJob, vocab: Vocabulary, room: int) -> None:
        self._vocab, self._job = vocab, job
        self._limit = min(job.max_tokens, room)
        self._grammar = Grammar(job.grammar, vocab.pointer) if job.grammar else None
        self._raw = b""
        self._finish: Literal["stop", "length"] = "length"
        self.count = 0
        self.last = -1
        self.done = self._limit <= 0

    def feed(self, logits: Floats, best: int) -> None:
        """Choose the next token from logits (n_vocab,), whose greatest is at `best`, and see
        whether that was the end."""
        token = self._grammar.choose(logits, best) if self._grammar else best
        if token < 0 or self._vocab.ends(token):
            self.done, self._finish = True, "stop"
            return
        if self._grammar:
            self._grammar.accept(token)
        self.last, self.count = token, self.count + 1
        self._raw += self._vocab.piece(token)
        if self._stopped():
            self.done, self._finish = True, "stop"
        elif self.count >= self._limit:
            self.done = True

    def result(self, tokens: int) -> Generated:
        """The text so far, without what came after a stop string."""
        text = self._text()
        for stop in self._job.stop:
            text = text.partition(stop)[0]
        return Generated(text, tokens, self._finish)

    def close(self) -> None:
        if self._grammar:
            self._grammar.close()

    def _stopped(self) -> bool:
        if not self._job.stop:
            return False
        text = self._text()
        return any(stop in text for stop in self._job.stop if stop)

    def _text(self) -> str:
        text = self._raw.decode("utf-8", "ignore")
        return text.removeprefix(self._job.plan.joint)


def generate(arena: Arena, vocab: Vocabulary, jobs: Sequence[GenerateJob]) -> list[Generated]:
    """Answers in the order of the jobs; the same job asked twice is computed once."""
    first: dict[object, int] = {}
    owner = [first.setdefault(_identity(job), index) for index, job in enumerate(jobs)]
    queues: dict[Key, _Queue] = {}
    for index in sorted(first.values(), key=lambda index: jobs[index].plan.suffix):
        head = jobs[index].head
        queues.setdefault(head.key, _Queue(head)).jobs.append(index)
    results: dict[int, Generated] = {}
    for wave in _waves(arena, jobs, list(queues.values())):
        results.update(_run(arena, vocab, jobs, wave))
    return [
        results[own] if own == index else Generated(results[own].text, 0, results[own].finish)
        for index, own in enumerate(owner)
    ]


@dataclass
class _Queue:
    """Jobs that a slot does one after the other on its head."""

    head: Head
    jobs: deque[int] = field(default_factory=deque)


def _identity(job: GenerateJob) -> object:
    return job.head.key, id(job.plan), job.max_tokens, job.stop, job.grammar


def _waves(
    arena: Arena, jobs: Sequence[GenerateJob], queues: list[_Queue]
) -> Iterable[list[_Queue]]:
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
        hands += [_Queue(queue.head, deque(part)) for part in _dealt(order, count)]
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


def _run(
    arena: Arena, vocab: Vocabulary, jobs: Sequence[GenerateJob], queues: Sequence[_Queue]
) -> dict[int, Generated]:
    """Do all the jobs of the queues, a slot for each queue."""
    places = arena.heads.place([queue.head for queue in queues])
    lanes = [
        _Lane(arena, vocab, jobs, queue, slot, cells)
        for queue, (slot, cells) in zip(queues, places, strict=True)
    ]
    try:
        while True:
            active = [lane for lane in lanes if lane.busy]
            waiting = [lane for lane in lanes if not lane.busy and lane.queue.jobs]
            if not active and not waiting:
                return {index: done for lane in lanes for index, done in lane.results.items()}
            if waiting and (not active or len(waiting) >= _REFILL * len(lanes)):
                for lane in waiting:
                    lane.begin()
                active = waiting
            _advance(arena, active)
    finally:
        for lane in lanes:
            lane.close()


class _Lane:
    """A slot with its queue, and the generation that it is at."""

    def __init__(
        self,
        arena: Arena,
        vocab: Vocabulary,
        jobs: Sequence[GenerateJob],
        queue: _Queue,
        slot: int,
        cells: int,
    ) -> None:
        self._arena, self._vocab, self._jobs = arena, vocab, jobs
        self.queue, self.slot, self._cost = queue, slot, cells
        self.results: dict[int, Generated] = {}
        self.pending: Sequence[int] = ()
        self._prompt: Tokens = ()
        self._words: Continuation | None = None
        self._index = -1

    @property
    def busy(self) -> bool:
        return self._words is not None

    def begin(self) -> None:
        """Start the queue's next job."""
        self._index = self.queue.jobs.popleft()
        job = self._jobs[self._index]
        common = shared(self._prompt, job.plan.suffix) if self._arena.heads.cuttable else 0
        self._arena.heads.rewind(self.slot, common)
        self._prompt = job.plan.suffix
        used = self._arena.cells(job.head) + len(job.plan.suffix)
        self._words = Continuation(job, self._vocab, self._arena.limit - used)
        self.pending = job.plan.suffix[common:]
        if self._words.done:
            self._finish()

    def take(self, most: int) -> Piece:
        """The next tokens to decode, at most so many; logits after the last of all."""
        tokens, self.pending = self.pending[:most], self.pending[most:]
        outputs = np.zeros(len(tokens), np.int8)
        outputs[-1] = not self.pending
        self._cost += len(tokens)
        return Piece(self.slot, np.array(tokens, np.int32), outputs, int(outputs[-1]))

    def feed(self, logits: Floats, best: int) -> None:
        """Take the logits after what was pending."""
        assert self._words is not None
        self._words.feed(logits, best)
        self.pending = (self._words.last,)
        if self._words.done:
            self._finish()

    def close(self) -> None:
        if self._words is not None:
            self._words.close()
            self._words = None

    def _finish(self) -> None:
        assert self._words is not None
        self.results[self._index] = self._words.result(self._cost)
        self._cost = 0
        self.close()


def _advance(arena: Arena, lanes: Sequence[_Lane]) -> None:
    """Decode what is pending in the lanes and let each choose its next token."""
    lanes = [lane for lane in lanes if lane.busy]
    pieces = [lane.take(arena.context.n_batch) for lane in lanes]
    if not pieces:
        return
    for chosen, logits in decode(arena.context, arena.heads, pieces, arena.cost):
        best = logits.argmax(axis=1).tolist() if len(logits) else []
        asked = [lanes[index] for index in chosen if pieces[index].n_outputs]
        for lane, row, token in zip(asked, logits, best, strict=True):
            lane.feed(row, token)

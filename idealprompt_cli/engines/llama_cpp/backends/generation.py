"""Many greedy generations at once on many slots.

A slot answers the prompts of one prefix in the order of their tokens, so that each prompt needs
only the tokens that the previous one did not have; all slots advance together, in few batches.
Where answers repeat, the last one is decoded with the next prompt (`speculative.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....core.requests import Generated
from ..caching.context_pool import ContextPool
from ..native.library import Floats
from ..native.tokenizer import Vocabulary
from ..scheduling.batch_decode import Segment, decode
from ..scheduling.continuation import Continuation
from ..scheduling.request_plan import GenerateJob, Key
from ..scheduling.speculative import Speculation
from ..scheduling.token_trie import Tokens, shared
from .slot_assignment import SlotQueue, assign_slots

_REFILL = 0.25
"""New jobs start together, as soon as this share of the slots is idle..."""
_SOON = 8
"""...and the others need more tokens than this: neighbours that start together are one batch."""


def generate(
    pool: ContextPool, vocab: Vocabulary, speculation: Speculation, jobs: Sequence[GenerateJob]
) -> list[Generated]:
    """Answers in the order of the jobs; equal jobs are computed once."""
    first: dict[object, int] = {}
    owner = [first.setdefault(_identity(job), index) for index, job in enumerate(jobs)]
    queues: dict[Key, SlotQueue] = {}
    for index in sorted(first.values(), key=lambda index: jobs[index].plan.suffix):
        prefix = jobs[index].prefix
        queues.setdefault(prefix.key, SlotQueue(prefix)).jobs.append(index)
    results: dict[int, Generated] = {}
    for round_ in assign_slots(pool, jobs, list(queues.values())):
        results.update(_run(pool, vocab, speculation, jobs, round_))
    return [
        results[own] if own == index else Generated(results[own].text, 0, results[own].finish)
        for index, own in enumerate(owner)
    ]


def _identity(job: GenerateJob) -> object:
    return job.prefix.key, id(job.plan), job.max_tokens, job.stop, job.grammar


def _run(
    pool: ContextPool,
    vocab: Vocabulary,
    speculation: Speculation,
    jobs: Sequence[GenerateJob],
    queues: Sequence[SlotQueue],
) -> dict[int, Generated]:
    """Compute all the jobs of the queues, a slot for each queue."""
    places = pool.prefixes.place([queue.prefix for queue in queues])
    slots = [
        _SlotGeneration(pool, vocab, speculation, jobs, queue, slot, cells)
        for queue, (slot, cells) in zip(queues, places, strict=True)
    ]
    try:
        while True:
            active = [item for item in slots if item.busy]
            waiting = [item for item in slots if not item.busy and item.queue.jobs]
            if not active and not waiting:
                return {index: done for item in slots for index, done in item.results.items()}
            late = any(item.left > _SOON for item in active)
            if waiting and (not active or (late and len(waiting) >= _REFILL * len(slots))):
                draft = pool.prefixes.truncatable and speculation.pays(pool.cost, len(waiting))
                for item in waiting:
                    item.begin(draft)
                active = waiting
            _advance(pool, active)
    finally:
        for item in slots:
            item.close()


class _SlotGeneration:
    """A slot with its queue and its current generation."""

    def __init__(
        self,
        pool: ContextPool,
        vocab: Vocabulary,
        speculation: Speculation,
        jobs: Sequence[GenerateJob],
        queue: SlotQueue,
        slot: int,
        cells: int,
    ) -> None:
        self._pool, self._vocab, self._speculation, self._jobs = pool, vocab, speculation, jobs
        self.queue, self.slot, self._cost = queue, slot, cells
        self.results: dict[int, Generated] = {}
        self.pending: Tokens = ()
        self._prompt: Tokens = tuple(pool.prefixes.table[slot].path.tolist())
        self._draft: Tokens = ()
        self._unverified: Tokens = ()
        self._answer: Continuation | None = None
        self._index = -1

    @property
    def busy(self) -> bool:
        return self._answer is not None

    @property
    def left(self) -> int:
        """Tokens that the generation is expected to need: those of the draft, then all."""
        assert self._answer is not None
        done, last = self._answer.count, len(self._draft)
        return (last if done < last else self._answer.room) - done

    def begin(self, draft: bool) -> None:
        """Start the queue's next job, with or without a draft of its answer."""
        self._index = self.queue.jobs.popleft()
        job = self._jobs[self._index]
        common = shared(self._prompt, job.plan.suffix) if self._pool.prefixes.truncatable else 0
        self._pool.prefixes.rewind(self.slot, common)
        self._prompt = job.plan.suffix
        used = self._pool.cells(job.prefix) + len(job.plan.suffix)
        self._answer = Continuation(job, self._vocab, self._pool.limit - used)
        self._draft = self._speculation.draft(job.prefix.key, self._answer.room)
        fits = len(self._prompt) - common + len(self._draft) <= self._pool.context.n_batch
        self._unverified = self._draft if draft and fits else ()
        self.pending = self._prompt[common:] + self._unverified
        if self._answer.done:
            self._finish()

    def take(self, most: int) -> Segment:
        """The next tokens to decode, at most `most`; logits after the last of all, or after the
        prompt and each draft token."""
        tokens, self.pending = self.pending[:most], self.pending[most:]
        outputs = np.zeros(len(tokens), np.int8)
        if not self.pending:
            outputs[-1 - len(self._unverified) :] = 1
        self._cost += len(tokens)
        return Segment(self.slot, np.array(tokens, np.int32), outputs, int(outputs.sum()))

    def feed(self, logits: Floats, best: Sequence[int]) -> None:
        """Consume the logits (n, n_vocab) after what was pending, as far as the draft is right."""
        assert self._answer is not None
        for row, token in zip(logits, best, strict=True):
            self._answer.feed(row, token)
            if self._answer.done:
                self._finish()
                return
            accepted = self._unverified[:1] == (self._answer.last,)
            self._unverified = self._unverified[1:] if accepted else ()
            if not accepted:
                break
        self._pool.prefixes.rewind(self.slot, len(self._prompt) + self._answer.count - 1)
        self.pending = (self._answer.last,)

    def close(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None

    def _finish(self) -> None:
        assert self._answer is not None
        self.results[self._index] = self._answer.result(self._cost)
        self._speculation.learn(self.queue.prefix.key, self._draft, self._answer.decoded)
        self._unverified = ()
        self._cost = 0
        self.close()


def _advance(pool: ContextPool, slots: Sequence[_SlotGeneration]) -> None:
    """Decode what is pending in the slots and let each choose its next token."""
    slots = [item for item in slots if item.busy]
    segments = [item.take(pool.context.n_batch) for item in slots]
    if not segments:
        return
    for chosen, logits in decode(
        pool.context, pool.prefixes.table, segments, pool.cost, pool.prefixes.truncatable
    ):
        best = logits.argmax(axis=1).tolist() if len(logits) else []
        row = 0
        for index in chosen:
            end = row + segments[index].n_outputs
            if end > row:
                slots[index].feed(logits[row:end], best[row:end])
            row = end

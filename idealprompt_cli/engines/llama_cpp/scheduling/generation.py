"""Many greedy generations at once on many slots.

A slot answers the prompts about one head in the order of their tokens, so that each needs only the
tokens that the one before it did not have; the slots go on together, in few batches. Where answers
repeat, the last one is decoded along with the next prompt (`drafts.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....core.requests import Generated
from ..caching.context_pool import Arena
from ..caching.image_embeddings import Key
from ..native.context import Floats
from ..native.tokenizer import Vocabulary
from .batch_decode import Piece, decode
from .continuation import Continuation
from .jobs import GenerateJob
from .slot_assignment import Queue, waves
from .speculative import Drafts
from .token_trie import Tokens, shared

_REFILL = 0.25
"""New jobs are begun together, as soon as this share of the slots has nothing to do..."""
_SOON = 8
"""...and the others need more tokens than so many: neighbours that begin together are one batch."""


def generate(
    arena: Arena, vocab: Vocabulary, drafts: Drafts, jobs: Sequence[GenerateJob]
) -> list[Generated]:
    """Answers in the order of the jobs; the same job asked twice is computed once."""
    first: dict[object, int] = {}
    owner = [first.setdefault(_identity(job), index) for index, job in enumerate(jobs)]
    queues: dict[Key, Queue] = {}
    for index in sorted(first.values(), key=lambda index: jobs[index].plan.suffix):
        head = jobs[index].head
        queues.setdefault(head.key, Queue(head)).jobs.append(index)
    results: dict[int, Generated] = {}
    for wave in waves(arena, jobs, list(queues.values())):
        results.update(_run(arena, vocab, drafts, jobs, wave))
    return [
        results[own] if own == index else Generated(results[own].text, 0, results[own].finish)
        for index, own in enumerate(owner)
    ]


def _identity(job: GenerateJob) -> object:
    return job.head.key, id(job.plan), job.max_tokens, job.stop, job.grammar


def _run(
    arena: Arena,
    vocab: Vocabulary,
    drafts: Drafts,
    jobs: Sequence[GenerateJob],
    queues: Sequence[Queue],
) -> dict[int, Generated]:
    """Do all the jobs of the queues, a slot for each queue."""
    places = arena.heads.place([queue.head for queue in queues])
    lanes = [
        _Lane(arena, vocab, drafts, jobs, queue, slot, cells)
        for queue, (slot, cells) in zip(queues, places, strict=True)
    ]
    try:
        while True:
            active = [lane for lane in lanes if lane.busy]
            waiting = [lane for lane in lanes if not lane.busy and lane.queue.jobs]
            if not active and not waiting:
                return {index: done for lane in lanes for index, done in lane.results.items()}
            late = any(lane.left > _SOON for lane in active)
            if waiting and (not active or (late and len(waiting) >= _REFILL * len(lanes))):
                guess = arena.heads.cuttable and drafts.worth(arena.cost, len(waiting))
                for lane in waiting:
                    lane.begin(guess)
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
        drafts: Drafts,
        jobs: Sequence[GenerateJob],
        queue: Queue,
        slot: int,
        cells: int,
    ) -> None:
        self._arena, self._vocab, self._drafts, self._jobs = arena, vocab, drafts, jobs
        self.queue, self.slot, self._cost = queue, slot, cells
        self.results: dict[int, Generated] = {}
        self.pending: Tokens = ()
        self._prompt: Tokens = ()
        self._guess: Tokens = ()
        self._unsure: Tokens = ()
        self._words: Continuation | None = None
        self._index = -1

    @property
    def busy(self) -> bool:
        return self._words is not None

    @property
    def left(self) -> int:
        """Tokens that the generation is expected to need: as many as the last one, then all."""
        assert self._words is not None
        done, last = self._words.count, len(self._guess)
        return (last if done < last else self._words.room) - done

    def begin(self, guess: bool) -> None:
        """Start the queue's next job, with a guess at its answer or without."""
        self._index = self.queue.jobs.popleft()
        job = self._jobs[self._index]
        common = shared(self._prompt, job.plan.suffix) if self._arena.heads.cuttable else 0
        self._arena.heads.rewind(self.slot, common)
        self._prompt = job.plan.suffix
        used = self._arena.cells(job.head) + len(job.plan.suffix)
        self._words = Continuation(job, self._vocab, self._arena.limit - used)
        self._guess = self._drafts.guess(job.head.key, self._words.room)
        fits = len(self._prompt) - common + len(self._guess) <= self._arena.context.n_batch
        self._unsure = self._guess if guess and fits else ()
        self.pending = self._prompt[common:] + self._unsure
        if self._words.done:
            self._finish()

    def take(self, most: int) -> Piece:
        """The next tokens to decode, at most so many; logits after the last of all, and after
        the prompt and each token that is a guess."""
        tokens, self.pending = self.pending[:most], self.pending[most:]
        outputs = np.zeros(len(tokens), np.int8)
        if not self.pending:
            outputs[-1 - len(self._unsure) :] = 1
        self._cost += len(tokens)
        return Piece(self.slot, np.array(tokens, np.int32), outputs, int(outputs.sum()))

    def feed(self, logits: Floats, best: Sequence[int]) -> None:
        """Take the logits (n, n_vocab) after what was pending, as far as the guess was right."""
        assert self._words is not None
        for row, token in zip(logits, best, strict=True):
            self._words.feed(row, token)
            if self._words.done:
                self._finish()
                return
            sure = self._unsure[:1] == (self._words.last,)
            self._unsure = self._unsure[1:] if sure else ()
            if not sure:
                break
        self._arena.heads.rewind(self.slot, len(self._prompt) + self._words.count - 1)
        self.pending = (self._words.last,)

    def close(self) -> None:
        if self._words is not None:
            self._words.close()
            self._words = None

    def _finish(self) -> None:
        assert self._words is not None
        self.results[self._index] = self._words.result(self._cost)
        self._drafts.learn(self.queue.head.key, self._guess, self._words.decoded)
        self._unsure = ()
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
        row = 0
        for index in chosen:
            end = row + pieces[index].n_outputs
            if end > row:
                lanes[index].feed(logits[row:end], best[row:end])
            row = end

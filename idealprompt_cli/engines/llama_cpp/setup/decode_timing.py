"""Timing batch shapes on a loaded text model, with arbitrary tokens."""

from __future__ import annotations

import time

from ..native.context import Context
from ..native.library import Clock, TextModel

SLOTS = 8
_CELLS = 256
_SLOW_SECONDS = 0.5
_WALL = time.perf_counter


class Bench:
    """A context on which batch shapes are timed, after a prefix of up to `depth` tokens; with
    `processor`, the seconds are processor time, shared by the threads."""

    def __init__(
        self, model: TextModel, threads: int, flash: bool, n_ubatch: int, depth: int = 0,
        processor: bool = False,
    ) -> None:  # fmt: skip
        self._context = Context(
            model,
            n_ctx=depth + _CELLS,
            slots=SLOTS,
            n_batch=512,
            n_ubatch=n_ubatch,
            threads=threads,
            flash=flash,
            clock=Clock(),
        )
        self._begin, self._truncatable = 0, not model.recurrent
        self._clock, self._share = (time.process_time, threads) if processor else (_WALL, 1)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.close()

    def use_threads(self, count: int) -> None:
        self._context.use_threads(count)

    def fill(self, tokens: int) -> None:
        """Give each sequence a prefix of so many tokens, and nothing else."""
        self._context.clear()
        if tokens:
            self._context.decode_tokens(0, (0,) * tokens, 0, outputs=0)
            prefix = self._context.save(0)
            for slot in range(1, SLOTS):
                self._context.load(slot, prefix)
        self._begin = tokens

    def seconds(self, sequences: int, tokens: int) -> float:
        """The fastest of three runs with so many sequences and tokens of each, one output each; of
        one run if that is slow."""
        taken = self.once(sequences, tokens)
        for _ in range(2 if taken < _SLOW_SECONDS else 0):
            taken = min(taken, self.once(sequences, tokens))
        return taken

    def once(self, sequences: int, tokens: int) -> float:
        """The seconds of one run."""
        batch, count = self._context.batch, sequences * tokens
        if not self._truncatable:
            self.fill(self._begin)
        for slot in range(sequences):
            if self._truncatable:
                self._context.truncate(slot, self._begin)
            place = slice(slot * tokens, (slot + 1) * tokens)
            batch.pos[place] = range(self._begin, self._begin + tokens)
            batch.seq[place] = batch.address[slot]
        batch.token[:count] = 0
        batch.logits[:count] = 0
        batch.logits[tokens - 1 : count : tokens] = 1
        started = self._clock()
        self._context.decode(count, sequences)
        return (self._clock() - started) / self._share

"""The plain path: one request at a time, everything computed anew, nothing clever.

The same steps as the binding's own chat handler: clear the memory, tokenise the whole prompt with
its pictures, evaluate it chunk by chunk, read the logits. The fast path is proved against this,
and this is used where the fast path cannot be.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np

from ....core.errors import ModelError
from ....core.requests import Generated, Scored
from ..caching.context_pool import Sizes
from ..native.context import Context, Floats
from ..native.library import forget_errors, native_detail
from ..native.tokenizer import Vocabulary
from ..native.vision import Picture, Vision
from .batched import log_sum_exp
from .continuation import Continuation
from .jobs import GenerateJob, ScoreJob
from .request_plan import head_parts


class PlainPath:
    """Scores and generates on a context of one slot, made large enough for each request."""

    def __init__(
        self, make: Callable[[int, int], Context], sizes: Sizes, vision: Vision, vocab: Vocabulary
    ) -> None:
        self._make, self._sizes, self._vision, self._vocab = make, sizes, vision, vocab
        self._made: Context | None = None

    def score(self, jobs: list[ScoreJob]) -> list[Scored]:
        """Log-probabilities of each job's options, in the jobs' order."""
        return [self._score(job) for job in jobs]

    def generate(self, jobs: list[GenerateJob]) -> list[Generated]:
        """Greedy continuations, in the jobs' order."""
        return [self._generate(job) for job in jobs]

    def close(self) -> None:
        if self._made is not None:
            self._made.close()
            self._made = None

    @property
    def _context(self) -> Context:
        assert self._made is not None
        return self._made

    def _make_room(self, job: ScoreJob | GenerateJob, more: int) -> None:
        """See to a context that holds the prompt and `more` tokens."""
        parts = [*job.head.parts(), *head_parts(job.plan.tail)]
        with self._vision.chunks(parts, measure=True) as chunks:
            need = sum(chunk.n_tokens for chunk in chunks) + more
        need = min(need, self._sizes.n_ctx)
        if self._made is None or self._made.n_ctx < need:
            self.close()
            self._made = self._make(1, self._sizes.fit(need, 1)[1])

    def _score(self, job: ScoreJob) -> Scored:
        self._make_room(job, max((len(option) for option in job.plan.options), default=1))
        pos, cells, first = self._prompt(job)
        clean, values, extra = True, [], 0
        for option in job.plan.options:
            if not clean:
                pos, _, first = self._prompt(job)
            logits, inner = first[None], option[:-1]
            if inner:
                rest = self._context.decode_tokens(0, inner, pos, outputs=len(inner))
                logits = np.concatenate([logits, rest])
                extra += len(inner)
                clean = self._context.cut(0, pos)
            chosen = logits[np.arange(len(option)), option].astype(np.float64)
            values.append(float((chosen - log_sum_exp(logits)).sum()))
        return Scored(tuple(values), cells + extra)

    def _generate(self, job: GenerateJob) -> Generated:
        self._make_room(job, job.max_tokens)
        pos, cells, logits = self._prompt(job)
        words = Continuation(job, self._vocab, self._sizes.n_ctx - cells)
        try:
            while not words.done:
                words.feed(logits, int(logits.argmax()))
                if not words.done:
                    logits = self._next(words.last, pos)
                    pos += 1
                    cells += 1
            return words.result(cells)
        finally:
            words.close()

    def _next(self, token: int, pos: int) -> Floats:
        logits: Floats = self._context.decode_tokens(0, (token,), pos, outputs=1)[0].copy()
        return logits

    def _prompt(self, job: ScoreJob | GenerateJob) -> tuple[int, int, Floats]:
        """Evaluate the whole prompt -> (next position, cells used, logits (n_vocab,))."""
        context, mtmd = self._context, self._vision.lib.mtmd
        parts: list[str | Picture] = [*job.head.parts(), *head_parts(job.plan.tail)]
        context.clear()
        pos, cells = ctypes.c_int32(0), 0
        with self._vision.chunks(parts) as chunks:
            for index, chunk in enumerate(chunks):
                context.check_whole(self._vision, chunk)
                forget_errors()
                with context.clock as clock:
                    code = mtmd.mtmd_helper_eval_chunk_single(
                        self._vision.pointer,
                        context.pointer,
                        chunk.pointer,
                        pos.value,
                        0,
                        context.n_batch,
                        index + 1 == len(chunks),
                        ctypes.byref(pos),
                    )
                clock.images_encoded += chunk.tokens is None
                if code != 0:
                    raise ModelError(
                        f"a prompt could not be computed (code {code}){native_detail()}"
                    )
                cells += chunk.n_tokens
        return pos.value, cells, np.array(context.last_logits())

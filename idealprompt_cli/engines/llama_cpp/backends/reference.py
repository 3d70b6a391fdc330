"""The reference backend: one request at a time, everything computed again, no caches.

The same steps as the binding's own chat handler: clear the memory, tokenise the whole prompt with
its pictures, evaluate it chunk by chunk, read the logits. The batched backend is checked against
this one, which is used where the batched one cannot be.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np

from ....core.errors import ModelError
from ....core.requests import Generated, Scored
from ..caching.context_pool import ContextLimits
from ..native.context import Context
from ..native.library import Floats, forget_errors, native_detail
from ..native.tokenizer import Vocabulary, split_at_breaks
from ..native.vision import Picture, Vision
from ..scheduling.continuation import Continuation
from ..scheduling.request_plan import GenerateJob, ScoreJob
from .batched import log_sum_exp


class ReferenceBackend:
    """Scores and generates on a context of one slot, made large enough for each request."""

    def __init__(
        self,
        make: Callable[[int, int], Context],
        limits: ContextLimits,
        vision: Vision | None,
        vocab: Vocabulary,
    ) -> None:
        self._make, self._limits, self._vision, self._vocab = make, limits, vision, vocab
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
        """Ensure a context that holds the prompt and `more` tokens."""
        need = min(self._cells(job) + more, self._limits.n_ctx)
        if self._made is None or self._made.n_ctx < need:
            self.close()
            self._made = self._make(1, self._limits.fit(need, 1)[1])

    def _cells(self, job: ScoreJob | GenerateJob) -> int:
        """Cells of the whole prompt."""
        text = len(job.plan.fields) + len(job.plan.suffix)
        if not job.prefix.images or self._vision is None:
            return text
        with self._vision.chunks(job.prefix.parts(), measure=True) as chunks:
            return text + sum(chunk.n_tokens for chunk in chunks)

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
                clean = self._context.truncate(0, pos)
            chosen = logits[np.arange(len(option)), option].astype(np.float64)
            values.append(float((chosen - log_sum_exp(logits)).sum()))
        return Scored(tuple(values), cells + extra)

    def _generate(self, job: GenerateJob) -> Generated:
        self._make_room(job, job.max_tokens)
        pos, cells, logits = self._prompt(job)
        answer = Continuation(job, self._vocab, self._limits.n_ctx - cells)
        try:
            while not answer.done:
                answer.feed(logits, int(logits.argmax()))
                if not answer.done:
                    logits = self._next(answer.last, pos)
                    pos += 1
                    cells += 1
            return answer.result(cells)
        finally:
            answer.close()

    def _next(self, token: int, pos: int) -> Floats:
        logits: Floats = self._context.decode_tokens(0, (token,), pos, outputs=1)[0].copy()
        return logits

    def _prompt(self, job: ScoreJob | GenerateJob) -> tuple[int, int, Floats]:
        """Evaluate the whole prompt -> (next position, cells used, logits (n_vocab,))."""
        if not job.prefix.images or self._vision is None:
            tokens = job.plan.fields + job.plan.suffix
            self._context.clear()
            (logits,) = self._context.decode_tokens(0, tokens, 0, outputs=1)
            return len(tokens), len(tokens), np.array(logits)
        context, mtmd = self._context, self._vision.lib.mtmd
        parts: list[str | Picture] = [*job.prefix.parts(), *split_at_breaks(job.plan.tail)]
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

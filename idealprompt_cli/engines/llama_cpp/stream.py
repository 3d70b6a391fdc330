"""Greedy generation: choosing tokens, ending, grammars; and a wave of them on many slots."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Literal

import numpy as np

from ...errors import ModelError
from ...types import Generated
from .context import Context, Floats
from .heads import Heads
from .native import forget_errors, library, native_detail
from .vocabulary import Vocabulary
from .work import GenerateJob

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Grammar:
    """A GBNF grammar that follows one generation. Raises `ModelError` if it does not parse."""

    def __init__(self, text: str, vocab: Any) -> None:
        self._llama: Any = library().llama
        forget_errors()
        self._pointer: Any = self._llama.llama_sampler_init_grammar(vocab, text.encode(), b"root")
        if not self._pointer:
            raise ModelError(f"the grammar is not valid GBNF{native_detail()}; mend it")

    def choose(self, logits: Floats) -> int:
        """The best token that the grammar allows, or -1 if none is; logits (n_vocab,)."""
        best = int(logits.argmax())
        if self._allowed(np.array([best], np.int32), logits)[0] > -np.inf:
            return best
        allowed = self._allowed(np.arange(len(logits), dtype=np.int32), logits)
        best = int(allowed.argmax())
        return best if allowed[best] > -np.inf else -1

    def accept(self, token: int) -> None:
        self._llama.llama_sampler_accept(self._pointer, token)

    def close(self) -> None:
        if self._pointer:
            self._llama.llama_sampler_free(self._pointer)
            self._pointer = None

    def _allowed(self, ids: Any, logits: Floats) -> Floats:
        """Logits of `ids`, -inf where the grammar forbids."""
        candidates = np.zeros(len(ids), _CANDIDATE)
        candidates["id"], candidates["logit"] = ids, logits[ids]
        data = ctypes.cast(candidates.ctypes.data, ctypes.POINTER(self._llama.llama_token_data))
        array = self._llama.llama_token_data_array(data, len(ids), -1, False)
        self._llama.llama_sampler_apply(self._pointer, ctypes.byref(array))
        result = np.empty(len(ids), np.float32)
        result[:] = candidates["logit"]
        return result


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

    def feed(self, logits: Floats) -> None:
        """Choose the next token from logits (n_vocab,) and see whether that was the end."""
        token = self._grammar.choose(logits) if self._grammar else int(logits.argmax())
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


def generate_wave(
    context: Context, heads: Heads, vocab: Vocabulary, jobs: Sequence[GenerateJob]
) -> list[Generated]:
    """Run at most `context.slots` jobs together -> answers in their order."""
    slots = heads.arrange([job.head for job in jobs])
    order = sorted(range(len(jobs)), key=lambda i: slots[i])
    with ExitStack() as stack:
        runs: list[_Run] = []
        for slot, index in enumerate(order):
            run = _Run(context, heads, vocab, jobs[index], slot)
            stack.callback(run.words.close)
            runs.append(run)
        for part in _batches(context, runs):
            _advance(context, part)
        while active := _active(runs):
            for begin in range(0, len(active), context.n_batch):
                _advance(context, active[begin : begin + context.n_batch])
        done = {index: run.result() for index, run in zip(order, runs, strict=True)}
        return [done[index] for index in range(len(jobs))]


class _Run:
    """A job in its slot: what is to be decoded next, and where."""

    def __init__(
        self, context: Context, heads: Heads, vocab: Vocabulary, job: GenerateJob, slot: int
    ) -> None:
        self.slot = slot
        self.pos, cells = heads.place(slot, job.head)
        heads.dirty(slot)
        used = heads.cells(job.head) + len(job.plan.suffix)
        self.words = Continuation(job, vocab, context.n_ctx - used)
        self.pending: tuple[int, ...] = job.plan.suffix
        self.room = context.n_ctx - used
        self._cost = cells + len(job.plan.suffix)

    def feed(self, logits: Floats) -> None:
        """Take the logits after `pending`; a finished run idles, to keep slots consecutive."""
        self.pos += len(self.pending)
        if not self.words.done:
            self.words.feed(logits)
            self._cost += not self.words.done
        self.room -= 1
        self.pending = (max(self.words.last, 0),)

    def result(self) -> Generated:
        return self.words.result(self._cost)


def _active(runs: list[_Run]) -> list[_Run]:
    """The runs up to the last unfinished one. Finished ones between them are computed along
    while they have room: a gap in the slots would cost the whole batch more."""
    last = max((i for i, run in enumerate(runs) if not run.words.done), default=-1)
    return [run for run in runs[: last + 1] if not run.words.done or run.room > 0]


def _batches(context: Context, runs: list[_Run]) -> list[list[_Run]]:
    """Runs whose pending tokens fit one native micro-batch together."""
    batches: list[list[_Run]] = []
    longest = 0
    for run in runs:
        longest = max(longest, len(run.pending))
        if not batches or longest * (len(batches[-1]) + 1) > context.n_ubatch:
            batches.append([])
            longest = len(run.pending)
        batches[-1].append(run)
    return batches


def _advance(context: Context, runs: list[_Run]) -> None:
    """Decode the runs' pending tokens and let each choose its next one."""
    if len(runs) == 1 and len(runs[0].pending) > context.n_batch:
        run = runs[0]
        run.feed(context.decode_tokens(run.slot, run.pending, run.pos, outputs=1)[0])
        return
    batch, n = context.batch, 0
    for run in runs:
        end = n + len(run.pending)
        batch.token[n:end] = run.pending
        batch.pos[n:end] = np.arange(run.pos, run.pos + end - n)
        batch.seq[n:end] = batch.address[run.slot]
        batch.logits[n:end] = 0
        batch.logits[end - 1] = 1
        n = end
    logits = context.decode(n, len(runs))
    for run, row in zip(runs, logits, strict=True):
        run.feed(row)

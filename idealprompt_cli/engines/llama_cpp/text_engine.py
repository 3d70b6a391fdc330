"""A text model without a projector, for a second proposer.

One request at a time on one sequence, without caches. A vision-language model's text file works
here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...core.errors import ContextError, ModelError
from ...core.interfaces import Notice
from ...core.prompt import Message
from ...core.requests import Generated, GenerateRequest, ModelInfo, Scored, ScoreRequest
from ...core.task import ModelRef
from ..options import EngineOptions
from .backends.batched import log_sum_exp
from .native import gguf_header as files
from .native import library as native
from .native.chat_template import load_template
from .native.context import Context
from .native.library import Clock
from .native.tokenizer import Vocabulary
from .scheduling.continuation import Continuation
from .scheduling.request_plan import NO_PREFIX, GenerateJob, Plan, Planner
from .setup import autotune
from .setup.crash_probe import AMX
from .setup.machine_facts import cpu_flags

_MOST_CTX = 4096


class TextEngine:
    """An `Engine` on a text model. Made by `open_text`."""

    def __init__(self, path: Path, options: EngineOptions) -> None:
        self._header = files.read_header(path, "text model")
        if self._header.is_projector:
            raise ModelError(f"{path}: is an mmproj, not a text model; pass the text model's GGUF")
        safe = options.kernels == "safe" or (options.kernels == "auto" and bool(AMX & cpu_flags()))
        self._path, self._model = path, native.TextModel(path, options.gpu_layers, not safe)
        self._closed = False
        try:
            self._vocab = Vocabulary(self._model)
            source = options.chat_template or self._model.meta("tokenizer.chat_template")
            if not source:
                raise ModelError(f"{path}: the model has no chat template; use another model")
            bos, eos = self._vocab.text(self._vocab.bos), self._vocab.text(self._vocab.eos)
            self._planner = Planner(load_template(source, bos, eos), self._vocab)
            self._context = self._make_context(options)
        except BaseException:
            self._model.close()
            raise

    def _make_context(self, options: EngineOptions) -> Context:
        chosen = autotune.defaults(self._model, options, safe=False)
        wanted = options.n_ctx or min(_MOST_CTX, self._model.n_ctx_train or _MOST_CTX)
        return Context(
            self._model,
            n_ctx=wanted,
            slots=1,
            n_batch=min(options.n_batch, wanted),
            n_ubatch=chosen.n_ubatch,
            threads=chosen.threads,
            flash=chosen.flash,
            clock=Clock(),
        )

    def info(self) -> ModelInfo:
        """Identity of the model; `mode` is "text"."""
        arch, size = self._header.architecture, files.size_class(self._model.n_params())
        return ModelInfo(
            engine="llama_cpp",
            name=str(self._header.meta.get("general.name") or self._path.stem),
            fingerprint=files.fingerprint(self._path),
            architecture=arch,
            family=f"{arch}-{size}",
            quantisation=self._model.quantisation(),
            n_ctx=self._context.n_ctx,
            path=str(self._path),
            mode="text",
        )

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the rendered chat."""
        return len(self._plan(messages, "").suffix)

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """Log-probabilities of each request's options."""
        return [self._score(request) for request in requests]

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        """Greedy continuations."""
        return [self._generate(request) for request in requests]

    def close(self) -> None:
        """Free everything. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._context.close()
            self._model.close()

    def _plan(
        self, messages: Sequence[Message], prefill: str, options: tuple[str, ...] = ()
    ) -> Plan:
        if self._closed:
            raise ModelError("the model is closed; open it again")
        plan = self._planner.plan(tuple(messages), prefill, options)
        if plan.prefix:
            raise ModelError(f"{self._path}: opened without a projector, so it takes no pictures")
        need = len(plan.suffix) + max((len(option) for option in plan.options), default=1)
        if need > self._context.n_ctx:
            raise ContextError(
                f"a text needs {need} tokens and the context of {self._path.name} holds "
                f"{self._context.n_ctx}; shorten it"
            )
        return plan

    def _score(self, request: ScoreRequest) -> Scored:
        plan = self._plan(request.messages, request.prefill, request.options)
        values, cost = [], 0
        for option in plan.options:
            tokens = (*plan.suffix, *option[:-1])
            self._context.clear()
            logits = self._context.decode_tokens(0, tokens, 0, outputs=len(option))
            chosen = logits[np.arange(len(option)), list(option)].astype(np.float64)
            values.append(float((chosen - log_sum_exp(logits)).sum()))
            cost += len(tokens)
        return Scored(tuple(values), cost)

    def _generate(self, request: GenerateRequest) -> Generated:
        plan = self._plan(request.messages, request.prefill)
        job = GenerateJob(NO_PREFIX, plan, request.max_tokens, request.stop, request.grammar)
        pos, pending = 0, plan.suffix
        words = Continuation(job, self._vocab, self._context.n_ctx - len(plan.suffix))
        self._context.clear()
        try:
            while not words.done:
                (logits,) = self._context.decode_tokens(0, pending, pos, outputs=1)
                pos += len(pending)
                words.feed(logits, int(logits.argmax()))
                pending = (words.last,)
            return words.result(pos)
        finally:
            words.close()


def open_text(ref: ModelRef | Path, options: EngineOptions, _notice: Notice) -> TextEngine:
    """Open a GGUF text model. Raises `ModelError` (one line: which file, what is wrong)."""
    return TextEngine(ref.text if isinstance(ref, ModelRef) else ref, options)

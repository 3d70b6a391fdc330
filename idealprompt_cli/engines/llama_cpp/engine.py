"""The llama.cpp engine: checks that requests fit, runs them on a backend and counts the work."""

from __future__ import annotations

import atexit
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...core.errors import ContextError, ModelError
from ...core.interfaces import Notice
from ...core.prompt import Message
from ...core.requests import Generated, GenerateRequest, ModelInfo, Scored, ScoreRequest
from ...core.task import ModelRef
from ...io.images import image_size
from ..options import EngineOptions
from .backends.selection import Backends
from .native.library import Floats
from .native.model_pair import open_ref
from .scheduling.request_plan import GenerateJob, Plan, Prefix, ScoreJob, make_prefix
from .setup.load import Loaded, load


@dataclass
class _Totals:
    """Counts of requests and tokens."""

    evaluations: int = 0
    generations: int = 0
    seconds: float = 0.0
    tokens: int = 0
    unshared: int = 0


class LlamaCppEngine:
    """An `Engine` on llama.cpp. Made by `open_llama_cpp`; use as a context manager or `close`."""

    def __init__(self, loaded: Loaded, notice: Notice) -> None:
        self._loaded = loaded
        self._totals = _Totals()
        self._backends = Backends(loaded, notice)
        self._closed = False
        self._beginnings: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}
        reference = weakref.ref(self)
        self._at_exit = lambda: _close_if_alive(reference)
        atexit.register(self._at_exit)

    def __enter__(self) -> LlamaCppEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def info(self) -> ModelInfo:
        """Identity and shape of the loaded model; `mode` is "batched" or "reference"."""
        self._check_open()
        return self._loaded.info(self._backends.mode)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Text tokens of the rendered chat, without the pictures'."""
        self._check_open()
        plan = self._loaded.planner.plan(tuple(messages), "")
        vocab = self._loaded.vocab
        own = len(plan.fields) + len(plan.suffix)
        return own + sum(len(vocab.tokenize_rendered(text)) for text in plan.prefix)

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """Log-probabilities of each request's options. Raises `ContextError` or `ImageError`
        before anything is computed, `ModelError` where the model computes no numbers."""
        self._check_open()
        started = time.perf_counter()
        prefixes: dict[object, Prefix] = {}
        jobs = []
        for request in requests:
            asked = (request.messages, request.prefill, request.options, request.whole)
            plan = self._loaded.planner.plan(*asked)
            jobs.append(ScoreJob(self._prefix(plan, request.images, prefixes), plan))
        extra = [max((len(option) for option in job.plan.options), default=1) - 1 for job in jobs]
        self._check_room(jobs, extra)
        backend = self._backends.best(any(r.images for r in requests))
        answers = backend.score(jobs) if jobs else []
        for job, answer in zip(jobs, answers, strict=True):
            if np.isnan(answer.logprobs).any():
                raise ModelError(self._loaded.no_numbers(", ".join(map(str, job.prefix.images))))
        inner = [sum(len(option) - 1 for option in job.plan.options) for job in jobs]
        self._count(jobs, inner, sum(answer.tokens for answer in answers), started)
        self._totals.evaluations += len(jobs)
        return answers

    def beginnings(
        self, messages: tuple[Message, ...], prefill: str, options: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Of each option the shortest text that begins it and no other one (see `Distinguishes`).
        Kept by prefill and options."""
        key = (prefill, options)
        if key not in self._beginnings:
            self._beginnings[key] = self._loaded.planner.beginnings(messages, prefill, options)
        return self._beginnings[key]

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        """Greedy continuations. Raises as `score` does; a bad grammar is a `ModelError`."""
        self._check_open()
        started = time.perf_counter()
        prefixes: dict[object, Prefix] = {}
        jobs = []
        for request in requests:
            plan = self._loaded.planner.plan(request.messages, request.prefill)
            prefix = self._prefix(plan, request.images, prefixes)
            jobs.append(
                GenerateJob(prefix, plan, request.max_tokens, request.stop, request.grammar)
            )
        self._check_room(jobs, [1] * len(jobs))
        answers = (
            self._backends.best(any(r.images for r in requests)).generate(jobs) if jobs else []
        )
        self._count(jobs, [0] * len(jobs), sum(answer.tokens for answer in answers), started)
        self._totals.generations += len(jobs)
        return answers

    def stats(self) -> dict[str, float]:
        """Counts and seconds since the engine was opened.

        `evaluations`, `generations`; `seconds` (in calls), `native_seconds` (inside llama.cpp,
        loading the model included), of which `encode_seconds` and `prefix_seconds` on pictures;
        `tokens` computed, `tokens_without_sharing` (each request computed alone), `tokens_saved`
        (the difference), `tokens_padding` (to fill batches); `images_encoded` (tiles, where the
        model splits pictures); `prefixes_computed`, `prefixes_restored`, `prefixes_from_disk` (of
        those restored); `decodes`; `draft_tokens` for speculative decoding, and of those
        `draft_tokens_accepted`.
        """
        clock, totals = self._loaded.clock, self._totals
        drafted, accepted = self._backends.drafts()
        return {
            "evaluations": totals.evaluations,
            "generations": totals.generations,
            "seconds": totals.seconds,
            "native_seconds": clock.native_seconds,
            "encode_seconds": clock.encode_seconds,
            "prefix_seconds": clock.prefix_seconds,
            "tokens": totals.tokens,
            "tokens_without_sharing": totals.unshared,
            "tokens_saved": totals.unshared - totals.tokens,
            "tokens_padding": clock.padding,
            "images_encoded": clock.images_encoded,
            "prefixes_computed": clock.prefixes_computed,
            "prefixes_restored": clock.prefixes_restored,
            "prefixes_from_disk": clock.prefixes_from_disk,
            "decodes": clock.decodes,
            "draft_tokens": drafted,
            "draft_tokens_accepted": accepted,
        }

    def encoded(self, images: Sequence[Path]) -> int:
        """How many of these pictures are in the cache. Raises `ImageError`."""
        self._check_open()
        return sum(map(self._loaded.embeddings.known, images))

    def embed(self, images: Sequence[Path]) -> Floats:
        """(images, width): the mean of each picture's tokens, as the language model gets them.
        Raises `ImageError`, or `ModelError` for a text-only model."""
        self._check_open()
        return np.stack([self._loaded.embeddings.pooled(image) for image in images])

    def image_tokens(self, images: Sequence[Path], limit: int = 0) -> list[int]:
        """Tokens of each picture (see `SizesImages`). Raises `ImageError` or `ModelError`."""
        self._check_open()
        return [self._loaded.embeddings.tokens(image, limit) for image in images]

    def check(self) -> str:
        """Run the self-check now; why the batched backend is off, or ""."""
        self._check_open()
        self._backends.best(with_pictures=self._loaded.vision is not None)
        return self._backends.disabled

    def reasons(self) -> tuple[str, ...]:
        """A clause on each measured setting."""
        own = self._loaded.weights.reason
        return (*self._loaded.settings.reasons, *([own] if own else []))

    def close(self) -> None:
        """Free everything. Safe to call twice."""
        if not self._closed:
            self._closed = True
            atexit.unregister(self._at_exit)
            self._backends.close()
            self._loaded.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ModelError("the model is closed; open it again")

    def _prefix(self, plan: Plan, images: tuple[Path, ...], known: dict[object, Prefix]) -> Prefix:
        if len(images) != len(plan.prefix):
            raise ModelError(
                f"a prompt has {len(plan.prefix)} image slots and was given {len(images)} "
                "images; give it one for each"
            )
        if images:
            self._loaded.embeddings.vision()  # raises for a text-only model
        key = (plan.prefix, images, plan.fields, plan.limits)
        prefix = known.get(key)
        if prefix is None:
            sizes = map(self._loaded.embeddings.fitted, images, plan.limits)
            given = tuple(sizes) if any(plan.limits) else ()
            prefix = known[key] = make_prefix(plan.prefix, images, plan.fields, given)
        return prefix

    def _check_room(self, jobs: Sequence[ScoreJob | GenerateJob], extra: Sequence[int]) -> None:
        """Raise `ContextError` if a prompt with its pictures and its answer does not fit."""
        n_ctx, checked = self._loaded.n_ctx, set()
        for job, more in zip(jobs, extra, strict=True):
            key = (job.prefix.key, id(job.plan))
            if key in checked:
                continue
            checked.add(key)
            need = self._loaded.embeddings.measure(job.prefix)[0] + len(job.plan.suffix) + more
            if need > n_ctx:
                raise ContextError(self._too_long(job.prefix, need))
            self._loaded.needed = max(self._loaded.needed, need)

    def _too_long(self, prefix: Prefix, need: int) -> str:
        """What does not fit, and what helps; names the picture with the most tokens."""
        holds = f"{need} tokens and {self._limit()}"
        larger = self._larger(need)
        if not prefix.images:
            return (
                f"a prompt needs {holds}; shorten the prompt{f', or use {larger}' * bool(larger)}"
            )
        measure = self._loaded.embeddings.measure
        sizes = {image: measure(make_prefix(("",), (image,)))[0] for image in prefix.images}
        image = max(sizes, key=lambda image: sizes[image])
        width, height = image_size(image)
        options = " or ".join(filter(None, ("--image-max-tokens", larger)))
        return (
            f"{image}: a prompt with this image ({width}x{height} pixels, {sizes[image]} tokens) "
            f"needs {holds}; make it smaller, shorten the prompt, or use {options}"
        )

    def _limit(self) -> str:
        holds = "the context" if self._loaded.options.n_ctx else "the largest context here"
        return f"{holds} holds {self._loaded.n_ctx}"

    def _larger(self, need: int) -> str:
        """The option that makes room for `need` tokens, "" where none does."""
        loaded, cells = self._loaded, -(-need // 256) * 256
        if loaded.options.n_ctx:
            return f"--n-ctx {cells}"
        return "a larger --memory" if cells <= loaded.model.n_ctx_train else ""

    def _count(
        self,
        jobs: Sequence[ScoreJob | GenerateJob],
        inner: Sequence[int],
        tokens: int,
        started: float,
    ) -> None:
        totals = self._totals
        totals.seconds += time.perf_counter() - started
        totals.tokens += tokens
        measure = self._loaded.embeddings.measure
        pairs = zip(jobs, inner, strict=True)
        totals.unshared += sum(
            measure(job.prefix)[0] + len(job.plan.suffix) + more for job, more in pairs
        )


def _close_if_alive(reference: weakref.ref[LlamaCppEngine]) -> None:
    engine = reference()
    if engine is not None:
        engine.close()


def open_llama_cpp(ref: ModelRef | Path, options: EngineOptions, notice: Notice) -> LlamaCppEngine:
    """Open a GGUF model, with its projector if it has one. Raises `ModelError` naming the file,
    what is wrong and the fix."""
    return LlamaCppEngine(load(open_ref(ref, notice), options, notice), notice)


def open_text(ref: ModelRef | Path, options: EngineOptions, notice: Notice) -> LlamaCppEngine:
    """Open a GGUF text model without a projector. Raises as `open_llama_cpp`."""
    text = ref.text if isinstance(ref, ModelRef) else ref
    return LlamaCppEngine(load(ModelRef(text), options, notice), notice)

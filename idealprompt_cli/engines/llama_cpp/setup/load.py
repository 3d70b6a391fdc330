"""Opening a model: files checked, settings chosen, memory divided."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from ....core.errors import ModelError
from ....core.interfaces import Notice
from ....core.requests import ModelInfo
from ....core.task import ModelRef
from ...options import EngineOptions
from ..caching.context_pool import ContextLimits
from ..caching.disk_cache import DiskCache, DiskEmbeddings, DiskStates
from ..caching.image_embeddings import ImageEmbeddings
from ..native import gguf_header as files
from ..native import library as native
from ..native.chat_template import ChatTemplate, load_template
from ..native.context import Context
from ..native.library import Clock
from ..native.model_pair import check_pair
from ..native.tokenizer import Vocabulary
from ..native.vision import Vision
from ..scheduling.request_plan import Planner
from . import autotune, memory_budget
from .crash_probe import PACKAGE, needs_safe_kernels
from .weights import Weights, choose

_MOST_SLOTS = 32
_LIMIT_SLOTS = 256  # LLAMA_MAX_SEQ
_DEFAULT_CTX = 4096
_ANY_RESOLUTION = ("qwen2", "qwen3vl", "glm4v", "glm5v", "ling3vl", "kimik25", "youtuvl", "muse")
"""Beginnings of the projector types that make 4,096 tokens and more of a large picture (clip.cpp,
`set_limit_image_tokens`)."""


@dataclass
class Loaded:
    """A model with everything that its backends share. `n_ctx` is the most tokens that a prompt may
    have; `needed` are those of the longest one so far."""

    ref: ModelRef
    options: EngineOptions
    text_header: files.Header
    mmproj_header: files.Header | None
    fingerprint: str
    weights: Weights
    safe_kernels: bool
    settings: autotune.Settings
    model: native.TextModel
    vision: Vision | None
    vocab: Vocabulary
    planner: Planner
    embeddings: ImageEmbeddings
    states: DiskStates | None
    clock: Clock
    n_ctx: int
    n_ubatch: int
    image_tokens: tuple[int, int]
    memory: memory_budget.MemoryPlan
    limits: ContextLimits
    template_form: str
    needed: int = 0

    def info(self, mode: str) -> ModelInfo:
        """The answer of `Engine.info`."""
        meta, arch = self.text_header.meta, self.text_header.architecture
        projector = self.mmproj_header.projector_type if self.mmproj_header else ""
        n_params = self.model.n_params()
        return ModelInfo(
            engine="llama_cpp",
            name=str(meta.get("general.name") or self.ref.text.stem),
            fingerprint=self.fingerprint,
            architecture=arch,
            family=f"{arch}{'+' if projector else ''}{projector}-{files.size_class(n_params)}",
            quantisation=self._quantisation(),
            n_ctx=self._used_context(),
            path=str(self.ref.text),
            mmproj=str(self.ref.mmproj or ""),
            mode=mode,
            details={
                "parameters": str(n_params),
                "projector": projector or "none",
                "threads": str(self.settings.threads),
                "flash_attention": "auto" if self.settings.flash else "off",
                "micro_batch": str(self.n_ubatch),
                "weights": self.weights.name,
                "kernels": "safe" if self.safe_kernels else "all",
                "gpu_offload": "yes" if self.gpu_offload() else "no",
                "weight_layouts": "special" if self.settings.extra_buffers else "plain",
                "settings": self.settings.source,
                "memory": self.memory.summary(),
                "image_tokens": _named(self.image_tokens),
                "template": self.template_form,
                "llama_cpp_python": native.build(),
            },
        )

    @property
    def identity(self) -> str:
        """What results depend on: the files, and whether copies of them are computed with."""
        return self.weights.identify(self.fingerprint)

    def no_numbers(self, shown: str) -> str:
        """The message where the model computes NaN, as damaged weights make it; `shown` is what it
        was asked about, "" for text alone."""
        beside = f" with {self.ref.mmproj.name}" if shown and self.ref.mmproj else ""
        return (
            f"{self.ref.text}{beside}: computes no numbers (NaN) for {shown or 'a prompt'}: its "
            "weights are damaged; download the model again"
        )

    def _quantisation(self) -> str:
        """The format of the text model's file, and what is computed with copies."""
        file_type = self.text_header.meta.get("general.file_type")
        own = native.format_of(file_type) or self.model.quantisation()
        return f"{own} as {self.weights.name}" if self.weights.copied else own

    def _used_context(self) -> int:
        """Tokens of a context that holds every prompt so far, and prompts of usual length."""
        if self.options.n_ctx:
            return self.n_ctx
        usual = _context_size(self.model, self.options)
        return min(self.n_ctx, max(usual, _rounded(self.needed)))

    def gpu_offload(self) -> bool:
        """Whether layers are computed on a GPU."""
        supported = bool(self.model.lib.llama.llama_supports_gpu_offload())
        return supported and self.options.gpu_layers != 0

    def context(self, slots: int, cells: int) -> Context:
        """A new context of `slots` sequences of `cells` cells."""
        return Context(
            self.model,
            n_ctx=cells,
            slots=slots,
            n_batch=max(self.options.n_batch, self.n_ubatch),
            n_ubatch=self.n_ubatch,
            threads=self.settings.threads,
            flash=self.settings.flash,
            clock=self.clock,
        )

    def close(self) -> None:
        if self.vision is not None:
            self.vision.close()
        self.model.close()


def load(ref: ModelRef, options: EngineOptions, notice: Notice) -> Loaded:
    """Open both files. Raises `ModelError` naming the file and what is wrong with it."""
    text = files.read_header(ref.text, "text model")
    mmproj = files.read_header(ref.mmproj, "mmproj") if ref.mmproj else None
    check_pair(text, mmproj)
    fingerprint = files.fingerprint(*filter(None, (ref.text, ref.mmproj)))
    safe = needs_safe_kernels(ref, fingerprint, options)
    weights = choose(text, mmproj, fingerprint, options, notice)
    identity, pair = weights.identify(fingerprint), weights.ref
    if weights.copied:
        safe = needs_safe_kernels(pair, identity, options)
    clock = Clock()

    def opened(extra_buffers: bool) -> native.TextModel:
        return native.TextModel(pair.text, options.gpu_layers, extra_buffers, clock)

    with ExitStack() as stack:
        chosen = autotune.kept(options, identity, safe, notice)
        model = opened(chosen.extra_buffers if chosen else not safe)
        stack.callback(lambda: model.close())
        vocab = Vocabulary(model)
        template = _template(ref, model, vocab, options)
        if chosen is None:
            chosen = autotune.measured(
                model, options, identity, safe, opened, notice, images=pair.mmproj is not None
            )
            if not chosen.extra_buffers and not safe:
                model.close()
                model = opened(False)
                vocab = Vocabulary(model)
        n_ctx, image_tokens = _context_size(model, options), (0, 0)
        n_ubatch = memory_budget.micro_batch(
            options, model, weights.text, weights.mmproj, chosen.n_ubatch
        )
        vision = None
        if pair.mmproj:
            image_tokens = _image_tokens(mmproj, options, n_ctx)
            on_gpu = options.gpu_layers != 0
            vision = Vision(pair.mmproj, model, chosen.threads, on_gpu, clock, image_tokens)
            stack.callback(vision.close)
            n_ubatch = max(n_ubatch, vision.longest_whole())
        plan = memory_budget.divide(options, model, weights.text, weights.mmproj, n_ubatch)
        n_ctx = _longest(model, options, n_ctx, plan.kv)
        embeddings, states = _disk(ref, identity, weights, options, chosen.flash, image_tokens)
        loaded = Loaded(
            ref=ref,
            options=options,
            text_header=text,
            mmproj_header=mmproj,
            fingerprint=fingerprint,
            weights=weights,
            safe_kernels=safe,
            settings=chosen,
            model=model,
            vision=vision,
            vocab=vocab,
            planner=Planner(template, vocab),
            embeddings=ImageEmbeddings(vision, plan.embeddings, embeddings),
            states=states,
            clock=clock,
            n_ctx=n_ctx,
            n_ubatch=n_ubatch,
            image_tokens=image_tokens,
            memory=plan,
            limits=ContextLimits(
                n_ctx=n_ctx,
                most_slots=_MOST_SLOTS,
                kv_bytes=plan.kv,
                cell_bytes=model.kv_bytes_per_token(),
                slots=min(options.slots, _LIMIT_SLOTS),
            ),
            template_form=template.form.summary(),
        )
        stack.pop_all()
        return loaded


def _template(
    ref: ModelRef, model: native.TextModel, vocab: Vocabulary, options: EngineOptions
) -> ChatTemplate:
    source = options.chat_template or model.meta("tokenizer.chat_template")
    if not source:
        raise ModelError(
            f"{ref.text}: the model has no chat template; pass one with --chat-template"
        )
    own = ref.text.resolve().is_relative_to(PACKAGE) and not options.chat_template
    where = "--chat-template" if options.chat_template else ref.text
    try:
        return load_template(source, vocab.text(vocab.bos), vocab.text(vocab.eos), own)
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from error


def _disk(
    ref: ModelRef,
    identity: str,
    weights: Weights,
    options: EngineOptions,
    flash: bool,
    image_tokens: tuple[int, int],
) -> tuple[DiskEmbeddings | None, DiskStates | None]:
    """The disk caches: embeddings depend on the projector's weights and the library's build (its
    preprocessing), prefix states on both files, their `identity`, and the context's attention."""
    if not options.disk_bytes:
        return None, None
    cache, build = DiskCache(options.cache_folder(), options.disk_bytes), native.build()
    sized = "".join(f"-{n}" for n in image_tokens if any(image_tokens))
    states = DiskStates(cache, f"{identity}-{build}-{int(flash)}{sized}")
    if ref.mmproj is None:
        return None, states
    images = weights.identify_images(files.fingerprint(ref.mmproj))
    return DiskEmbeddings(cache, f"{images}-{build}{sized}"), states


def _image_tokens(
    mmproj: files.Header | None, options: EngineOptions, n_ctx: int
) -> tuple[int, int]:
    """The least and the most tokens of a picture, 0 where the model's own limit holds. Raises
    `ModelError` for limits that exclude each other."""
    least, most = options.image_min_tokens, options.image_max_tokens
    if not most and mmproj and mmproj.projector_type.startswith(_ANY_RESOLUTION):
        most = max(least, n_ctx // 2)
    if most and least > most:
        raise ModelError(f"--image-min-tokens {least} is more than --image-max-tokens {most}")
    return least, most


def _named(image_tokens: tuple[int, int]) -> str:
    """The limits for the user: "at most 2048"."""
    limits = zip(("at least", "at most"), image_tokens, strict=True)
    return ", ".join(f"{word} {n}" for word, n in limits if n) or "as the model chooses"


def _context_size(model: native.TextModel, options: EngineOptions) -> int:
    """Tokens of a context for prompts of usual length."""
    return _rounded(options.n_ctx or min(_DEFAULT_CTX, model.n_ctx_train or _DEFAULT_CTX))


def _longest(model: native.TextModel, options: EngineOptions, usual: int, kv_bytes: int) -> int:
    """Tokens of the longest prompt that may be asked: contexts are made as large as the task's
    pictures and texts need, up to what the model was trained with and the memory holds."""
    if options.n_ctx:
        return usual
    held = kv_bytes // max(1, model.kv_bytes_per_token()) // 256 * 256
    return max(usual, min(held, model.n_ctx_train // 256 * 256))


def _rounded(n_ctx: int) -> int:
    return -(-n_ctx // 256) * 256  # the library rounds up to this itself

"""Opening a model: files checked, kernels chosen, sizes derived, paths made and proved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...errors import ModelError
from ...types import ModelInfo, ModelRef
from ..options import EngineOptions
from . import files, native, proof, tune
from .arena import Arena, Sizes
from .chat import load_template
from .clock import Clock
from .context import Context
from .fast import FastPath
from .groups import DecodeCost
from .heads import Heads
from .pictures import Pictures
from .plain import PlainPath
from .plan import Planner
from .probe import needs_safe_kernels
from .remember import Memory
from .store import DiskCache, DiskEmbeddings, DiskStates
from .vision import Vision
from .vocabulary import Vocabulary
from .work import Path as WorkPath

_MOST_SLOTS = 32
_LIMIT_SLOTS = 256  # LLAMA_MAX_SEQ
_DEFAULT_CTX = 4096


@dataclass
class Loaded:
    """A model with everything that is shared by its paths."""

    ref: ModelRef
    options: EngineOptions
    text_header: files.Header
    mmproj_header: files.Header
    fingerprint: str
    safe_kernels: bool
    model: native.TextModel
    vision: Vision
    vocab: Vocabulary
    planner: Planner
    pictures: Pictures
    states: DiskStates | None
    clock: Clock
    n_ctx: int
    n_ubatch: int
    sizes: Sizes
    threads: int
    flash: bool
    template_habits: str

    def info(self, mode: str) -> ModelInfo:
        """What `Engine.info` answers."""
        meta, arch = self.text_header.meta, self.text_header.architecture
        projector = projector_type(self.mmproj_header)
        n_params = self.model.n_params()
        return ModelInfo(
            engine="llama_cpp",
            name=str(meta.get("general.name") or self.ref.text.stem),
            fingerprint=self.fingerprint,
            architecture=arch,
            family=f"{arch}+{projector}-{size_class(n_params)}",
            quantisation=quantisation(self.model),
            n_ctx=self.n_ctx,
            path=str(self.ref.text),
            mmproj=str(self.ref.mmproj),
            mode=mode,
            details={
                "parameters": str(n_params),
                "projector": projector,
                "threads": str(self.threads),
                "flash_attention": "auto" if self.flash else "off",
                "slots": str(self.sizes.slots or self.sizes.most_slots),
                "kernels": "safe" if self.safe_kernels else "all",
                "template": self.template_habits,
                "llama_cpp_python": native.version(),
            },
        )

    def context(self, slots: int, cells: int) -> Context:
        """A new context of `slots` sequences of `cells` cells."""
        return Context(
            self.model,
            n_ctx=cells,
            slots=slots,
            n_batch=max(self.options.n_batch, self.n_ubatch),
            n_ubatch=self.n_ubatch,
            threads=self.threads,
            flash=self.flash,
            clock=self.clock,
        )

    def close(self) -> None:
        self.vision.close()
        self.model.close()


class Paths:
    """The fast path and the plain one, each made when first needed."""

    def __init__(self, loaded: Loaded, notice: Callable[[str], None]) -> None:
        self._loaded, self._notice = loaded, notice
        self._fast: FastPath | None = None
        self._plain: PlainPath | None = None
        self._proved = False
        self.mode = "fast" if loaded.options.fast == "auto" else "plain"

    def best(self, with_pictures: bool) -> WorkPath:
        """The path to compute on. The first time pictures come, the fast one is proved."""
        if self.mode == "fast" and with_pictures and not self._proved:
            self._prove()
        return self._make_fast() if self.mode == "fast" else self._make_plain()

    def close(self) -> None:
        for path in (self._fast, self._plain):
            if path is not None:
                path.close()
        self._fast = self._plain = None

    def _prove(self) -> None:
        """Compare both paths on one picture; keep the plain one if they disagree. Agreement is
        remembered."""
        self._proved = True
        loaded = self._loaded
        memory = Memory(loaded.options.cache_folder())
        key = ("proof", loaded.fingerprint, native.version(), str(loaded.flash), proof.EDITION)
        if memory.get(*key):
            return
        try:
            fault = proof.compare(loaded, self._make_fast(), self._make_plain())
        except ModelError as error:
            fault = str(error)
        if not fault:
            memory.put("agrees", *key)
        if fault:
            self.mode = "plain"
            self._notice(f"the fast path is off for this model: {fault}; it will be slower")
            if self._fast is not None:
                self._fast.close()
                self._fast = None
        elif self._plain is not None:
            self._plain.close()
            self._plain = None

    def _make_fast(self) -> FastPath:
        if self._fast is None:
            loaded = self._loaded
            heads = Heads(
                loaded.vision,
                loaded.pictures,
                loaded.clock,
                loaded.options.state_bytes,
                cuttable=not loaded.model.recurrent,
                disk=loaded.states,
            )
            arena = Arena(loaded.context, heads, loaded.pictures, loaded.sizes, DecodeCost())
            self._fast = FastPath(arena, loaded.vocab)
        return self._fast

    def _make_plain(self) -> PlainPath:
        if self._plain is None:
            loaded = self._loaded
            self._plain = PlainPath(loaded.context, loaded.sizes, loaded.vision, loaded.vocab)
        return self._plain


def load(ref: ModelRef, options: EngineOptions) -> Loaded:
    """Open both files. Raises `ModelError` with one line on what is wrong with them."""
    text = files.read_header(ref.text, "text model")
    mmproj = files.read_header(ref.mmproj, "mmproj")
    files.check_pair(text, mmproj)
    fingerprint = files.fingerprint(ref.text, ref.mmproj)
    safe = needs_safe_kernels(ref, fingerprint, options)
    clock = Clock()
    model = native.TextModel(ref.text, options.gpu_layers, not safe, clock)
    try:
        vocab = Vocabulary(model)
        source = options.chat_template or model.meta("tokenizer.chat_template")
        if not source:
            raise ModelError(
                f"{ref.text}: the model has no chat template; pass one with --chat-template"
            )
        template = load_template(source, vocab.text(vocab.bos), vocab.text(vocab.eos))
        flash, threads = tune.flash(model, options), tune.threads(model, options)
        vision = Vision(ref.mmproj, model, threads, options.gpu_layers != 0, clock)
    except BaseException:
        model.close()
        raise
    n_ctx = _context_size(model, options)
    embeddings, states = _disk(ref, options, fingerprint, flash)
    return Loaded(
        ref=ref,
        options=options,
        text_header=text,
        mmproj_header=mmproj,
        fingerprint=fingerprint,
        safe_kernels=safe,
        model=model,
        vision=vision,
        vocab=vocab,
        planner=Planner(template, vocab),
        pictures=Pictures(vision, options.embedding_bytes, embeddings),
        states=states,
        clock=clock,
        n_ctx=n_ctx,
        n_ubatch=max(options.n_ubatch, vision.longest_whole()),
        sizes=Sizes(
            n_ctx=n_ctx,
            most_slots=_MOST_SLOTS,
            kv_bytes=options.kv_bytes,
            cell_bytes=model.kv_bytes_per_token(),
            slots=min(options.slots, _LIMIT_SLOTS),
        ),
        threads=threads,
        flash=flash,
        template_habits=template.habits,
    )


def _disk(
    ref: ModelRef, options: EngineOptions, fingerprint: str, flash: bool
) -> tuple[DiskEmbeddings | None, DiskStates | None]:
    """What is kept between runs: pictures by the projector's weights and the build of the library
    (its preprocessing), prefixes also by the text model and how the context stores them."""
    if not options.disk_bytes:
        return None, None
    cache, build = DiskCache(options.cache_folder(), options.disk_bytes), native.build()
    pictures = DiskEmbeddings(cache, f"{files.fingerprint(ref.mmproj)}-{build}")
    return pictures, DiskStates(cache, f"{fingerprint}-{build}-{int(flash)}")


def _context_size(model: native.TextModel, options: EngineOptions) -> int:
    wanted = options.n_ctx or min(_DEFAULT_CTX, model.n_ctx_train or _DEFAULT_CTX)
    return -(-wanted // 256) * 256  # the library rounds up to this itself


def projector_type(header: files.Header) -> str:
    """The kind of an mmproj's vision projector ("idefics3", "qwen2vl_merger", ...)."""
    meta = header.meta
    return str(meta.get("clip.vision.projector_type") or meta.get("clip.projector_type") or "mlp")


def size_class(n_params: int) -> str:
    """A rough size for naming a family."""
    bounds = ((50, "tiny"), (400, "0.3b"), (800, "0.5b"), (1500, "1b"), (2700, "2b"), (5500, "4b"))
    for limit, name in bounds:
        if n_params < limit * 1_000_000:
            return name
    return "8b" if n_params < 12_000_000_000 else "large"


def quantisation(model: native.TextModel) -> str:
    """The file's quantisation as llama.cpp names it ("Q8_0")."""
    llama = model.lib.llama
    name = llama.llama_ftype_name(llama.llama_model_ftype(model.pointer))
    text = name.decode() if name else model.description()
    return text.removeprefix("mostly ").removeprefix("all ")


def open_ref(ref: ModelRef | Path) -> ModelRef:
    """A model reference from what the user gave: both files, or a text GGUF whose mmproj lies
    beside it. Raises `ModelError` if none or several do."""
    if isinstance(ref, ModelRef):
        return ref
    beside = sorted(path for path in ref.parent.glob("*mmproj*.gguf") if path != ref)
    if len(beside) != 1:
        found = "none" if not beside else ", ".join(path.name for path in beside)
        raise ModelError(f"{ref}: which mmproj goes with it? ({found} beside it); pass --mmproj")
    return ModelRef(ref, beside[0])

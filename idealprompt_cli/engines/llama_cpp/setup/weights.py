"""Which weights a model is computed with: those of its files, or bfloat16 copies of them.

llama.cpp has fast kernels for many tokens at a time for a few formats only; K-quants, Q4_1 and Q5_1
have none on most CPUs. Where the CPU multiplies bfloat16, the same weights dequantised are up to
four times as fast. A copy differs from its file as the file's own kernels differ from exact
arithmetic: these round activations to 8 bits a block, bfloat16 rounds them to 8 bits each. So
scores differ in the same places, and near-ties may flip (`python -m benchmarks.engine.weights`).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ....core.errors import ModelError
from ....core.interfaces import Notice
from ....core.task import ModelRef
from ...options import EngineOptions, available_cores, in_words
from ..caching.weight_copies import WeightCopies, size_of
from ..native import library as native
from ..native.gguf_header import Header, fingerprint, read_header
from ..native.library import Clock, TextModel
from ..native.vision import Picture, Vision
from .decode_timing import SLOTS, Bench
from .machine_facts import MachineFacts
from .self_check import write_picture

_BF16 = 32  # llama.h: LLAMA_FTYPE_MOSTLY_BF16
_TOKENS = 16
"""Of each sequence of the timed batch."""
_LEAST_SECONDS = 1e-6
_SMALL = 50_000_000
"""Weights of a text model; with fewer it is fast in any case."""


@dataclass(frozen=True)
class Weights:
    """The files that are loaded; `name` is "file" or "bf16"."""

    text: Header
    mmproj: Header | None
    name: str = "file"

    @property
    def ref(self) -> ModelRef:
        return ModelRef(self.text.path, self.mmproj.path if self.mmproj else None)

    @property
    def copied(self) -> bool:
        return self.name != "file"

    def identify(self, digest: str) -> str:
        """A fingerprint of files, different for what is computed with copies of them."""
        return f"{digest}-{self.name}" if self.copied else digest


@dataclass(frozen=True)
class Gain:
    """How many times as fast bfloat16 copies compute prompts, and encode images (0: none)."""

    prompts: float
    images: float = 0.0


def choose(text: Header, mmproj: Header | None, options: EngineOptions, notice: Notice) -> Weights:
    """The weights that the options ask for, copies made if need be. Raises `ModelError`."""
    if options.weights == "file":
        return Weights(text, mmproj)
    if not native.multiplies_bfloat16():
        notice(
            "--weights bf16: this CPU (or this build of llama.cpp) has no bfloat16 instructions, "
            "so the copies are likely to be slower than the files"
        )
    copies = WeightCopies(options.cache_folder())
    size = sum(size_of(part) for part in (text, mmproj) if part)
    if options.memory and size > options.memory:
        raise ModelError(
            f"--memory {in_words(options.memory)} does not hold the bfloat16 copies of this model "
            f"({in_words(size)}); use --weights file"
        )
    threads = options.threads or available_cores()

    def copy(part: Header) -> Header:
        return part if part.meta.get("general.file_type") == _BF16 else copies.get(part, threads)

    return Weights(copy(text), copy(mmproj) if mmproj else None, "bf16")


def known_gain(ref: ModelRef, options: EngineOptions) -> Gain | None:
    """What `measure_gain` found for these files on this machine, None where it was not asked."""
    try:
        found = MachineFacts(options.cache_folder()).get(*_key(ref))
        return Gain(*map(float, found.split())) if found else None
    except (OSError, ValueError, TypeError):
        return None


def measure_gain(ref: ModelRef, options: EngineOptions) -> Gain | None:
    """Compare copies with the files, on one thread for some seconds, in processor time, and keep
    the result. None where the CPU has no bfloat16 instructions, a GPU computes, or the text model
    is small or not quantised. Raises `ModelError`."""
    text = read_header(ref.text, "text model")
    on_gpu = options.gpu_layers != 0 and native.library().llama.llama_supports_gpu_offload()
    if on_gpu or text.n_quantised < max(1, _SMALL) or not native.multiplies_bfloat16():
        return None
    if (known := known_gain(ref, options)) is not None:
        return known
    with tempfile.TemporaryDirectory(dir=options.cache_folder()) as folder:
        copies = WeightCopies(Path(folder))
        copy = copies.get(text, available_cores()).path
        prompts = _ratio(_prompt_seconds, ref.text, copy)
        images = 0.0
        if ref.mmproj:
            picture = write_picture(Path(folder))
            other = copies.get(read_header(ref.mmproj, "mmproj"), available_cores()).path
            images = _ratio(lambda path: _image_seconds(path, ref.text, picture), ref.mmproj, other)
    MachineFacts(options.cache_folder()).put(f"{prompts:.3g} {images:.3g}", *_key(ref))
    return Gain(prompts, images)


def _key(ref: ModelRef) -> tuple[str, ...]:
    files = filter(None, (ref.text, ref.mmproj))
    return "weights", fingerprint(*files), native.build()


def _ratio(seconds: Callable[[Path], float], own: Path, copy: Path) -> float:
    return seconds(own) / max(seconds(copy), _LEAST_SECONDS)


def _prompt_seconds(path: Path) -> float:
    """Processor time of a batch of prompts."""
    model = TextModel(path, 0, True)
    try:
        with Bench(model, threads=1, flash=False, n_ubatch=512) as bench:
            bench.once(1, 1)  # touches the weights
            started = time.process_time()
            bench.once(SLOTS, _TOKENS)
            return time.process_time() - started
    finally:
        model.close()


def _image_seconds(path: Path, text: Path, picture: Path) -> float:
    """Processor time of the first tile of an image."""
    model = TextModel(text, 0, True)
    vision = Vision(path, model, 1, False, Clock())
    try:
        with vision.chunks([Picture(picture, "timed")]) as chunks:
            tile = next(chunk for chunk in chunks if chunk.tokens is None)
            started = time.process_time()
            list(vision.encode([tile]))
            return time.process_time() - started
    finally:
        vision.close()
        model.close()

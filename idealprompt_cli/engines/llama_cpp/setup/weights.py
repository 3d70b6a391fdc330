"""Which weights a model is computed with: those of its files, or bfloat16 copies of them.

llama.cpp has fast kernels for many tokens at a time for a few formats only; K-quants, Q4_1 and Q5_1
have none on most CPUs. Where the CPU multiplies bfloat16, the same weights dequantised are up to
four times as fast. Scores differ a little: the kernels for quantised weights round activations to
8 bits with one scale for 32 of them, bfloat16 gives each its own exponent, so a copy is closer to
what the file's weights say without rounding (`python -m benchmarks.engine.weights`).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ....core.errors import ModelError
from ....core.interfaces import Notice
from ....core.task import ModelRef
from ...options import EngineOptions, available_cores, in_words
from ..caching.weight_copies import LIMIT_BYTES, WeightCopies, size_of
from ..native import library as native
from ..native.gguf_header import Header, fingerprint, read_header
from ..native.library import Clock, TextModel
from ..native.vision import Picture, Vision
from .autotune import SWITCH
from .crash_probe import needs_safe_kernels
from .decode_timing import SLOTS, Bench
from .machine_facts import MachineFacts
from .memory_budget import available
from .self_check import write_picture

_BF16 = 32  # llama.h: LLAMA_FTYPE_MOSTLY_BF16
_TOKENS, _LARGE = 16, 1_000_000_000
"""Of each sequence of the timed batch; half of them for a model of more weights than that."""
_LEAST_SECONDS = 1e-6
_SMALL = 50_000_000
"""Weights of a text model; with fewer it is fast in any case."""
WORTHWHILE = 1.25
"""Times as fast from which on a copy is used."""
_SHARE_OF_MEMORY = 0.6


@dataclass(frozen=True)
class Weights:
    """The files that are loaded: those of the model, or copies of some in bfloat16. `reason` says
    why, where that was measured."""

    text: Header
    mmproj: Header | None
    text_copied: bool = False
    mmproj_copied: bool = False
    reason: str = ""

    @property
    def ref(self) -> ModelRef:
        return ModelRef(self.text.path, self.mmproj.path if self.mmproj else None)

    @property
    def name(self) -> str:
        """ "file", or which parts are copies."""
        parts = [
            *(["text"] if self.text_copied else []),
            *(["images"] if self.mmproj_copied else []),
        ]
        return f"bf16 ({', '.join(parts)})" if parts else "file"

    @property
    def copied(self) -> bool:
        return self.text_copied or self.mmproj_copied

    def identify(self, digest: str) -> str:
        """A fingerprint of files, different for what is computed with copies of them."""
        return f"{digest}{'-t16' * self.text_copied}{'-i16' * self.mmproj_copied}"

    def identify_images(self, digest: str) -> str:
        """The same for what depends on the projector alone."""
        return f"{digest}{'-i16' * self.mmproj_copied}"


@dataclass(frozen=True)
class Gain:
    """How many times as fast bfloat16 copies compute prompts, and encode images (0: none)."""

    prompts: float
    images: float = 0.0


def choose(text: Header, mmproj: Header | None, options: EngineOptions, notice: Notice) -> Weights:
    """The weights that the options ask for, copies made if need be. Raises `ModelError` where
    copies are asked for and cannot be had; "auto" then takes the files, with a notice."""
    if options.weights == "bf16":
        return _asked_for(text, mmproj, options, notice)
    own = Weights(text, mmproj)
    tuned = options.tune != "off" and os.environ.get(SWITCH) != "off"
    if options.weights == "file" or not tuned or not _fits(text, mmproj, options):
        return own
    try:
        known = known_gain(own.ref, options) is not None
        gain = measure_gain(own.ref, options)
        if gain is None or max(gain.prompts, gain.images) < WORTHWHILE:
            return own
        return _worthwhile(own, gain, known, options, notice)
    except ModelError as error:
        notice(f"The model's files are computed with as they are: {error}")
        return own


def _asked_for(
    text: Header, mmproj: Header | None, options: EngineOptions, notice: Notice
) -> Weights:
    if not native.multiplies_bfloat16():
        notice(
            "--weights bf16: this CPU (or this build of llama.cpp) has no bfloat16 instructions, "
            "so the copies are likely to be slower than the files"
        )
    size = sum(size_of(part) for part in (text, mmproj) if part)
    if options.memory and size > options.memory:
        raise ModelError(
            f"--memory {in_words(options.memory)} does not hold the bfloat16 copies of this model "
            f"({in_words(size)}); use --weights file"
        )
    return Weights(_copy(text, options), _copy(mmproj, options) if mmproj else None, True, True)


def _worthwhile(
    own: Weights, gain: Gain, known: bool, options: EngineOptions, notice: Notice
) -> Weights:
    """Copies of the parts that gain enough by them, with a notice the first time."""
    text, mmproj = own.text, own.mmproj
    prompts, images = gain.prompts >= WORTHWHILE, gain.images >= WORTHWHILE
    reason = " and ".join(
        f"{what} {times:.1f} times as fast"
        for what, times in (("prompts", gain.prompts), ("images", gain.images))
        if times >= WORTHWHILE
    )
    found = Weights(
        _copy(text, options) if prompts else text,
        _copy(mmproj, options) if mmproj and images else mmproj,
        prompts,
        bool(mmproj) and images,
        f"weights in bfloat16: {reason} as with the file's",
    )
    copies = [one for one in (found.text, found.mmproj) if one and one not in (text, mmproj)]
    if copies and not known:
        size = in_words(sum(one.needs_bytes for one in copies))
        notice(
            f"Computing with copies of the weights in bfloat16 ({size} in "
            f"{copies[0].path.parent}): {reason} here. --weights file uses the file's own."
        )
    return found


def _copy(part: Header, options: EngineOptions) -> Header:
    """The copy of a part; a file in bfloat16 is its own."""
    if part.meta.get("general.file_type") == _BF16:
        return part
    copies = WeightCopies(options.cache_folder())
    return copies.get(part, options.threads or available_cores())


def _fits(text: Header, mmproj: Header | None, options: EngineOptions) -> bool:
    """Whether copies leave room for the caches, in memory and on the disk."""
    size = sum(size_of(part) for part in (text, mmproj) if part)
    room = options.memory or available() or 0
    return size <= min(_SHARE_OF_MEMORY * room, LIMIT_BYTES)


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
    is small or not quantised. Copies that are not worth their room are removed. Raises
    `ModelError`."""
    text = read_header(ref.text, "text model")
    on_gpu = options.gpu_layers != 0 and native.library().llama.llama_supports_gpu_offload()
    if on_gpu or text.n_quantised < max(1, _SMALL) or not native.multiplies_bfloat16():
        return None
    if (known := known_gain(ref, options)) is not None:
        return known
    copies, mmproj = WeightCopies(options.cache_folder()), None
    copy = copies.get(text, available_cores())
    if ref.mmproj:
        mmproj = copies.get(read_header(ref.mmproj, "mmproj"), available_cores())
    gain = _compared(ref, ModelRef(copy.path, mmproj.path if mmproj else None), text, options)
    if options.weights == "file" or gain.prompts < WORTHWHILE:
        copies.remove(copy)
    if mmproj and (options.weights == "file" or gain.images < WORTHWHILE):
        copies.remove(mmproj)
    MachineFacts(options.cache_folder()).put(f"{gain.prompts:.3g} {gain.images:.3g}", *_key(ref))
    return gain


def _compared(ref: ModelRef, copy: ModelRef, text: Header, options: EngineOptions) -> Gain:
    """The gain of copies. Raises `EngineCrash` where llama.cpp cannot compute with them."""
    needs_safe_kernels(copy, f"{fingerprint(ref.text)}-copies", options)
    tokens = _TOKENS // 2 if text.n_values > _LARGE else _TOKENS
    prompts = _ratio(lambda path: _prompt_seconds(path, tokens), ref.text, copy.text)
    if not ref.mmproj or not copy.mmproj:
        return Gain(prompts)
    with tempfile.TemporaryDirectory() as folder:
        picture = write_picture(Path(folder))
        images = _ratio(
            lambda path: _image_seconds(path, ref.text, picture), ref.mmproj, copy.mmproj
        )
    return Gain(prompts, images)


def _key(ref: ModelRef) -> tuple[str, ...]:
    files = filter(None, (ref.text, ref.mmproj))
    return "weights", fingerprint(*files), native.build()


def _ratio(seconds: Callable[[Path], float], own: Path, copy: Path) -> float:
    return seconds(own) / max(seconds(copy), _LEAST_SECONDS)


def _prompt_seconds(path: Path, tokens: int) -> float:
    """Processor time of a batch of prompts, and of two steps of writing answers to them."""
    model = TextModel(path, 0, True)
    try:
        with Bench(model, threads=1, flash=False, n_ubatch=512) as bench:
            bench.once(1, 1)  # touches the weights
            started = time.process_time()
            bench.once(SLOTS, tokens)
            bench.once(SLOTS, 1)
            bench.once(SLOTS, 1)
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

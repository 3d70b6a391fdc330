"""How many times as fast bfloat16 copies of a model's weights are, measured once on a machine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ....core.task import ModelRef
from ...options import EngineOptions, available_cores
from ..caching.weight_copies import WeightCopies
from ..native import library as native
from ..native.gguf_header import Header, fingerprint, read_header
from ..native.library import Clock, TextModel
from ..native.vision import Picture, Vision
from .crash_probe import needs_safe_kernels
from .decode_timing import SLOTS, Bench
from .machine_facts import MachineFacts
from .self_check import write_picture

_TOKENS, _LARGE = 16, 1_000_000_000
"""Of each sequence of the timed batch; half of them for a model of more weights than that."""
_LEAST_SECONDS = 1e-6
_SMALL = 50_000_000
"""Weights of a text model; with fewer it is fast in any case."""
WORTHWHILE = 1.25
"""Times as fast from which on a copy is used."""
_UNSURE = (1.0, 1.6)
"""Gains that a busy machine may have moved across `WORTHWHILE`: they are measured twice."""


@dataclass(frozen=True)
class Gain:
    """How many times as fast bfloat16 copies compute prompts, and encode images (0: none)."""

    prompts: float
    images: float = 0.0


def computes_bfloat16(options: EngineOptions) -> bool:
    """Whether the CPU computes, and has bfloat16 instructions."""
    on_gpu = options.gpu_layers != 0 and native.library().llama.llama_supports_gpu_offload()
    return not on_gpu and native.multiplies_bfloat16()


def can_gain(text: Header, options: EngineOptions) -> bool:
    """Whether copies may be faster: the text model is large and quantised, and the CPU suits."""
    return text.n_quantised >= max(1, _SMALL) and computes_bfloat16(options)


def known_gain(ref: ModelRef, options: EngineOptions) -> Gain | None:
    """What `measure_gain` found for these files on this machine, None where it was not asked."""
    try:
        found = MachineFacts(options.cache_folder()).get(*_key(ref))
        return Gain(*map(float, found.split())) if found else None
    except (OSError, ValueError, TypeError):
        return None


def measure_gain(ref: ModelRef, options: EngineOptions) -> Gain | None:
    """Compare copies with the files, on one thread for some seconds, in processor time, and keep
    the result, unless one is kept (`tune` "again" replaces it). None where copies cannot be faster.
    Copies that are not worth their room are removed. Raises `ModelError`."""
    text = read_header(ref.text, "text model")
    if not can_gain(text, options):
        return None
    known = None if options.tune == "again" else known_gain(ref, options)
    if known is not None:
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
    """How many times as fast the copy is. Other programs only add to a time, so the least of each
    counts where a gain is measured twice."""
    slow, fast = seconds(own), max(seconds(copy), _LEAST_SECONDS)
    if _UNSURE[0] < slow / fast < _UNSURE[1]:
        slow, fast = min(slow, seconds(own)), min(fast, max(seconds(copy), _LEAST_SECONDS))
    return slow / fast


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

"""Dividing the memory budget: weights, working memory, sequences and caches.

Sizes are bytes. Weights and working memory are estimates from the files' headers: weights are
mapped from the files, and buffers grow with the micro-batch and the picture size. A budget that is
given covers the process itself too.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ....core.errors import ModelError
from ...options import EngineOptions, in_words
from ..native.gguf_header import Header
from ..native.library import TextModel

_LEAST_CELLS, _LEAST_UBATCH = 256, 32
_MOST_KV, _MOST_STATES, _MOST_EMBEDDINGS = 1 << 30, 1 << 29, 1 << 28
_KV_SHARE, _STATES_SHARE = 0.6, 0.3
_AUTOMATIC_SHARE = 0.5
_FLOAT = 4
_CONTROL_GROUP = Path("/sys/fs/cgroup")
_PROCESS, _PROCESS_SHARE = 80 << 20, 1 / 8
"""The process without a model: Python and its libraries. A small budget counts this share at most:
it is for tiny models, beside which the process does not matter."""


@dataclass(frozen=True)
class MemoryPlan:
    """The bytes of each part. `kv`: key-value memory of the sequences; `states`: saved prefixes;
    `embeddings`: encoded pictures."""

    weights: int
    work: int
    kv: int
    states: int
    embeddings: int

    @property
    def total(self) -> int:
        return self.weights + self.work + self.kv + self.states + self.embeddings

    def summary(self) -> str:
        """One line for the user."""
        parts = {
            "weights": self.weights,
            "working memory": self.work,
            "sequences": self.kv,
            "saved prefixes": self.states,
            "encoded images": self.embeddings,
        }
        inside = ", ".join(f"{name} {in_words(size)}" for name, size in parts.items())
        return f"at most about {in_words(self.total)}: {inside}"


def divide(
    options: EngineOptions, model: TextModel, text: Header, mmproj: Header | None, n_ubatch: int
) -> MemoryPlan:
    """The division of `options.memory`, or of half of what is free now. Raises `ModelError` if
    the memory given does not hold the model and one short prefix."""
    weights = _weights(text, mmproj)
    own = _text_work(text, model, n_ubatch) + _vision_work(mmproj)
    work = own + min(_PROCESS, int(options.memory * _PROCESS_SHARE))
    least = _LEAST_CELLS * model.kv_bytes_per_token()
    if options.memory:
        rest = options.memory - weights - work
        if rest * _KV_SHARE < least:
            bare = weights + own + int(least / _KV_SHARE) + 1
            needed = min(int(bare / (1 - _PROCESS_SHARE)) + 1, bare + _PROCESS)
            raise ModelError(
                f"--memory {in_words(options.memory)} is too small for this model: its weights take"
                f" {in_words(weights)}, its working memory about {in_words(work)} and one prefix "
                f"{in_words(least)}; give at least {in_words(needed, up=True)}"
            )
    else:
        free = available()
        rest = max(int(_AUTOMATIC_SHARE * free), 2 * least) if free else 1 << 31
    kv = min(_MOST_KV, int(rest * _KV_SHARE)) if not options.memory else int(rest * _KV_SHARE)
    states, embeddings = int(rest * _STATES_SHARE), rest - kv - int(rest * _STATES_SHARE)
    if not options.memory:
        states, embeddings = min(_MOST_STATES, states), min(_MOST_EMBEDDINGS, embeddings)
    return MemoryPlan(
        weights,
        work,
        options.kv_bytes if options.kv_bytes >= 0 else kv,
        options.state_bytes if options.state_bytes >= 0 else states,
        options.embedding_bytes if options.embedding_bytes >= 0 else embeddings,
    )


def micro_batch(
    options: EngineOptions, model: TextModel, text: Header, mmproj: Header | None, largest: int
) -> int:
    """The largest micro-batch up to `largest` whose working memory leaves most of `options.memory`
    to the caches."""
    rest, size = options.memory - _weights(text, mmproj) - _vision_work(mmproj), largest
    while options.memory and size > _LEAST_UBATCH and 4 * _text_work(text, model, size) > rest:
        size //= 2
    return size


def _weights(text: Header, mmproj: Header | None) -> int:
    return sum(header.path.stat().st_size for header in (text, mmproj) if header)


def available() -> int | None:
    """Bytes that this process may still allocate, if known: free memory, and the rest of the
    control group's limit."""
    figures = [figure for figure in (_free(), _group()) if figure is not None]
    return min(figures) if figures else None


def installed() -> int | None:
    """Bytes of this machine's memory, or of the control group's limit, if known. Unlike
    `available`, it is the same in every run."""
    figures = [figure for figure in (_physical(), _group_limit()) if figure is not None]
    return min(figures) if figures else None


def _free() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except (OSError, ValueError):
        pass
    physical = _physical()
    return physical // 2 if physical else None


def _physical() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _group() -> int | None:
    """The rest of the control group's limit."""
    limit = _group_limit()
    try:
        used = int((_CONTROL_GROUP / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return max(0, limit - used) if limit is not None else None


def _group_limit() -> int | None:
    """The control group's limit (version 2, as in containers), None where there is none."""
    try:
        return int((_CONTROL_GROUP / "memory.max").read_text(encoding="ascii"))
    except (OSError, ValueError):  # "max" is no limit
        return None


def _text_work(header: Header, model: TextModel, n_ubatch: int) -> int:
    """Activations of a micro-batch, and 64 rows of logits."""
    feed = _number(header, f"{header.architecture}.feed_forward_length", 4 * model.n_embd_inp)
    return _FLOAT * (n_ubatch * (8 * model.n_embd_inp + 3 * feed) + 64 * model.n_vocab)


def _vision_work(header: Header | None) -> int:
    """Activations of one picture or tile, attention of one layer included."""
    if header is None:
        return 0
    size = _number(header, "clip.vision.image_size", 448)
    patches = (size // max(1, _number(header, "clip.vision.patch_size", 14))) ** 2
    width = _number(header, "clip.vision.embedding_length", 1024)
    feed = _number(header, "clip.vision.feed_forward_length", 4 * width)
    heads = _number(header, "clip.vision.attention.head_count", 16)
    return _FLOAT * patches * (8 * width + 2 * feed + heads * patches)


def _number(header: Header, key: str, default: int) -> int:
    value = header.meta.get(key, default)
    return int(value) if isinstance(value, (int, float)) else default

"""Options for opening an engine: one frozen value, shared by every engine."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from ..io.folders import user_cache_dir

KernelChoice = Literal["auto", "all", "safe"]
FlashChoice = Literal["auto", "on", "off"]
WeightsChoice = Literal["auto", "file", "bf16"]
TuneChoice = Literal["auto", "off", "again"]


def available_cores() -> int:
    """Physical cores that this process may use (CPU affinity respected), at least 1."""
    try:
        allowed = sorted(os.sched_getaffinity(0))
    except AttributeError:  # not on every platform
        allowed = list(range(os.cpu_count() or 1))
    return max(1, _physical(tuple(allowed)))


@lru_cache(maxsize=4)
def _physical(cpus: tuple[int, ...]) -> int:
    """Distinct (package, core) pairs among `cpus`; all of them where the kernel does not say."""
    cores: set[tuple[str, str]] = set()
    for cpu in cpus:
        topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
        try:
            package = (topology / "physical_package_id").read_text().strip()
            core = (topology / "core_id").read_text().strip()
        except OSError:
            return len(cpus)
        cores.add((package, core))
    return len(cores)


_UNITS = {"k": 10, "m": 20, "g": 30, "t": 40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b)?\s*", re.IGNORECASE)


def parse_bytes(text: str) -> int:
    """Bytes of a size such as "2GiB", "512M" or "1.5 gb" (all in powers of 1024), 0 for "auto".
    Raises `ValueError`."""
    if text.strip().lower() == "auto":
        return 0
    match = _SIZE.fullmatch(text)
    unit = match[2].lower() if match else ""
    if not match or (not unit and (match[3] or "").lower() == "ib"):
        raise ValueError(text)
    size = int(float(match[1]) * (1 << _UNITS.get(unit, 0)))
    if size <= 0:
        raise ValueError(text)
    return size


def in_words(size: int, up: bool = False) -> str:
    """A size as `parse_bytes` reads it ("1.5GiB"), rounded to three digits, or upwards."""
    for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >= 1 << power:
            value = size / (1 << power)
            digits = 0 if value >= 100 else 1 if value >= 10 else 2
            scale: int = 10**digits
            value = math.ceil(value * scale) / scale if up else round(value, digits)
            return f"{value:g}{unit}"
    return f"{size}B"


@dataclass(frozen=True)
class ServerRef:
    """A model server's address, and which of its models to use ("" for its only one).
    `allow_network` allows a server on another machine."""

    url: str
    model: str = ""
    allow_network: bool = False


@dataclass(frozen=True)
class RecordedWeights:
    """What a model was computed with before: the `fingerprint` of its files and the `name` of the
    weights, as `ModelInfo.details` has it ("file", "bf16 (text)"). `needed_by`: what is resumed and
    cannot continue with others; "" for a prompt, which can be used with any."""

    fingerprint: str
    name: str
    needed_by: Literal["", "run", "corpus"] = ""

    @property
    def of(self) -> str:
        """Whose record it is, for messages."""
        return f"the {self.needed_by} that is resumed" if self.needed_by else "the prompt"

    @property
    def anew(self) -> str:
        """How it is begun again with other weights."""
        fixes = {"run": "start a new run with another --run-dir", "corpus": "name another file"}
        return fixes.get(self.needed_by, "")


@dataclass(frozen=True)
class EngineOptions:
    """Options of the engines; sizes are in tokens unless they say bytes.

    `threads` 0, `n_ubatch` (micro-batch) 0 and `flash` (attention) "auto" are set by a short
    measurement that is kept; `tune` "off" takes defaults instead, "again" repeats the measurement.
    `gpu_layers` counts the layers computed on a GPU, -1 for all of them, if the library was built
    for one. `n_ctx` 0 means as many as the pictures and prompts need, up to the model's training
    context and the memory; `slots` 0 means as many sequences as are useful and fit (at most 32).
    `image_min_tokens` and `image_max_tokens` bound the tokens of a picture where the model takes
    any resolution; 0 keeps the model's own minimum, and for the maximum the smaller of its own and
    half of the context. `memory` bounds the bytes of weights, working memory and caches in RAM; 0
    takes half of the free memory. `kv_bytes`, `state_bytes` and `embedding_bytes` set its parts
    (sequences, saved prefixes, image embeddings), -1 derives them. `disk_bytes` bounds the disk
    cache (0 disables it). `weights` "bf16" computes with copies of the files in bfloat16, "auto"
    computes as `recorded` says, for the model that it is of, and else with copies where a short
    measurement shows that they are clearly faster. `backend`
    "reference" never uses the batched backend; `tolerance` is how far the two may differ in the
    self-check (natural log). `kernels` "safe" turns off the special weight layouts that crash on
    some CPUs, "all" keeps them without a probe; `probe` runs the crash probe again. `timeout` is
    the seconds that a server may take for an answer.
    """

    threads: int = 0
    gpu_layers: int = -1
    n_ctx: int = 0
    n_batch: int = 2048
    n_ubatch: int = 0
    slots: int = 0
    image_min_tokens: int = 0
    image_max_tokens: int = 0
    memory: int = 0
    kv_bytes: int = -1
    state_bytes: int = -1
    embedding_bytes: int = -1
    disk_bytes: int = 1 << 30
    weights: WeightsChoice = "auto"
    recorded: RecordedWeights | None = None
    chat_template: str | None = None
    backend: Literal["auto", "reference"] = "auto"
    kernels: KernelChoice = "auto"
    flash: FlashChoice = "auto"
    tune: TuneChoice = "auto"
    probe: bool = False
    cache_dir: Path | None = None
    tolerance: float = 0.05
    timeout: float = 300.0

    def cache_folder(self) -> Path:
        """The folder of the disk cache and the machine facts."""
        return self.cache_dir if self.cache_dir is not None else user_cache_dir()

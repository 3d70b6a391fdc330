"""How an engine is to be opened: one frozen value, shared by every engine."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

KernelChoice = Literal["auto", "fast", "safe"]
FlashChoice = Literal["auto", "on", "off"]


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


def user_cache_dir() -> Path:
    """The per-user cache folder of this package: `IDEALPROMPT_CACHE`, else the platform's."""
    named = os.environ.get("IDEALPROMPT_CACHE")
    if named:
        return Path(named)
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA", str(Path.home() / "AppData/Local")))
    elif os.uname().sysname == "Darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "idealprompt"


@dataclass(frozen=True)
class ServerRef:
    """Where a server with a model is, and which of its models is meant ("" for its only one).
    `allow_network` lets it be another machine than this one."""

    url: str
    model: str = ""
    allow_network: bool = False


@dataclass(frozen=True)
class EngineOptions:
    """Options of the engines; sizes are in tokens unless they say bytes.

    `threads` 0 means one per available core, or one alone where that measures faster (a small
    model on a busy machine). `gpu_layers` counts the layers computed on a GPU, -1 all of them, if
    the library was built for one. `flash` "auto" uses flash attention on a GPU only: on a CPU it
    is three times slower for prompts of less than 64 tokens (ggml falls back to a scalar kernel).
    `n_ctx` 0 means the smaller of the model's training context and 4096; `slots` 0 means as many
    resident sequences as fit into `kv_bytes` (at most 32). `state_bytes` bounds the prefix states
    kept in RAM, `embedding_bytes` the encoded pictures kept in RAM, `disk_bytes` those kept on
    disk (0 keeps none). `fast` "off" takes the plain path always. `kernels` "safe" turns off the
    special weight layouts that crash on some CPUs, "fast" keeps them without a probe. `timeout`
    is how many seconds a server may take for an answer.
    """

    threads: int = 0
    gpu_layers: int = -1
    n_ctx: int = 0
    n_batch: int = 2048
    n_ubatch: int = 512
    slots: int = 0
    kv_bytes: int = 1 << 30
    state_bytes: int = 1 << 29
    embedding_bytes: int = 1 << 28
    disk_bytes: int = 1 << 30
    chat_template: str | None = None
    fast: Literal["auto", "off"] = "auto"
    kernels: KernelChoice = "auto"
    flash: FlashChoice = "auto"
    probe: bool = False
    cache_dir: Path | None = None
    tolerance: float = 0.05
    timeout: float = 300.0

    def with_memory(self, total: int) -> EngineOptions:
        """A copy that keeps at most about `total` bytes besides the weights: half of it for
        resident sequences, a quarter each for saved prefixes and encoded pictures."""
        return replace(
            self, kv_bytes=total // 2, state_bytes=total // 4, embedding_bytes=total // 4
        )

    def cache_folder(self) -> Path:
        """Where probe verdicts and encoded pictures are kept."""
        return self.cache_dir if self.cache_dir is not None else user_cache_dir()

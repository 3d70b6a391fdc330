"""Facts about this machine and installation, for `doctor`."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import __version__

_INSTRUCTION_SETS = (
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_int8",
    "neon",
    "asimd",
)


def machine(cache: Path) -> dict[str, Any]:
    """Versions, processor, memory; `cache` is the folder where encoded images are kept."""
    from ..engines.options import available_cores

    return {
        "idealprompt": __version__,
        "llama-cpp-python": version("llama-cpp-python"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count() or 0,
        "cores_used_at_most": available_cores(),
        "cpu_features": " ".join(cpu_features()),
        "load": load(),
        "memory_gib": _gib(_physical()),
        "memory_free_gib": _gib(_free()),
        "gpu": gpu(),
        "cache": str(cache),
        "cache_mib": round(_size(cache) / 2**20, 1),
    }


def version(package: str) -> str:
    """An installed package's version."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def cpu_features() -> list[str]:
    """Instruction sets that matter here, where the system says."""
    from ..engines.llama_cpp.setup.machine_facts import cpu_flags

    return [name for name in _INSTRUCTION_SETS if name in cpu_flags()]


def load() -> float | None:
    """Average number of processes that need a core, over the last minute."""
    try:
        return round(os.getloadavg()[0], 1)
    except (AttributeError, OSError):
        return None


def gpu() -> str:
    """A graphics processor that llama.cpp could be built for: "CUDA", "Metal", "Vulkan" or ""."""
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return "Metal"
    if Path("/dev/nvidiactl").exists():
        return "CUDA"
    return "Vulkan" if Path("/dev/dri/renderD128").exists() else ""


def _physical() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _free() -> int | None:
    from ..engines.llama_cpp.setup.memory_budget import available

    return available()


def _gib(size: int | None) -> float | None:
    return None if size is None else round(size / 2**30, 1)


def _size(folder: Path) -> int:
    """Bytes of the files below a folder; those that vanish meanwhile do not count."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:
            continue
    return total

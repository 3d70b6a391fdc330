"""The machine that figures were measured on: what matters for speed, without its name."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from idealprompt_cli.engines.options import available_cores

_INSTRUCTION_SETS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_tile",
    "asimddp",
    "i8mm",
    "sve",
)


def describe(clock: str = "wall", threads: int = 0) -> dict[str, Any]:
    """CPU name, physical cores, memory, relevant instruction sets and the library's version; and
    how seconds were measured, where that is not in wall time."""
    from .build import version

    return {
        "cpu": _cpu(),
        "cores": available_cores(),
        "memory_gib": _memory(),
        "instructions": [name for name in _INSTRUCTION_SETS if name in _flags()],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "llama_cpp_python": version(),
        **({"clock": clock, "threads": threads} if clock != "wall" else {}),
    }


def _info(name: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(found, "")


def _cpu() -> str:
    return _info("model name") or platform.processor() or platform.machine()


def _flags() -> list[str]:
    return (_info("flags") or _info("Features")).split()


def _memory() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (ValueError, OSError, AttributeError):
        return None

"""Whether llama.cpp can compute a model on this machine: tried in a child process, which may crash.

On CPUs with AMX, llama.cpp's AMX kernels crash the process at the first product with Q8_0 or Q4_0
weights (ggml-org/llama.cpp pull request 26954). `use_extra_bufts=False` avoids them; so a child
tries the model with all kernels, then with the safe ones. A projector of another family can abort
the process too, so the first load of every pair is tried. The verdict is kept per (model, CPU,
library version).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ....core.errors import EngineCrash
from ....core.task import ModelRef
from ...options import EngineOptions
from ..native import library as native
from .machine_facts import MachineFacts, cpu_flags

AMX = frozenset({"amx_int8", "amx_tile", "amx_bf16"})
_TIMEOUT_SECONDS = 900
SWITCH = "IDEALPROMPT_PROBE"
"""Environment variable; "off" loads new pairs without a child process."""
PACKAGE = Path(__file__).resolve().parents[3]
STATED = 3
"""Exit status of a child that stated an error."""


def needs_safe_kernels(ref: ModelRef, fingerprint: str, options: EngineOptions) -> bool:
    """Whether to load with the safe kernels only. Runs the probe for models that are not known to
    run, unless a verdict is kept. Raises `EngineCrash` if the model crashes with either kernels."""
    if options.kernels != "auto":
        return options.kernels == "safe"
    if not (options.probe or AMX & cpu_flags() or _is_new(ref)):
        return False
    facts = MachineFacts(options.cache_folder())
    key = ("kernels", fingerprint, native.version(), str(options.gpu_layers))
    verdict = facts.get(*key) if not options.probe else None
    if verdict not in ("all", "safe"):
        verdict = _try(ref, options)
        facts.put(verdict, *key)
    return verdict == "safe"


def _is_new(ref: ModelRef) -> bool:
    """Whether a file of the model did not come with this package."""
    if os.environ.get(SWITCH) == "off":
        return False
    files = (ref.text, ref.mmproj) if ref.mmproj else (ref.text,)
    return not all(path.resolve().is_relative_to(PACKAGE) for path in files)


def _try(ref: ModelRef, options: EngineOptions) -> str:
    crashes = []
    for kernels in ("all", "safe"):
        crash = _run(command(ref, kernels, options.gpu_layers))
        if not crash:
            return kernels
        crashes.append(crash)
    if ref.mmproj and not _run(command(ModelRef(ref.text), "all", options.gpu_layers)):
        raise EngineCrash(
            f"{ref.mmproj}: llama.cpp crashes with this mmproj and {ref.text.name} ({crashes[0]}), "
            "but not with the text model alone; pass the mmproj published with it"
        )
    raise EngineCrash(
        f"{ref.text}: llama.cpp crashes on this machine with this model ({crashes[0]}, and with "
        f"the safe kernels {crashes[1]}); download the file again in case it is damaged, else try "
        "an F16 file, or build llama-cpp-python from source"
    )


def command(ref: ModelRef, kernels: str, gpu_layers: int) -> list[str]:
    """The child's command line."""
    arguments = [str(ref.text), str(ref.mmproj or ""), kernels, str(gpu_layers)]
    return [sys.executable, "-m", f"{__package__}.probe_child", *arguments]


def _run(arguments: Sequence[str]) -> str:
    """How the child crashed ("SIGILL"), or "" if it exited (with a stated error too, which the
    parent will report itself)."""
    package = Path(__file__).resolve().parents[4]
    paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "GGML_NO_BACKTRACE": "1",
    }
    try:
        done = subprocess.run(
            arguments,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "it did not finish in 15 minutes"
    if done.returncode in (0, STATED):
        return ""
    try:
        return signal.Signals(-done.returncode).name
    except ValueError:
        return f"exit code {done.returncode}"

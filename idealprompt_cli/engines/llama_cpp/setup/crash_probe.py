"""Whether a model can be computed here at all: tried in a child process, which may die.

On CPUs with AMX, llama.cpp's AMX kernels crash the process at the first product with Q8_0 or Q4_0
weights (ggml-org/llama.cpp pull request 26954). `use_extra_bufts=False` avoids them; so a child
tries the model with all kernels, then with the safe ones, and the verdict is remembered per
(model, CPU, library version).

As a program: `python -m idealprompt_cli.engines.llama_cpp.setup.crash_probe` with the arguments
TEXT MMPROJ all|safe GPU_LAYERS.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ....core.errors import EngineCrash, ModelError
from ....core.task import ModelRef
from ...options import EngineOptions
from ..native import library as native
from .machine_facts import Memory, cpu_flags

AMX = frozenset({"amx_int8", "amx_tile", "amx_bf16"})
_TIMEOUT_SECONDS = 900
_STATED = 3


def needs_safe_kernels(ref: ModelRef, fingerprint: str, options: EngineOptions) -> bool:
    """Whether to load with the safe kernels only. Runs the probe where the CPU advertises AMX or
    the options ask for it, unless a verdict is remembered. Raises `EngineCrash` if the model
    crashes either way."""
    if options.kernels != "auto":
        return options.kernels == "safe"
    if not (options.probe or AMX & cpu_flags()):
        return False
    memory = Memory(options.cache_folder())
    key = ("kernels", fingerprint, native.version(), str(options.gpu_layers))
    verdict = memory.get(*key) if not options.probe else None
    if verdict not in ("all", "safe"):
        verdict = _try(ref, options)
        memory.put(verdict, *key)
    return verdict == "safe"


def _try(ref: ModelRef, options: EngineOptions) -> str:
    deaths = []
    for kernels in ("all", "safe"):
        death = _run(command(ref, kernels, options.gpu_layers))
        if not death:
            return kernels
        deaths.append(death)
    raise EngineCrash(
        f"{ref.text}: llama.cpp crashes on this machine with this model ({deaths[0]}, and with the "
        f"safe kernels {deaths[1]}); try an F16 file, or reinstall llama-cpp-python from source"
    )


def command(ref: ModelRef, kernels: str, gpu_layers: int) -> list[str]:
    """The child's command line."""
    arguments = [str(ref.text), str(ref.mmproj), kernels, str(gpu_layers)]
    return [sys.executable, "-m", __spec__.name if __spec__ else __name__, *arguments]


def _run(arguments: Sequence[str]) -> str:
    """How the child died ("SIGILL"), or nothing if it ended by itself (a stated failure too: the
    parent will meet and report it)."""
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
        return "no end in 15 minutes"
    if done.returncode in (0, _STATED):
        return ""
    try:
        return signal.Signals(-done.returncode).name
    except ValueError:
        return f"exit code {done.returncode}"


def main(arguments: Sequence[str]) -> int:
    """The child: one small batch and one picture through everything."""
    _no_core_dump()
    text, mmproj, kernels, gpu_layers = arguments
    from ..native.vision import Picture
    from ..scheduling.request_plan import head_parts
    from .load import load
    from .self_check import write_picture

    options = EngineOptions(
        gpu_layers=int(gpu_layers),
        kernels="safe" if kernels == "safe" else "fast",
        threads=1,
        n_ctx=512,
        disk_bytes=0,
        tune="off",
        chat_template="{{ messages[0]['content'] }}",
    )
    try:
        loaded = load(ModelRef(Path(text), Path(mmproj)), options, lambda line: None)
        context = loaded.context(1, 256)
        context.decode_tokens(0, (0,) * 32, 0, outputs=1)
        with tempfile.TemporaryDirectory() as folder:
            picture = Picture(write_picture(Path(folder)), "probe")
            with loaded.vision.chunks([*head_parts("a"), picture]) as chunks:
                for chunk in chunks:
                    if chunk.tokens is None:
                        list(loaded.vision.encode([chunk]))
        context.close()
        loaded.close()
    except ModelError as error:
        sys.stderr.write(f"{error}\n")
        return _STATED
    return 0


def _no_core_dump() -> None:
    try:
        import resource
    except ImportError:  # not on every platform
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

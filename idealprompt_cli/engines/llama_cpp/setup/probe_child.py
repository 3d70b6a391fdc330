"""The child process of the crash probe: loads a model and runs one batch and one picture.

As a program: `python -m idealprompt_cli.engines.llama_cpp.setup.probe_child` with the arguments
TEXT MMPROJ all|safe GPU_LAYERS (MMPROJ may be empty). Exits with `crash_probe.STATED` and a line on
stderr where the model cannot be used, and dies by a signal where the native library crashes.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ....core.errors import ModelError
from ....core.task import ModelRef
from ...options import EngineOptions
from ..native import library
from ..native.chat_template import BARE
from ..native.vision import Picture, Vision
from .crash_probe import STATED
from .load import Loaded, load
from .self_check import write_picture


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0, or `STATED`."""
    _disable_core_dumps()
    library.abort_with_line = False
    text, mmproj, kernels, gpu_layers = arguments
    options = EngineOptions(
        gpu_layers=int(gpu_layers),
        kernels="safe" if kernels == "safe" else "all",
        threads=1,
        n_ctx=512,
        disk_bytes=0,
        tune="off",
        weights="file",
        chat_template=BARE,
    )
    try:
        _compute(ModelRef(Path(text), Path(mmproj) if mmproj else None), options)
    except ModelError as error:
        sys.stderr.write(f"{error}\n")
        return STATED
    return 0


def _compute(ref: ModelRef, options: EngineOptions) -> None:
    loaded = load(ref, options, lambda line: None)
    context = loaded.context(1, 256)
    context.decode_tokens(0, (0,) * 32, 0, outputs=1)
    context.close()
    if loaded.vision is not None:
        _see(loaded, loaded.vision)
    loaded.close()


def _see(loaded: Loaded, vision: Vision) -> None:
    """Encode a picture and decode it after some text."""
    with tempfile.TemporaryDirectory() as folder:
        picture = Picture(write_picture(Path(folder)), "probe")
        with vision.chunks(["a", picture]) as chunks:
            context = loaded.context(1, 256 + sum(chunk.n_tokens for chunk in chunks))
            position = 0
            for chunk in chunks:
                if chunk.tokens is None:
                    ((_, embedding),) = vision.encode([chunk])
                    position = context.decode_picture(vision, chunk, embedding, 0, position)
                else:
                    context.decode_tokens(0, chunk.tokens, position, outputs=0)
                    position += chunk.n_pos
            context.decode_tokens(0, (0,), position, outputs=1)
            context.close()


def _disable_core_dumps() -> None:
    try:
        import resource
    except ImportError:  # not on every platform
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

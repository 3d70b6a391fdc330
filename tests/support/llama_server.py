"""The real llama-server for tests, where there is one: that of IDEALPROMPT_LLAMA_SERVER, else the
one on the PATH, else the one that `python -m benchmarks.engine.build` has built."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.engine.build import default_cache, version
from benchmarks.engine.server import free_port, started
from idealprompt_cli.core.task import ModelRef


def _binary() -> str:
    named = os.environ.get("IDEALPROMPT_LLAMA_SERVER") or shutil.which("llama-server")
    built = default_cache() / f"llama.cpp-{version()}" / "build" / "bin" / "llama-server"
    return named or (str(built) if built.is_file() else "")


BINARY = _binary()
needed = pytest.mark.skipif(not BINARY, reason="no llama-server: see tests/llama_server.py")
_PATIENCE = 120.0


@contextmanager
def running(ref: ModelRef, log: Path, *options: str, pictures: bool = True) -> Iterator[str]:
    """A llama-server with a model, on a free loopback port -> its address; ended afterwards."""
    port = free_port()
    words = [BINARY, "-m", str(ref.text), "--host", "127.0.0.1", "--port", str(port)]
    words += ["--mmproj", str(ref.mmproj)] if pictures else []
    words += ["-c", "4096", "-np", "4", "-t", "1", "-ngl", "0", "--no-webui"]
    words += ["--no-repack", *options]  # also without llama.cpp's AMX kernels, which may crash
    with log.open("w+b") as out, started(words, port, out, _PATIENCE):
        yield f"http://127.0.0.1:{port}"

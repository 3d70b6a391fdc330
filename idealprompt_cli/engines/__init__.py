"""The engines, by name. To add one, add a module and a line in `ENGINES`, or a plugin.

Builders are imported on use, so that importing this package costs nothing: the native library is
loaded only when a model is opened.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

from ..core.errors import UsageError
from ..core.interfaces import Engine, Notice
from ..core.nearest import did_you_mean
from ..core.task import ModelRef
from ..io.plugins import plugin, plugin_names
from .options import EngineOptions, ServerRef

AUTO = "auto"
Ref = ModelRef | ServerRef | Path
Builder = Callable[[Ref, EngineOptions, Notice], Engine]

ENGINES: dict[str, str] = {
    "llama_cpp": "llama_cpp.engine:open_llama_cpp",
    "llama_cpp_text": "llama_cpp.engine:open_text",
    "http": "http.engine:open_http",
    "scripted": "scripted:open_scripted",
}
"""Engine name -> module and builder, relative to this package."""

__all__ = ["AUTO", "ENGINES", "EngineOptions", "Ref", "ServerRef", "engine_for", "open_engine"]


def engine_for(ref: Ref) -> str:
    """The engine of a model: a server, a YAML script or GGUF files."""
    if isinstance(ref, ServerRef):
        return "http"
    path = ref.text if isinstance(ref, ModelRef) else ref
    return "scripted" if path.suffix.lower() in (".yaml", ".yml") else "llama_cpp"


def open_engine(
    name: str,
    ref: Ref,
    options: EngineOptions | None = None,
    notice: Notice | None = None,
) -> Engine:
    """Open an engine on a model; `AUTO` chooses it with `engine_for`. `notice` receives lines for
    the user, such as a fallback to the reference backend.

    Raises `UsageError` for an unknown name and `ModelError` for a model that cannot be used.
    """
    builder = _builder(engine_for(ref) if name == AUTO else name)
    return builder(ref, options or EngineOptions(), notice or _ignore)


def _builder(name: str) -> Builder:
    """The function that opens engines of that name, built in or a plugin's."""
    if name in ENGINES:
        module, function = ENGINES[name].split(":")
        return cast(Builder, getattr(importlib.import_module(f".{module}", __name__), function))
    found = plugin("engines", name)
    if found is None:
        known = (AUTO, *ENGINES, *plugin_names("engines"))
        raise UsageError(f"unknown engine {name!r}: {did_you_mean(name, known)}")
    return cast(Builder, found)


def _ignore(_line: str) -> None:
    """The default for `notice`."""

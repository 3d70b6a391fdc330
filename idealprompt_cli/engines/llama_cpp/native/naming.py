"""Names for what was loaded: projector, size class, quantisation."""

from __future__ import annotations

from . import gguf_header as files
from . import library as native


def projector_type(header: files.Header) -> str:
    """The kind of an mmproj's vision projector ("idefics3", "qwen2vl_merger", ...)."""
    meta = header.meta
    return str(meta.get("clip.vision.projector_type") or meta.get("clip.projector_type") or "mlp")


def size_class(n_params: int) -> str:
    """A rough size for naming a family."""
    bounds = ((50, "tiny"), (400, "0.3b"), (800, "0.5b"), (1500, "1b"), (2700, "2b"), (5500, "4b"))
    for limit, name in bounds:
        if n_params < limit * 1_000_000:
            return name
    return "8b" if n_params < 12_000_000_000 else "large"


def quantisation(model: native.TextModel) -> str:
    """The file's quantisation as llama.cpp names it ("Q8_0")."""
    llama = model.lib.llama
    name = llama.llama_ftype_name(llama.llama_model_ftype(model.pointer))
    text = name.decode() if name else model.description()
    return text.removeprefix("mostly ").removeprefix("all ")

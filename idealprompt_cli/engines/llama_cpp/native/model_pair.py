"""Whether a text model and a vision projector belong together, as far as their headers say."""

from __future__ import annotations

from pathlib import Path

from ....core.errors import ModelError
from ....core.interfaces import Notice
from ....core.task import ModelRef
from .gguf_header import Header, read_header

_PROJECTORS = {
    "qwen2": ("qwen2vl",),
    "qwen3vl": ("qwen3",),
    "gemma3": ("gemma3",),
    "gemma4": ("gemma4",),
    "lfm2": ("lfm2",),
    "llama4": ("llama4",),
    "cogvlm": ("cogvlm",),
    "glm4v": ("glm4",),
    "hunyuanvl": ("hunyuan",),
    "paddleocr": ("ernie", "paddleocr"),
}
"""Beginning of a projector type -> beginnings of the architectures it was made for (llama.cpp,
`conversion/`). Types that are not listed were used with several families."""
_ARCHITECTURES = {
    "qwen2vl": ("qwen2",),
    "qwen3vl": ("qwen3vl",),
    "gemma3": ("gemma3",),
    "lfm2": ("lfm2",),
    "llama4": ("llama4",),
    "cogvlm": ("cogvlm",),
}
"""Beginning of an architecture -> beginnings of the projector types that it takes."""


def fits(text: Header, mmproj: Path) -> bool:
    """Whether a file is a projector for a text model, as far as the headers say."""
    try:
        check_pair(text, read_header(mmproj, "mmproj"))
    except ModelError:
        return False
    return True


def check_pair(text: Header, mmproj: Header | None) -> None:
    """Raise `ModelError` unless the first is a text model and the second a projector for it (None:
    the model is used for text only)."""
    if mmproj and text.is_projector and not mmproj.is_projector:
        raise ModelError(
            f"{text.path}: is an mmproj and {mmproj.path} is a text model; swap the two"
        )
    if text.is_projector:
        raise ModelError(f"{text.path}: is an mmproj, not a text model; pass the text model's GGUF")
    if mmproj is None:
        return
    if not mmproj.is_projector:
        raise ModelError(
            f"{mmproj.path}: is a text model ({mmproj.architecture}), not an mmproj; "
            "pass the mmproj published with the text model"
        )
    if not _related(mmproj.projector_type, text.architecture):
        raise ModelError(
            f"{mmproj.path}: this mmproj ({mmproj.projector_type}) belongs to another family than "
            f"the text model {text.path.name} ({text.architecture}); pass the mmproj published "
            "with it"
        )
    width = text.meta.get(f"{text.architecture}.embedding_length")
    projected = mmproj.meta.get("clip.vision.projection_dim")
    stacked = int(mmproj.meta.get("clip.vision.n_deepstack_layers", 0) or 0)
    if width and projected and int(projected) not in (int(width), int(width) * (1 + stacked)):
        raise ModelError(
            f"{mmproj.path}: this mmproj gives embeddings of width {projected}, the text model "
            f"{text.path.name} takes {width}; pass the mmproj published with it"
        )


def _related(projector: str, architecture: str) -> bool:
    """Whether neither side is known to belong to another family."""
    both = ((_PROJECTORS, projector, architecture), (_ARCHITECTURES, architecture, projector))
    return all(
        other.startswith(allowed)
        for table, name, other in both
        for start, allowed in table.items()
        if name.startswith(start)
    )


def open_ref(ref: ModelRef | Path, notice: Notice) -> ModelRef:
    """The files of a model: as given, or a text GGUF with the mmproj beside it that fits it, if
    there is one. Raises `ModelError` if several fit."""
    if isinstance(ref, ModelRef):
        return ref
    text = read_header(ref, "text model")
    beside = [path for path in ref.parent.glob("*.gguf") if "mmproj" in path.name.lower()]
    beside = sorted(path for path in beside if path != ref)
    fitting = [path for path in beside if fits(text, path)]
    if len(fitting) > 1:
        names = ", ".join(path.name for path in fitting)
        raise ModelError(f"{ref}: several mmproj files fit it ({names}); name one with --mmproj")
    if fitting:
        notice(f"Using the vision projector beside the model: {fitting[0]}")
        return ModelRef(ref, fitting[0])
    if beside:
        names = ", ".join(path.name for path in beside)
        notice(f"Opening {ref.name} for text only: {names} beside it belongs to another model.")
    return ModelRef(ref)

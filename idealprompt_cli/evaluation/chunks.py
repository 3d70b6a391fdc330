"""How much is asked of a model at once (layer 1): what was answered is on the disk, and reported,
before more is asked.

The chunks depend on the model's files and the examples alone, so that the same work is divided the
same way each time: a model's answers may differ in their last bits with what is computed beside.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from ..core.prompt import FieldText
from ..core.requests import GenerateRequest, ModelInfo, ScoreRequest

R = TypeVar("R", ScoreRequest, GenerateRequest)

MANY, SOME, FEW = 64, 16, 8
# The larger a model, the longer a picture takes, and the fewer are worth waiting for.
SMALL, MIDDLE = 64 << 20, 128 << 20
# A text takes a fraction of a picture's time, and batches of a few short texts are slow.
TEXTS = 32


def examples_at_once(model: ModelInfo, pictured: bool) -> int:
    """How many examples are asked about before what was answered is written down."""
    if not pictured:
        return TEXTS
    try:
        size = Path(model.path).stat().st_size if model.path else MIDDLE
    except OSError:
        return FEW
    return MANY if size < SMALL else SOME if size < MIDDLE else FEW


def chunks(asked: Sequence[tuple[str, R]], most: int) -> Iterator[list[tuple[str, R]]]:
    """(key, request) pairs in chunks that hold all requests on up to `most` examples each; the
    examples come in the order in which they are first asked about."""
    groups: dict[Hashable, list[tuple[str, R]]] = {}
    for key, request in asked:
        groups.setdefault(_example(request) or key, []).append((key, request))
    waiting = list(groups.values())
    if 0 < len(waiting) <= most:
        yield list(asked)
        return
    for start in range(0, len(waiting), most):
        yield [pair for group in waiting[start : start + most] for pair in group]


def _example(request: ScoreRequest | GenerateRequest) -> tuple[Path | str, ...]:
    """What requests on one example have in common: its pictures, or without any its texts."""
    texts = (p for m in request.messages for p in m.content if isinstance(p, FieldText))
    return request.images or tuple(texts)

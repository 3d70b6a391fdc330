"""By what an answer of the model is known again: digests of requests.

A digest covers the messages, the bytes of the pictures (a copied folder finds its answers), what
was prefilled and, where it matters, the options. Equal requests have equal digests on any machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from ..core.errors import ImageError
from ..core.requests import GenerateRequest, ScoreRequest
from ..io.images import content_hash


def score_key(request: ScoreRequest) -> str:
    """Where one option begins another one, an engine also scores the end of the turn, and where
    only beginnings are scored, how long they are depends on the company: then the options are part
    of the key."""
    kind = "score" if request.whole else "score beginnings"
    company = () if request.whole and prefix_free(request.options) else request.options
    return _digest(kind, request.messages, request.images, request.prefill, company)


def text_key(request: GenerateRequest) -> str:
    rest = (request.max_tokens, request.stop, request.grammar, request.prefill)
    return _digest("text", request.messages, request.images, rest)


@lru_cache(maxsize=65536)
def prefix_free(options: Sequence[str]) -> bool:
    """Whether no option (a tuple of them) begins another one."""
    return not any(b.startswith(a) for a, b in pairwise(sorted(options)))


def _digest(kind: str, messages: object, images: Sequence[Path], *rest: object) -> str:
    pictures = [_image_key(path) for path in images]
    return hashlib.sha256(repr((kind, messages, pictures, rest)).encode()).hexdigest()[:32]


def _image_key(path: Path) -> str:
    """The hash of the picture's content; the path where there is no file (the scripted engine
    needs none)."""
    try:
        return content_hash(path)
    except ImageError:
        return str(path)

"""Opens the exported mmproj with SmolLM2's GGUF in the project's own engine (llama.cpp).

The one place of this folder that imports `idealprompt_cli`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.interfaces import Engine
from idealprompt_cli.types import (
    GenerateRequest,
    ImageSlot,
    Message,
    ModelRef,
    ScoreRequest,
)
from training.smollm2.gguf_text import find_text_gguf
from training.smollm2.skills import Wording

Engine = Engine


def open_eyes(mmproj: Path, text: Path | None = None, threads: int = 0) -> Engine:
    """`text` is the package's GGUF unless another is given; on a machine that is shared with
    other work one thread is faster than two that wait for each other."""
    options = EngineOptions(threads=threads, tune="off" if threads else "auto")
    return open_engine("llama_cpp", ModelRef(text or find_text_gguf(), mmproj), options)


def user(question: str, picture: bool = True) -> tuple[Message, ...]:
    return (Message("user", (ImageSlot(), question) if picture else (question,)),)


def score(
    engine: Engine, pictures: Sequence[Path], question: str, options: Sequence[str]
) -> list[tuple[float, ...]]:
    """Log-probability of every option's tokens, for each picture."""
    requests = [ScoreRequest(user(question), (p,), tuple(options)) for p in pictures]
    return [s.logprobs for s in engine.score(requests)]


def score_many(
    engine: Engine,
    pictures: Sequence[Path],
    texts: Sequence[str] | None,
    wordings: Sequence[Wording],
    options: Sequence[str],
) -> list[np.ndarray]:
    """For every wording, log-probabilities (pictures, options); all in one call, so that the
    engine reads each picture once. `texts` stand in the pictures' place where given."""
    requests = []
    for wording in wordings:
        for i, path in enumerate(pictures):
            question = wording.question
            content = user(question) if texts is None else user(texts[i] + question, picture=False)
            images = (path,) if texts is None else ()
            requests.append(
                ScoreRequest(content, images, tuple(wording.form.format(o) for o in options))
            )
    table = np.array([s.logprobs for s in engine.score(requests)])
    return list(table.reshape(len(wordings), len(pictures), len(options)))


def generate(engine: Engine, pictures: Sequence[Path], question: str, most: int = 24) -> list[str]:
    requests = [GenerateRequest(user(question), (p,), max_tokens=most) for p in pictures]
    return [g.text for g in engine.generate(requests)]

"""Opens the exported mmproj with SmolLM2's GGUF in the project's own engine (llama.cpp).

The one place of this folder that imports `idealprompt_cli`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from idealprompt_cli.core.interfaces import Engine
from idealprompt_cli.core.prompt import ImageSlot, Message
from idealprompt_cli.core.requests import GenerateRequest, ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions, open_engine
from training.smollm2.gguf_text import find_text_gguf
from training.smollm2.skills import Phrasing


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


@dataclass(frozen=True)
class Ask:
    """Pictures, phrasings and options of one skill; `texts`, where given, replace the pictures."""

    pictures: Sequence[Path]
    phrasings: Sequence[Phrasing]
    options: Sequence[str]
    texts: Sequence[str] | None = None

    def requests(self) -> list[ScoreRequest]:
        found = []
        for phrasing in self.phrasings:
            answers = tuple(phrasing.form.format(o) for o in self.options)
            for i, path in enumerate(self.pictures):
                if self.texts is None:
                    found.append(ScoreRequest(user(phrasing.question), (path,), answers))
                else:
                    content = user(self.texts[i] + phrasing.question, picture=False)
                    found.append(ScoreRequest(content, (), answers))
        return found


def score_all(engine: Engine, asks: Sequence[Ask]) -> list[list[np.ndarray]]:
    """For every ask and phrasing, log-probabilities (pictures, options).

    All in one call, so that the engine reads each picture once for all skills.
    """
    requests = [a.requests() for a in asks]
    scored = iter(engine.score([r for some in requests for r in some]))
    tables = []
    for ask in asks:
        shape = (len(ask.phrasings), len(ask.pictures), len(ask.options))
        rows = [next(scored).logprobs for _ in range(shape[0] * shape[1])]
        tables.append(list(np.array(rows).reshape(shape)))
    return tables


def generate(engine: Engine, pictures: Sequence[Path], question: str, most: int = 24) -> list[str]:
    requests = [GenerateRequest(user(question), (p,), max_tokens=most) for p in pictures]
    return [g.text for g in engine.generate(requests)]

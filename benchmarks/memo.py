"""An engine that never computes the same answer twice, for benchmarks that ask it a lot.

Unlike the ledger it charges nobody: every run sees the tokens and seconds that the answer took the
first time, so that methods that come later are not favoured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from idealprompt_cli.interfaces import Engine
from idealprompt_cli.types import (
    Generated,
    GenerateRequest,
    Message,
    ModelInfo,
    Scored,
    ScoreRequest,
)

Q = TypeVar("Q", bound=Hashable)
A = TypeVar("A")


class MemoEngine:
    """An `Engine`; `seconds` is what all answers given so far took when they were computed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._scores: dict[ScoreRequest, tuple[Scored, float]] = {}
        self._texts: dict[GenerateRequest, tuple[Generated, float]] = {}
        self.seconds = 0.0

    def info(self) -> ModelInfo:
        return self._engine.info()

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return self._engine.count_tokens(messages)

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        return self._recalled(requests, self._scores, self._engine.score)

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        return self._recalled(requests, self._texts, self._engine.generate)

    def close(self) -> None:
        self._engine.close()

    def _recalled(
        self,
        requests: Sequence[Q],
        memory: dict[Q, tuple[A, float]],
        compute: Callable[[Sequence[Q]], list[A]],
    ) -> list[A]:
        missing = [r for r in dict.fromkeys(requests) if r not in memory]
        if missing:
            start = time.perf_counter()
            answers = compute(missing)
            share = (time.perf_counter() - start) / len(missing)
            memory.update({r: (a, share) for r, a in zip(missing, answers, strict=True)})
        self.seconds += sum(memory[r][1] for r in requests)
        return [memory[r][0] for r in requests]

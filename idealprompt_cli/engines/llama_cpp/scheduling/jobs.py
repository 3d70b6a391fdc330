"""What the engine hands to a path: requests with their heads and plans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ....core.requests import Generated, Scored
from ..caching.image_embeddings import Head
from .request_plan import Plan


@dataclass(frozen=True)
class ScoreJob:
    """Score `plan.options` after `head` and `plan.suffix`."""

    head: Head
    plan: Plan


@dataclass(frozen=True)
class GenerateJob:
    """Continue greedily after `head` and `plan.suffix`."""

    head: Head
    plan: Plan
    max_tokens: int
    stop: tuple[str, ...] = ()
    grammar: str | None = None


class Path(Protocol):
    """A way to compute jobs; answers come in the order of the jobs."""

    def score(self, jobs: list[ScoreJob]) -> list[Scored]: ...

    def generate(self, jobs: list[GenerateJob]) -> list[Generated]: ...

    def close(self) -> None: ...

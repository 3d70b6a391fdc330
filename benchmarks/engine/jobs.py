"""The job of a worker: one contender on one model, passed on its command line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from idealprompt_cli.engines.options import available_cores

from .clock import ClockName
from .plan import Plan

BFLOAT16 = "-bf16"
"""Ending of the contenders that compute with bfloat16 copies of the same files."""


@dataclass(frozen=True)
class Job:
    """`cache` holds programs, models and pictures. `beside` are details that an earlier contender
    found out (the batch that the limit is measured at). `threads` 0 leaves the choice to each.
    `clock` is what seconds are of; `memory` bounds that of ours, in bytes (0: by default)."""

    model: str
    contender: str
    plan: Plan
    text: Path
    mmproj: Path
    cache: Path
    threads: int
    beside: dict[str, float]
    clock: ClockName = "wall"
    memory: int = 0

    @property
    def bfloat16(self) -> bool:
        """Whether the contender computes with bfloat16 copies of the files."""
        return self.contender.endswith(BFLOAT16)

    def named(self, contender: str, suffix: str = "") -> str:
        """The name of a result, with that of the weights where they are copies."""
        return f"{contender}{BFLOAT16 * self.bfloat16}{suffix}"

    @property
    def default_threads(self) -> int:
        """Threads for the contenders that do not choose well by themselves: all cores."""
        return self.threads or available_cores()

    def dump(self) -> str:
        return json.dumps(asdict(self), default=str)

    @classmethod
    def parse(cls, text: str) -> Job:
        data = json.loads(text)
        data["plan"] = Plan(**data["plan"])
        for name in ("text", "mmproj", "cache"):
            data[name] = Path(data[name])
        return cls(**data)

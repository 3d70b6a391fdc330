"""The job of a worker: one contender on one model, passed on its command line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from idealprompt_cli.engines.options import available_cores

from .plan import Plan


@dataclass(frozen=True)
class Job:
    """`cache` holds programs, models and pictures. `beside` are details that an earlier contender
    found out (the batch that the limit is measured at). `threads` 0 leaves the choice to each."""

    model: str
    contender: str
    plan: Plan
    text: Path
    mmproj: Path
    cache: Path
    threads: int
    beside: dict[str, float]

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

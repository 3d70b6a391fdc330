"""What a worker is told: one contender on one model, as a value that survives a command line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from .plan import Plan


@dataclass(frozen=True)
class Job:
    """`cache` holds programs, models and pictures. `beside` are details that an earlier contender
    found out (the batch that the limit is measured at)."""

    model: str
    contender: str
    plan: Plan
    text: Path
    mmproj: Path
    cache: Path
    threads: int
    beside: dict[str, float]

    def dump(self) -> str:
        return json.dumps(asdict(self), default=str)

    @classmethod
    def parse(cls, text: str) -> Job:
        data = json.loads(text)
        data["plan"] = Plan(**data["plan"])
        for name in ("text", "mmproj", "cache"):
            data[name] = Path(data[name])
        return cls(**data)

"""Measured times to figures: what an evaluation costs, what a whole search costs. Arithmetic only.

A contender that keeps encoded pictures has a cold step (the first prompt on all pictures) and warm
ones. One that keeps nothing pays everything on every call, and has warm steps only. What was not
measured is extrapolated from the mean, and the result says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

BOUNDS = ("batched-bench", "search")
"""Measured to compare with, and no contenders: they have their details only."""


@dataclass(frozen=True)
class Step:
    """Some evaluations, asked at a time: wall seconds and how many there were."""

    seconds: float
    evaluations: int

    @property
    def each(self) -> float:
        return self.seconds / self.evaluations


@dataclass(frozen=True)
class Measured:
    """What a contender was seen to do. `cold` is the first prompt on `images` pictures; `tokens`
    were computed in the warm steps, `tokens_alone` is what they would have been had no prompt
    shared its beginning with another (0 where nobody says). `answers` are generated texts by
    "prompt/picture". `detail` goes into the results."""

    contender: str
    asks: str
    images: int
    warm: tuple[Step, ...]
    cold: Step | None = None
    tokens: int = 0
    tokens_alone: int = 0
    peak_bytes: int = 0
    answers: dict[str, str] = field(default_factory=dict)
    detail: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: dict[str, Any]) -> Measured:
        """Back from `dataclasses.asdict` and JSON."""
        cold = Step(**data["cold"]) if data["cold"] else None
        warm = tuple(Step(**step) for step in data["warm"])
        return cls(**{**data, "warm": warm, "cold": cold})

    @property
    def calls(self) -> int:
        """Evaluations that were really made."""
        return sum(step.evaluations for step in (*self.warm, *([self.cold] if self.cold else [])))


def search_seconds(measured: Measured, prompts: int, images: int) -> float:
    """Wall seconds of `prompts` prompts on `images` pictures, encoding included: the sum of the
    steps where all of them were measured, else in proportion."""
    each = _mean(measured.warm)
    if measured.cold is None:
        return each * prompts * images
    first = measured.cold.seconds * images / measured.images
    return first + each * (prompts - 1) * images


def is_whole(measured: Measured, prompts: int, images: int) -> bool:
    """Whether a search of this size was measured and not extrapolated."""
    return measured.images == images and measured.calls >= prompts * images


def result(model: str, rounds: list[Measured], prompts: int, images: int) -> dict[str, Any]:
    """The object of one model and contender in `results/engine.json`. Rounds are repetitions of
    the same measurement: minimum and median are over the steps of all, the search is the median
    round's. Raises `ValueError` without rounds."""
    if not rounds:
        raise ValueError("nothing was measured")
    last = rounds[-1]
    if last.contender.startswith(BOUNDS):
        return {"model": model, "contender": last.contender, "asks": last.asks, **last.detail}
    steps = [step for measured in rounds for step in measured.warm]
    evaluations = sum(step.evaluations for step in steps)
    tokens = sum(measured.tokens for measured in rounds)
    alone = sum(measured.tokens_alone for measured in rounds)
    cold = [m.cold.seconds / m.images for m in rounds if m.cold is not None]
    return {
        "model": model,
        "contender": last.contender,
        "asks": last.asks,
        "prompts": prompts,
        "images": images,
        "measured_calls": sum(measured.calls for measured in rounds),
        "measured_images": last.images,
        "rounds": len(rounds),
        "extrapolated": not all(is_whole(measured, prompts, images) for measured in rounds),
        "seconds_per_evaluation": spread([step.each for step in steps])
        | {"mean": rounded(sum(step.seconds for step in steps) / evaluations)},
        "seconds_per_image": rounded(median(cold)) if cold else None,
        "search_seconds": rounded(
            median(search_seconds(measured, prompts, images) for measured in rounds)
        ),
        "tokens_per_evaluation": round(tokens / evaluations, 1) if evaluations else 0.0,
        "prefix_tokens_saved": round(1 - tokens / alone, 3) if alone else None,
        "peak_memory_mib": round(max(measured.peak_bytes for measured in rounds) / 2**20),
        **last.detail,
    }


def agreement(answers: dict[str, str], others: dict[str, str]) -> float | None:
    """The share of questions that both answered and answered alike; None if there are none."""
    common = answers.keys() & others.keys()
    if not common:
        return None
    return round(sum(answers[key] == others[key] for key in common) / len(common), 3)


def spread(values: list[float]) -> dict[str, float]:
    """Minimum, median and maximum, to four digits."""
    return {
        "min": rounded(min(values)),
        "median": rounded(median(values)),
        "max": rounded(max(values)),
    }


def rounded(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")


def _mean(steps: tuple[Step, ...]) -> float:
    return sum(step.seconds for step in steps) / sum(step.evaluations for step in steps)

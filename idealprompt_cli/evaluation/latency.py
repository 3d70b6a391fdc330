"""How long an answer about a new example takes with each prompt of the front.

Measured where prompts scale images to different sizes, for tokens then say little of the time: the
images of one example are copied, so that no cache knows them, and answered alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ..core.interfaces import Engine
from ..core.prompt import Prompt
from ..core.results import RunResult
from ..core.task import Example, Task
from ..io.images import fresh_copy, image_size
from .evaluator import predict

REPEATS = 2


def with_latency(
    result: RunResult, engine: Engine, folder: Path, clock: Callable[[], float] = time.perf_counter
) -> RunResult:
    """The result with the seconds of its front, where a prompt scales images; `folder` is for the
    copies. Raises `ImageError` or `ModelError`."""
    prompts = {trial.id: trial.prompt for trial in result.trials}
    scaled = [t for t in result.trials if t.prompt.image_tokens and t.state == "complete"]
    if not scaled or len(result.front) < 2:
        return result
    task = result.task
    example, _ = by_size(task.train)
    predict(engine, result.winner, task.labels, [example], task.answer, task.answer_schema)
    front = tuple(
        replace(point, seconds=_seconds(engine, prompts[point.trial], task, example, folder, clock))
        for point in result.front
    )
    return replace(result, front=front)


def _seconds(
    engine: Engine,
    prompt: Prompt,
    task: Task,
    example: Example,
    folder: Path,
    clock: Callable[[], float],
) -> float:
    """The shortest of some answers, each about new images."""
    found = []
    for _ in range(REPEATS):
        copies = tuple(fresh_copy(image, folder) for image in example.images)
        new, started = replace(example, images=copies), clock()
        predict(engine, prompt, task.labels, [new], task.answer, task.answer_schema)
        found.append(clock() - started)
    return round(min(found), 4)


def by_size(examples: Sequence[Example]) -> tuple[Example, Example]:
    """The examples whose images have the median and the greatest number of pixels. Raises
    `ImageError`."""
    ranked = sorted(examples, key=lambda one: sum(map(pixels, one.images)))
    return ranked[len(ranked) // 2], ranked[-1]


def pixels(image: Path) -> int:
    """Pixels of an image. Raises `ImageError`."""
    width, height = image_size(image)
    return width * height

"""Check for leaks: many evaluations in one process, and how its resident memory grows."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from idealprompt_cli.core.errors import IdealPromptError
from idealprompt_cli.core.prompt import ImageSlot, Message
from idealprompt_cli.core.requests import GenerateRequest, ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions, open_engine

from .memory import resident_bytes
from .workload import ANSWER_TOKENS, OPTIONS, fresh, pictures

LIMIT = 5.0
"""Percent."""
_PICTURES, _WARM_UP = 16, 0.1


def measure(
    text: Path, mmproj: Path, evaluations: int, cache: Path, threads: int = 0
) -> dict[str, Any]:
    """Resident MiB after the first tenth of `evaluations` and at each further tenth, and the
    growth in percent. Every prompt is new; every tenth row is generated; errors happen too."""
    images = pictures(_PICTURES, cache / "pictures")
    seen: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        broken = Path(folder) / "broken.png"
        broken.write_bytes(images[0].read_bytes()[:2000])
        options = EngineOptions(cache_dir=Path(folder), threads=threads)
        engine: Any = open_engine("llama_cpp", ModelRef(text, mmproj), options, lambda _: None)
        done = row = 0
        while done < evaluations:
            done += _row(engine, row, images, broken)
            row += 1
            if done >= evaluations * _WARM_UP * (len(seen) + 1):
                seen.append(resident_bytes())
        engine.close()
    growth = 100 * (max(seen[-3:]) / seen[0] - 1)
    return {
        "evaluations": done,
        "resident_mib": [round(value / 2**20, 1) for value in seen],
        "growth_percent": round(growth, 2),
        "met": growth < LIMIT,
    }


def _row(engine: Any, row: int, images: list[Path], broken: Path) -> int:
    """One new prompt on all pictures; now and then a damaged picture or a prompt too long."""
    messages = (Message("user", (ImageSlot(), fresh(row))),)
    if row % 10 == 9:
        engine.generate([GenerateRequest(messages, (i,), ANSWER_TOKENS) for i in images])
    else:
        engine.score([ScoreRequest(messages, (image,), OPTIONS) for image in images])
    if row % 20 == 19:
        too_long = (Message("user", (ImageSlot(), "word " * 5000)),)
        for wrong, image in ((messages, broken), (too_long, images[0])):
            try:
                engine.score([ScoreRequest(wrong, (image,), OPTIONS)])
            except IdealPromptError:
                continue
            raise AssertionError("a request that cannot be answered was answered")
    return len(images)

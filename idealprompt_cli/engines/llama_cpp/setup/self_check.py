"""The proof: the fast path must say what the plain one says, on one generated picture."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ....core.prompt import ImageSlot, Message
from ..caching.image_embeddings import make_head
from ..scheduling.jobs import Path as WorkPath
from ..scheduling.jobs import ScoreJob

if TYPE_CHECKING:
    from .load import Loaded

EDITION = "2"
"""Raised when the fast path changes, so that remembered proofs are made again."""
_OPTIONS = ("red", "a blue cup", "no")
_QUESTIONS = ("What is in the picture?", "What is in the picture? Answer in one word.")


def compare(loaded: Loaded, fast: WorkPath, plain: WorkPath) -> str:
    """Nothing if both paths agree, else one clause on how they differ."""
    with tempfile.TemporaryDirectory() as folder:
        picture = write_picture(Path(folder))
        first, second = (_job(loaded, question, picture) for question in _QUESTIONS)
        twin = replace(second, head=replace(second.head, key=b"twin"))
        truths = dict(zip((id(first), id(second)), plain.score([first, second]), strict=True))
        truths[id(twin)] = truths[id(second)]
        # two heads computed together; both prompts on a kept head; each alone
        for batch in ([first, twin], [first, second], [first], [second]):
            for answer, job in zip(fast.score(batch), batch, strict=True):
                truth = truths[id(job)]
                fault = _differ(answer.logprobs, truth.logprobs, loaded.options.tolerance)
                if fault:
                    return fault
    return ""


def write_picture(folder: Path) -> Path:
    """Stripes over a gradient (128x96 pixels), so that tiles and patches all differ."""
    y, x = np.mgrid[0:96, 0:128]
    channels = [2 * x, 255 - 2 * y, 128 + 127 * np.sin(x / 7.0 + y / 11.0)]
    pixels = np.stack(channels, axis=-1).clip(0, 255).astype(np.uint8)
    path = folder / "proof.png"
    Image.fromarray(pixels).save(path)
    return path


def _job(loaded: Loaded, question: str, picture: Path) -> ScoreJob:
    messages = (Message("user", (ImageSlot(), question)),)
    plan = loaded.planner.plan(messages, "", _OPTIONS)
    return ScoreJob(make_head(plan.head, (picture,)), plan)


def _differ(fast: tuple[float, ...], plain: tuple[float, ...], tolerance: float) -> str:
    difference = float(np.max(np.abs(np.subtract(fast, plain))))
    if not difference <= tolerance:  # also when it is not a number
        return f"its log-probabilities differ from the plain path's by {difference:.3g}"
    first, second = sorted(plain, reverse=True)[:2]
    if first - second > 2 * tolerance and int(np.argmax(fast)) != int(np.argmax(plain)):
        return "its best answer differs from the plain path's"
    return ""

"""The self-check: the batched backend must agree with the reference on a generated example."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ....core.prompt import FieldText, ImageSlot, Message
from ..scheduling.request_plan import Backend, Planner, ScoreJob, make_prefix

EDITION = "4"
"""Raised when the batched backend changes, so that models are checked again."""
NO_NUMBERS = "it computes no numbers (NaN)"
"""What `compare` finds where even the reference backend does; every score would be even."""
_OPTIONS = ("red", "a blue cup", "no")
_QUESTIONS = ("What is in the picture?", "What is in the picture? Answer in one word.")


def compare(
    planner: Planner, batched: Backend, reference: Backend, tolerance: float, with_pictures: bool
) -> str:
    """How the backends disagree, in one clause; "" if they agree within `tolerance` (natural log
    of a probability)."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = (write_picture(Path(folder)),) if with_pictures else ()
        first, second = (_job(planner, question, pictures) for question in _QUESTIONS)
        other = replace(second.prefix, key=f"twin of {second.prefix.key!r}")
        twin = replace(second, prefix=other)
        expected = dict(zip((id(first), id(second)), reference.score([first, second]), strict=True))
        expected[id(twin)] = expected[id(second)]
        if any(np.isnan(answer.logprobs).any() for answer in expected.values()):
            return NO_NUMBERS
        # two prefixes computed together; both prompts on a kept prefix; each alone
        for batch in ([first, twin], [first, second], [first], [second]):
            for answer, job in zip(batched.score(batch), batch, strict=True):
                found = _difference(answer.logprobs, expected[id(job)].logprobs, tolerance)
                if found:
                    return found
    return ""


def write_picture(folder: Path) -> Path:
    """Stripes over a gradient (128x96 pixels), so that tiles and patches all differ."""
    y, x = np.mgrid[0:96, 0:128]
    channels = [2 * x, 255 - 2 * y, 128 + 127 * np.sin(x / 7.0 + y / 11.0)]
    pixels = np.stack(channels, axis=-1).clip(0, 255).astype(np.uint8)
    path = folder / "self_check.png"
    Image.fromarray(pixels).save(path)
    return path


def _job(planner: Planner, question: str, pictures: tuple[Path, ...]) -> ScoreJob:
    slots = (ImageSlot(),) * len(pictures)
    message = Message("user", (*slots, FieldText("A small red cup, and a blue hat."), question))
    plan = planner.plan((message,), "", _OPTIONS)
    return ScoreJob(make_prefix(plan.prefix, pictures, plan.fields), plan)


def _difference(batched: tuple[float, ...], reference: tuple[float, ...], tolerance: float) -> str:
    difference = float(np.max(np.abs(np.subtract(batched, reference))))
    if not difference <= tolerance:  # also when it is not a number
        return f"its log-probabilities differ from the reference backend's by {difference:.3g}"
    first, second = sorted(reference, reverse=True)[:2]
    if first - second > 2 * tolerance and int(np.argmax(batched)) != int(np.argmax(reference)):
        return "its best answer differs from the reference backend's"
    return ""

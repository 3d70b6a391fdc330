"""How fast the opened model is, from a few timed calls on the task's own images and texts.

Images are timed as copies whose files differ from the originals, so that no cache knows them: one
of median size and the largest. Prompts are timed on several examples at a time, as a search asks
them. Without a task, a small image of noise is used, or text alone for a model without a projector.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.interfaces import Accountable
from ..core.prompt import Prompt
from ..core.task import Example, Task
from ..evaluation.chunks import examples_at_once
from ..evaluation.evaluator import predict
from ..evaluation.latency import by_size, pixels
from ..evaluation.metered_engine import MeteredEngine
from ..fitting.evidence import ModelEvidence
from ..io.images import fresh_copy, image_size
from ..prompts.rendering import render

if TYPE_CHECKING:
    from ..core.interfaces import Engine

TOGETHER = 16
"""Examples in one call at most; a search has more of them in few of its calls."""
PATIENCE = 20.0
"""Seconds that encoding the images of the timed call may take."""
LEAST = 1e-6
Clock = Callable[[], float]
_PLAIN_SIZE = (224, 224)
_LONG = " ".join(["Look at the whole picture, at its parts, its colours and its background."] * 6)
_QUESTIONS = ("What is shown?", "What colour is it?", "What is around it, and how large is it?")


@dataclass(frozen=True)
class PictureSpeed:
    """Seconds that a new image of (width, height) `size` takes, `encoding` by the vision model
    included."""

    size: tuple[int, int]
    seconds: float
    encoding: float

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]

    def as_dict(self) -> dict[str, float | str]:
        return {
            "pixels": "{}x{}".format(*self.size),
            "seconds": round(self.seconds, 4),
            "encoding_seconds": round(self.encoding, 4),
        }


@dataclass(frozen=True)
class Speeds:
    """Seconds of new `pictures` (median and largest, none for texts alone); of an evaluation with
    the seed prompt (`call`) and of each further `token` of a prompt; of a short written `answer`
    and a `description`. `together` examples were in each call."""

    pictures: tuple[PictureSpeed, ...]
    call: float
    token: float
    answer: float
    description: float
    together: int = 1

    def picture(self, pixels: int) -> PictureSpeed:
        """What an image of so many pixels takes: between and beside the two measured sizes in
        proportion, at least a quarter of the median one."""
        first, last = self.pictures[0], self.pictures[-1]
        if last.pixels == first.pixels:
            return first
        share = (pixels - first.pixels) / (last.pixels - first.pixels)

        def between(low: float, high: float) -> float:
            return max(0.25 * low, low + share * (high - low))

        encoding = between(first.encoding, last.encoding)
        return PictureSpeed((pixels, 1), between(first.seconds, last.seconds), encoding)

    def as_dict(self) -> dict[str, object]:
        """For the report, with the names that a reader looks for."""
        names = ("new_image", "largest_image")
        found: dict[str, object] = {}
        for name, one in zip(names, self.pictures, strict=False):
            found |= {f"{name}_{key}": value for key, value in one.as_dict().items()}
        return {
            **found,
            "next_prompt_seconds": round(self.call, 4),
            "examples_together": self.together,
            "prompt_tokens_per_second": round(1 / max(self.token, LEAST)),
            "written_answer_seconds": round(self.answer, 4),
            "description_seconds": round(self.description, 4),
        }


def measure(
    engine: Engine, folder: Path, task: Task | None = None, clock: Clock = time.perf_counter
) -> Speeds:
    """Time new images, prompts of two lengths, and writing. `folder` is for copies of images;
    `clock` returns seconds. Raises `ImageError` or `ModelError`."""
    task = task or _made_up(engine, folder)
    timed = _Timed(engine, task, clock)
    median, largest = by_size(task.train)
    timed.new_picture(median, folder)  # the first call of all also allocates memory
    sizes = {sum(map(pixels, one.images)): one for one in (median, largest)}
    pictures = tuple(timed.new_picture(one, folder) for one in sizes.values())
    each = sum(one.seconds for one in pictures) * max(1, len(median.images))
    most = min(TOGETHER, examples_at_once(engine.info(), bool(median.images)))
    count = min(most, len(task.train), max(1, int(PATIENCE / max(each, LEAST))))
    examples = [*dict.fromkeys((median, *task.train))][:count]
    call, token = timed.prompts(examples)
    answer, description = timed.writing(examples)
    return Speeds(pictures if median.images else (), call, token, answer, description, count)


def _made_up(engine: Engine, folder: Path) -> Task:
    """A task of one small image; where the model takes none, of one sentence."""
    import numpy as np
    from PIL import Image

    images: tuple[Path, ...] = ()
    if engine.info().details.get("projector") != "none":
        images = (folder / "noise.png",)
        noise = np.random.default_rng().integers(0, 255, (*_PLAIN_SIZE, 3), dtype=np.uint8)
        Image.fromarray(noise).save(images[0])
    one = Example("made up", images, "yes", "doctor")
    return Task("doctor", folder, "Is it red?", ("yes", "no"), "accuracy", (one,), ())


@dataclass(frozen=True)
class _Timed:
    """Calls on a task's examples, timed."""

    engine: Engine
    task: Task
    clock: Clock

    def new_picture(self, example: Example, folder: Path) -> PictureSpeed:
        """The time of an example's images when they are new, for one of them."""
        copies = tuple(fresh_copy(image, folder) for image in example.images)
        one, before = replace(example, images=copies), self._encode_seconds()
        new = self._ask([one], "Now answer:")
        encoding = self._encode_seconds() - before
        known = min(self._ask([one], "Answer:"), self._ask([one], "So:"))
        share = max(1, len(copies))
        size = image_size(example.images[0]) if example.images else (0, 0)
        return PictureSpeed(size, max(0.0, new - known) / share, encoding / share)

    def prompts(self, examples: Sequence[Example]) -> tuple[float, float]:
        """Seconds of the seed prompt on one of the examples, and of each further token, with the
        images encoded before."""
        self._ask(examples, "Begin.")
        count = len(examples)
        short = min(self._ask(examples, "Answer:"), self._ask(examples, "Your answer:")) / count
        long = self._ask(examples, _LONG) / count
        extra = self._length(_LONG) - self._length("Answer:")
        return short, max(0.0, long - short) / max(1, extra)

    def writing(self, examples: Sequence[Example]) -> tuple[float, float]:
        """Seconds of a short written answer, and of a description (an answer's for texts alone)."""
        evidence = ModelEvidence(MeteredEngine(self.engine), self.task.labels, examples)
        evidence.ask(["What is it?"])
        answers = self._seconds(lambda: evidence.ask(_QUESTIONS))
        answer = answers / (len(_QUESTIONS) * len(examples))
        if not examples[0].images:
            return answer, answer
        return answer, self._seconds(evidence.descriptions) / len(examples)

    def _ask(self, examples: Sequence[Example], text: str) -> float:
        """Seconds of the task's question with `text` after it: a new prompt."""
        task, prompt = self.task, Prompt(f"{self.task.question} {text}")
        return self._seconds(
            lambda: predict(
                self.engine, prompt, task.labels, examples, task.answer, task.answer_schema
            )
        )

    def _length(self, text: str) -> int:
        return self.engine.count_tokens(render(Prompt(text)))

    def _seconds(self, work: Callable[[], object]) -> float:
        started = self.clock()
        work()
        return self.clock() - started

    def _encode_seconds(self) -> float:
        stats = self.engine.stats() if isinstance(self.engine, Accountable) else {}
        return stats.get("encode_seconds", 0.0)

"""What a search will cost here, from a few timed calls, before it starts.

The figures behind it: new pictures, prompts, and written answers are timed on the opened model.
Prompts are taken to be twice as long as the seed prompt, and a quarter of the evaluations to be
short written answers (descriptions by the model): both as in searches on the sample
tasks. So the total is right within a factor of about two.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.interfaces import Accountable
from ..core.prompt import ImageSlot, Message
from ..core.requests import GenerateRequest, ScoreRequest

if TYPE_CHECKING:
    from ..core.interfaces import Engine
    from ..core.task import Task
    from ..evaluation.budget import Budget

WRITTEN_SHARE, WRITTEN_TOKENS = 0.25, 12
LENGTHENING = 2.0
_SHORT = "What colour is it?"
_SHORT_AGAIN = "What is shown?"
_LONG = " ".join(["Look at the whole picture, at its parts, its colours and its background."] * 6)
_LEAST = 1e-6


@dataclass(frozen=True)
class Speeds:
    """Seconds of `picture` (a new one, all that it takes), of which `encoding` by the vision
    model; of a prompt's `call`, and of each `token` of it; of each `written` token."""

    picture: float
    encoding: float
    call: float
    token: float
    written: float

    def as_dict(self) -> dict[str, float]:
        """For the report, with the names that a reader looks for."""
        return {
            "new_picture_seconds": round(self.picture, 4),
            "of_which_encoding_seconds": round(self.encoding, 4),
            "next_prompt_seconds": round(self.call, 4),
            "prompt_tokens_per_second": round(1 / max(self.token, _LEAST)),
            "written_tokens_per_second": round(1 / max(self.written, _LEAST), 1),
        }


def measure(engine: Engine, folder: Path) -> Speeds:
    """Time a new picture and prompts of two lengths on it, and writing. `folder` is for the
    picture, whose pixels are new each time, so that no cache knows it."""
    import numpy as np
    from PIL import Image

    path = folder / "new.png"
    noise = np.random.default_rng().integers(0, 255, (224, 224, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)

    def ask(text: str) -> float:
        return _seconds(lambda: engine.score([_scored(text, path)]))

    before = _encode_seconds(engine)
    first = ask(_SHORT)
    encoding = _encode_seconds(engine) - before
    short = min(ask(_SHORT_AGAIN), ask(_SHORT_AGAIN + "?"))
    long = ask(_LONG)
    extra = engine.count_tokens(_message(_LONG)) - engine.count_tokens(_message(_SHORT_AGAIN))
    token = max(0.0, long - short) / max(1, extra)
    return Speeds(max(0.0, first - short), encoding, short, token, _writing(engine, path, token))


def forecast(task: Task, budget: Budget, engine: Engine, speeds: Speeds) -> dict[str, Any]:
    """Counts and seconds of a search on the task within the budget, and a line in words."""
    from ..core.prompt import Prompt
    from ..prompts.rendering import render

    pictures = {path for example in (*task.train, *task.test) for path in example.images}
    known = engine.encoded(sorted(pictures)) if isinstance(engine, Accountable) else 0
    seed = render(Prompt(question=task.question), task.labels, len(task.train[0].images))
    tokens = round(LENGTHENING * engine.count_tokens(seed))
    each = (1 - WRITTEN_SHARE) * tokens * speeds.token + WRITTEN_SHARE * (
        tokens * speeds.token + WRITTEN_TOKENS * speeds.written
    )
    encoding = (len(pictures) - known) * speeds.encoding
    reading = len(pictures) * (speeds.picture - speeds.encoding)
    evaluations = _evaluations(budget, tokens, each)
    final = 2 * len(task.test)
    seconds = encoding + reading + (evaluations + final) * each
    return {
        "pictures": len(pictures),
        "pictures_encoded_before": known,
        "encoding_seconds": round(encoding, 1),
        "evaluations": evaluations,
        "evaluations_of_the_final_test": final,
        "tokens_per_evaluation": tokens,
        "seconds_per_evaluation": round(each, 4),
        "seconds": round(seconds, 1),
        "in_words": f"about {_clock(seconds)}: {len(pictures) - known} pictures to encode "
        f"({_clock(encoding)}), {evaluations + final} evaluations of about {tokens} tokens "
        f"({_clock(seconds - encoding)})",
    }


def _evaluations(budget: Budget, tokens: int, each: float) -> int:
    """How many evaluations the budget comes to."""
    limits = []
    if budget.evaluations is not None:
        limits.append(budget.evaluations)
    if budget.seconds is not None:
        limits.append(int(budget.seconds / max(each, _LEAST)))
    if budget.tokens is not None:
        limits.append(budget.tokens // max(1, tokens))
    return min(limits)


def _writing(engine: Engine, path: Path, token: float) -> float:
    """Seconds for each further token that is written; a prompt's where it writes only one."""
    taken = {}
    for limit in (1, 9):
        request = GenerateRequest(_message("Describe the picture."), (path,), max_tokens=limit)
        started = time.perf_counter()
        (answer,) = engine.generate([request])
        taken[limit] = time.perf_counter() - started, answer.tokens
    more = taken[9][1] - taken[1][1]
    return max(token, (taken[9][0] - taken[1][0]) / more) if more > 0 else token


def _scored(text: str, path: Path) -> ScoreRequest:
    return ScoreRequest(_message(text), (path,), ("yes", "no"))


def _message(text: str) -> tuple[Message, ...]:
    return (Message("user", (ImageSlot(), text)),)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _encode_seconds(engine: Engine) -> float:
    return engine.stats().get("encode_seconds", 0.0) if isinstance(engine, Accountable) else 0.0


def _clock(seconds: float) -> str:
    """ "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

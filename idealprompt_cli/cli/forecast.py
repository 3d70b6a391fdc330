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
FIELDS_READ = 32
"""Examples whose fields are counted in tokens."""
_SHORT = "What colour is it?"
_SHORT_AGAIN = "What is shown?"
_LONG = " ".join(["Look at the whole picture, at its parts, its colours and its background."] * 6)
_LEAST = 1e-6


@dataclass(frozen=True)
class Speeds:
    """Seconds of `picture` (a new one, all that it takes), of which `encoding` by the vision
    model, both None where the model is asked about texts alone; of a prompt's `call`, and of each
    `token` of it; of each `written` token."""

    picture: float | None
    encoding: float | None
    call: float
    token: float
    written: float

    def as_dict(self) -> dict[str, float]:
        """For the report, with the names that a reader looks for."""
        shown: dict[str, float] = {}
        if self.picture is not None and self.encoding is not None:
            shown["new_picture_seconds"] = round(self.picture, 4)
            shown["of_which_encoding_seconds"] = round(self.encoding, 4)
        return shown | {
            "next_prompt_seconds": round(self.call, 4),
            "prompt_tokens_per_second": round(1 / max(self.token, _LEAST)),
            "written_tokens_per_second": round(1 / max(self.written, _LEAST), 1),
        }


def measure(engine: Engine, folder: Path, *, pictures: bool = True) -> Speeds:
    """Time a new picture and prompts of two lengths on it, and writing; without `pictures` prompts
    alone. `folder` is for the picture, whose pixels are new each time, so that no cache knows
    it."""
    shown = (_noise(folder / "new.png"),) if pictures else ()

    def ask(text: str) -> float:
        return _seconds(lambda: engine.score([_scored(text, shown)]))

    before = _encode_seconds(engine)
    first = ask(_SHORT)
    encoding = _encode_seconds(engine) - before
    short = min(ask(_SHORT_AGAIN), ask(_SHORT_AGAIN + "?"))
    long = ask(_LONG)
    lengths = (engine.count_tokens(_message(text, shown)) for text in (_LONG, _SHORT_AGAIN))
    token = max(0.0, long - short) / max(1, next(lengths) - next(lengths))
    writing = _writing(engine, shown, token)
    if not pictures:
        return Speeds(None, None, short, token, writing)
    return Speeds(max(0.0, first - short), encoding, short, token, writing)


def _noise(path: Path) -> Path:
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng().integers(0, 255, (224, 224, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def forecast(task: Task, budget: Budget, engine: Engine, speeds: Speeds) -> dict[str, Any]:
    """Counts and seconds of a search on the task within the budget, and a line in words."""
    pictures = {path for example in (*task.train, *task.test) for path in example.images}
    known = engine.encoded(sorted(pictures)) if isinstance(engine, Accountable) else 0
    tokens = _tokens(task, engine)
    each = (1 - WRITTEN_SHARE) * tokens * speeds.token + WRITTEN_SHARE * (
        tokens * speeds.token + WRITTEN_TOKENS * speeds.written
    )
    encoding = (len(pictures) - known) * (speeds.encoding or 0.0)
    reading = len(pictures) * ((speeds.picture or 0.0) - (speeds.encoding or 0.0))
    evaluations = _evaluations(budget, tokens, each)
    final = 2 * len(task.test)
    seconds = encoding + reading + (evaluations + final) * each
    words = f"{evaluations + final} evaluations of about {tokens} tokens"
    if pictures:
        words = (
            f"{len(pictures) - known} pictures to encode ({_clock(encoding)}), {words} "
            f"({_clock(seconds - encoding)})"
        )
    return {
        "pictures": len(pictures),
        "pictures_encoded_before": known,
        "encoding_seconds": round(encoding, 1),
        "evaluations": evaluations,
        "evaluations_of_the_final_test": final,
        "tokens_per_evaluation": tokens,
        "seconds_per_evaluation": round(each, 4),
        "seconds": round(seconds, 1),
        "in_words": f"about {_clock(seconds)}: {words}",
    }


def _tokens(task: Task, engine: Engine) -> int:
    """Tokens of a prompt with an example's fields: of the seed prompt, lengthened, and the mean of
    the fields."""
    from ..core.prompt import Prompt
    from ..prompts.rendering import render

    seed, shown = Prompt(question=task.question), task.train[:FIELDS_READ]
    own = engine.count_tokens(render(seed, task.labels, len(shown[0].images)))
    if not task.fields:
        return round(LENGTHENING * own)
    filled = sum(
        engine.count_tokens(render(seed, task.labels, len(one.images), one.fields)) for one in shown
    )
    return round(LENGTHENING * own + max(0.0, filled / len(shown) - own))


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


def _writing(engine: Engine, shown: tuple[Path, ...], token: float) -> float:
    """Seconds for each further token that is written; a prompt's where it writes only one."""
    taken = {}
    for limit in (1, 9):
        what = _message("Describe the picture." if shown else "Describe a cup.", shown)
        request = GenerateRequest(what, shown, max_tokens=limit)
        started = time.perf_counter()
        (answer,) = engine.generate([request])
        taken[limit] = time.perf_counter() - started, answer.tokens
    more = taken[9][1] - taken[1][1]
    return max(token, (taken[9][0] - taken[1][0]) / more) if more > 0 else token


def _scored(text: str, shown: tuple[Path, ...]) -> ScoreRequest:
    return ScoreRequest(_message(text, shown), shown, ("yes", "no"))


def _message(text: str, shown: tuple[Path, ...]) -> tuple[Message, ...]:
    return (Message("user", (*(ImageSlot() for _ in shown), text)),)


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

"""What a search will cost here, before it starts, from a few timed calls (see `speeds.py`).

The seed prompt, with each example's images and texts, is what is timed. What a search does beside
is taken from searches on the sample tasks: prompts grow to twice the seed prompt's length, a third
of the evaluations are answers that the model writes, first a description of each training image,
and our own work takes half a second and two milliseconds for each evaluation.
`python -m benchmarks.forecast` compares estimates with searches.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.interfaces import Accountable
from ..core.prompt import Prompt
from ..evaluation.latency import pixels
from ..prompts.rendering import render
from .speeds import LEAST, Speeds

if TYPE_CHECKING:
    from ..core.interfaces import Engine
    from ..core.task import Task
    from ..engines.llama_cpp.setup.copy_gain import Gain
    from ..evaluation.budget import Budget

WRITTEN_SHARE = 1 / 3
LENGTHENING = 2.0
FIELDS_READ = 32
"""Examples whose fields are counted in tokens."""
SIZES_READ = 1000
"""Images whose sizes are read, evenly over all."""
WORTHWHILE_SHARE = 0.8
"""Of the seconds of a search; copies that save less are not named."""
OWN_START, OWN_SECONDS = 0.5, 0.002
"""Our own work: once, and for each evaluation."""


def forecast(
    task: Task, budget: Budget, engine: Engine, speeds: Speeds, gain: Gain | None = None
) -> dict[str, Any]:
    """Counts and seconds of a search on the task within the budget, and a line in words. `gain` is
    that of bfloat16 copies, where they are not used."""
    every = (*task.train, *task.validation, *task.test)
    pictures = sorted({path for example in every for path in example.images})
    known = engine.encoded(pictures) if pictures and isinstance(engine, Accountable) else 0
    own, fields = _lengths(task, engine)
    asked = speeds.call + (LENGTHENING - 1) * own * speeds.token + OWN_SECONDS
    each = (1 - WRITTEN_SHARE) * asked + WRITTEN_SHARE * (speeds.answer + OWN_SECONDS)
    tokens = round(LENGTHENING * own + fields)
    evaluations = _evaluations(budget, tokens, each)
    described = min(int(WRITTEN_SHARE * evaluations), len(task.train)) if task.pictured else 0
    final = 2 * len(task.test)
    encoding, reading = _new_pictures(pictures, known, speeds)
    work = evaluations * each + described * (speeds.description - speeds.answer) + final * asked
    words = f"{evaluations + final} evaluations of about {tokens} tokens"
    seconds = OWN_START + encoding + reading + work
    if pictures:
        words = (
            f"{len(pictures) - known} images to encode ({_clock(encoding)}), {words} "
            f"({_clock(seconds - encoding)})"
        )
    own_work = OWN_START + (evaluations + final) * OWN_SECONDS
    faster = _with_copies(encoding, seconds - encoding - own_work, own_work, gain)
    if faster is not None:
        words += f"; about {_clock(faster)} with --weights bf16"
    return {
        "images": len(pictures),
        "images_encoded_before": known,
        "encoding_seconds": round(encoding, 1),
        "evaluations": evaluations,
        "evaluations_of_the_final_test": final,
        "tokens_per_evaluation": tokens,
        "seconds_per_evaluation": round(each, 4),
        "seconds": round(seconds, 1),
        "seconds_with_bfloat16_copies": None if faster is None else round(faster, 1),
        "in_words": f"about {_clock(seconds)}: {words}",
    }


def _with_copies(
    encoding: float, prompts: float, own_work: float, gain: Gain | None
) -> float | None:
    """Seconds of a search with copies, None where they would not help."""
    if gain is None:
        return None
    seconds = own_work + encoding / max(1.0, gain.images) + prompts / max(1.0, gain.prompts)
    return seconds if seconds < WORTHWHILE_SHARE * (encoding + prompts + own_work) else None


def _lengths(task: Task, engine: Engine) -> tuple[int, float]:
    """Tokens of the seed prompt without an example's fields, and of the fields on average."""
    seed, shown = Prompt(task.question), task.train[:FIELDS_READ]
    own = engine.count_tokens(render(seed, task.labels, len(shown[0].images)))
    if not task.fields:
        return own, 0.0
    filled = sum(
        engine.count_tokens(render(seed, task.labels, len(one.images), one.fields)) for one in shown
    )
    return own, max(0.0, filled / len(shown) - own)


def _new_pictures(pictures: Sequence[Path], known: int, speeds: Speeds) -> tuple[float, float]:
    """Seconds of encoding the images that are not encoded yet, and of all the rest that a search
    does once for each image."""
    if not pictures or not speeds.pictures:
        return 0.0, 0.0
    if len(speeds.pictures) == 1:
        costs = list(speeds.pictures)
    else:
        step = -(-len(pictures) // SIZES_READ)
        costs = [speeds.picture(pixels(picture)) for picture in pictures[::step]]
    encoding = sum(cost.encoding for cost in costs) / len(costs)
    seconds = sum(cost.seconds for cost in costs) / len(costs)
    return (len(pictures) - known) * encoding, len(pictures) * (seconds - encoding)


def _evaluations(budget: Budget, tokens: int, each: float) -> int:
    """How many evaluations the budget comes to."""
    limits = []
    if budget.evaluations is not None:
        limits.append(budget.evaluations)
    if budget.seconds is not None:
        limits.append(int(budget.seconds / max(each, LEAST)))
    if budget.tokens is not None:
        limits.append(budget.tokens // max(1, tokens))
    return min(limits)


def _clock(seconds: float) -> str:
    """ "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
